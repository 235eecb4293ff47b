"""``loopline diff``: what differs between two runs or model versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.options import epilog, with_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.differences import Differences

__all__ = ["diff", "print_diff", "print_sections"]

#: What is before, after, and better seen than read.
COLORS = {"-": "red", "+": "green", "@": "cyan"}


@click.command(
    epilog=epilog(
        "loopline diff models:/taxifare_model/2 models:/taxifare_model/Production",
        "loopline diff 4f1d2c 9a0b11 --json",
    )
)
@click.argument("a")
@click.argument("b")
@with_backend
def diff(backend: Backend, *, a: str, b: str, as_json: bool) -> None:
    """Show what differs between two runs or model versions.

    A and B are runs, by the first letters of their ids or by name, or versions such as
    models:/NAME/3, models:/NAME/Production or models:/NAME@ALIAS.
    """
    from loopline.cli.output import print_json
    from loopline.reproduce.comparing import differences

    found = differences(backend, a, b)
    if as_json:
        print_json(found)
    else:
        print_diff(found)


def print_diff(found: Differences) -> None:
    """Print differences, section by section."""
    from loopline.reproduce.comparing import rows_of

    titles = [found.a.title, found.b.title]
    if titles[0] == titles[1]:
        titles = [found.a.run_id[:8], found.b.run_id[:8]]
    click.echo(f"{click.style(titles[0], fg='red')} → {click.style(titles[1], fg='green')}")
    sections = rows_of(found)
    if not sections and not found.files:
        click.echo("Nothing differs.")
        return
    print_sections(sections)
    for one in found.files:
        click.echo(f"\n{click.style(one.path, bold=True)}")
        for line in one.diff.splitlines():
            click.echo(click.style(line, fg=COLORS.get(line[:1])))


def print_sections(sections: dict[str, list[tuple[str, str, str, str]]]) -> None:
    """Print rows of what, before, after and change below headings, all in the same columns."""
    rows = [row for part in sections.values() for row in part]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    for name, part in sections.items():
        click.echo(f"\n{click.style(name, bold=True)}")
        for what, before, after, change in part:
            cells = (
                what.ljust(widths[0]),
                click.style(before.ljust(widths[1]), fg="red"),
                click.style(after.ljust(widths[2]), fg="green"),
                change,
            )
            click.echo("  ".join(["", *cells]).rstrip())
