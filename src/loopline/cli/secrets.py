"""``loopline secrets``: named values that flows need, and that nobody reads in passing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, with_backend, with_new_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["secrets"]


@click.command("list", epilog=epilog("loopline secrets list"))
@with_backend
def list_(backend: Backend, *, as_json: bool) -> None:
    """List secrets by name, without their values."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListSecrets

    found = backend.call(ListSecrets())
    if as_json:
        print_json(found)
        return
    print_table(
        ("NAME", "SET", "MADE"),
        [(each.name, ago(each.updated_ms), ago(each.created_ms)) for each in found],
        empty="No secrets yet. Keep one with `loopline secrets set NAME`.",
    )


@click.command(
    "set",
    epilog=epilog(
        "loopline secrets set BIGQUERY_CREDENTIALS < key.json", "loopline secrets set SLACK_HOOK"
    ),
)
@click.argument("name")
@with_new_backend
def set_(backend: Backend, *, name: str, as_json: bool) -> None:
    """Keep a value under NAME, in the place of what was there.

    The value is read from the input, less a line's end; at a terminal it is asked for, unseen. It
    is never an argument, which everybody on the machine could read, and never shown.
    """
    import sys

    from loopline.cli.output import print_json, say
    from loopline.records.operations import SetSecret

    if sys.stdin.isatty():
        value = click.prompt("Value", hide_input=True, confirmation_prompt=True, err=True)
    else:
        value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    kept = backend.call(SetSecret(name=name, value=value))
    if as_json:
        print_json(kept)
    else:
        say(f"The secret {kept.name} is kept, sealed.")


@click.command(epilog=epilog("loopline secrets delete SLACK_HOOK"))
@click.argument("name")
@with_backend
def delete(backend: Backend, *, name: str, as_json: bool) -> None:
    """Delete a secret."""
    from loopline.cli.output import print_json, say
    from loopline.records.operations import DeleteSecret

    gone = backend.call(DeleteSecret(name=name))
    if as_json:
        print_json(gone)
    else:
        say(f"The secret {gone.name} is deleted.")


secrets = LazyGroup(
    "secrets",
    help="Keep values that flows need and nobody is to read.",
    table={
        "list": (f"{__name__}:list_", "List secrets by name, without their values."),
        "set": (f"{__name__}:set_", "Keep a value under NAME, in the place of what was there."),
        "delete": (f"{__name__}:delete", "Delete a secret."),
    },
)
