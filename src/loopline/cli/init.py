"""``loopline init``: making a home."""

from __future__ import annotations

from pathlib import Path

import click

from loopline.cli import options
from loopline.settings import HOME_FOLDER, Address

__all__ = ["init"]


@click.command(epilog=options.epilog("loopline init", "loopline init ~/taxifare"))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@options.as_json
def init(folder: Path, *, as_json: bool) -> None:
    """Make a home for runs, models and flows here.

    The home is the folder .loopline in FOLDER (default: where you are). Everything recorded from
    FOLDER or below goes there, until LOOPLINE_URI says otherwise.
    """
    from loopline.backend.local import LocalBackend
    from loopline.cli.output import print_json, say

    home = folder.expanduser().resolve() / HOME_FOLDER
    was_there = (home / "loopline.db").exists()
    LocalBackend(Address("home", str(home))).close()
    if as_json:
        print_json({"home": str(home), "created": not was_there})
        return
    click.echo(f"{home} is {'there already' if was_there else 'ready'}.")
    say("Next: log a run from Python, or start the pages with `loopline up`.")
