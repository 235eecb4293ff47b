"""``loopline version``: which version is installed."""

from __future__ import annotations

import platform

import click

from loopline.cli import options

__all__ = ["version"]


@click.command(epilog=options.epilog("loopline version", "loopline version --json"))
@options.as_json
def version(*, as_json: bool) -> None:
    """Say which version is installed."""
    from loopline.cli.output import print_json
    from loopline.server.version import installed_version
    from loopline.settings import tracking_address

    facts = {
        "loopline": installed_version(),
        "python": platform.python_version(),
        "records_to": str(tracking_address()),
    }
    if as_json:
        print_json(facts)
        return
    click.echo(f"Loopline {facts['loopline']}, Python {facts['python']}")
    click.echo(f"Records to {facts['records_to']}")
