"""``loopline limits``: how many tasks with a tag run at a time, in all flow runs together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, with_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["limits"]


@click.command("list", epilog=epilog("loopline limits list"))
@with_backend
def list_(backend: Backend, *, as_json: bool) -> None:
    """List tags whose tasks are limited, and how many of them run now."""
    from loopline.cli.output import print_json, print_table
    from loopline.records.operations import ListTagLimits

    found = backend.call(ListTagLimits())
    if as_json:
        print_json(found)
        return
    print_table(
        ("TAG", "LIMIT", "RUNNING"),
        [(each.tag, each.most, each.taken) for each in found],
        empty="No tag has a limit. Give one: `loopline limits set warehouse 2`.",
        right=("LIMIT", "RUNNING"),
    )


@click.command("set", epilog=epilog("loopline limits set warehouse 2"))
@click.argument("tag")
@click.argument("most", type=click.IntRange(1))
@with_backend
def set_(backend: Backend, *, tag: str, most: int, as_json: bool) -> None:
    """Let at most MOST tasks with TAG run at a time, in all flow runs together."""
    _set(backend, tag, most, as_json=as_json)


@click.command(epilog=epilog("loopline limits remove warehouse"))
@click.argument("tag")
@with_backend
def remove(backend: Backend, *, tag: str, as_json: bool) -> None:
    """Let as many tasks with TAG run as there are slots."""
    _set(backend, tag, 0, as_json=as_json)


def _set(backend: Backend, tag: str, most: int, *, as_json: bool) -> None:
    from loopline.cli.output import print_json
    from loopline.records.operations import SetTagLimit

    limit = backend.call(SetTagLimit(tag=tag, most=most))
    if as_json:
        print_json(limit)
    elif most:
        click.echo(f"At most {most} tasks with tag {tag!r} run at a time; {limit.taken} run now.")
    else:
        click.echo(f"Tasks with tag {tag!r} have no limit now.")


limits = LazyGroup(
    "limits",
    help="Limit how many tasks with a tag run at a time.",
    table={
        "list": (
            f"{__name__}:list_",
            "List tags whose tasks are limited, and how many of them run now.",
        ),
        "set": (
            f"{__name__}:set_",
            "Let at most MOST tasks with TAG run at a time, in all flow runs together.",
        ),
        "remove": (f"{__name__}:remove", "Let as many tasks with TAG run as there are slots."),
    },
)
