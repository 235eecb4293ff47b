"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

import click

from loopline.rules.words import distance_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ago", "print_facts", "print_json", "print_table", "say"]

GAP = "  "


def print_json(value: object) -> None:
    """Print records as JSON with every field; NaN and infinities are strings."""
    from loopline.server.wire import JSON, encode

    click.echo(encode(value, JSON))


def say(sentence: str) -> None:
    """Tell something that is no result: on stderr, so that a pipe does not get it."""
    click.echo(sentence, err=True)


def ago(at_ms: int | None) -> str:
    """Say how long ago, or in how long, something is."""
    return distance_words(at_ms, round(time.time() * 1000))


def print_table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, right: Sequence[str] = ()
) -> None:
    """Print a table: drawn on a terminal, aligned text elsewhere.

    Args:
        heads: Names of the columns.
        rows: Cells; None is an empty one.
        empty: What to say when there are no rows, with the next step.
        right: Heads of columns that are set to the right: numbers.
    """
    texts = [["" if cell is None else _one_line(str(cell)) for cell in row] for row in rows]
    if not texts:
        say(empty)
    elif sys.stdout.isatty():
        _print_drawn(heads, texts, right)
    else:
        _print_aligned(heads, texts, right)


def print_facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line; pairs without a value are left out."""
    shown = [(name, str(value)) for name, value in pairs if value not in (None, "")]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        lines = value.splitlines() or [""]
        click.echo(f"{click.style(name.ljust(width), dim=True)}{GAP}{lines[0]}")
        for line in lines[1:]:
            click.echo(f"{' ' * width}{GAP}{line}")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _print_aligned(heads: Sequence[str], rows: list[list[str]], right: Sequence[str]) -> None:
    widths = [max(len(row[i]) for row in [list(heads), *rows]) for i in range(len(heads))]
    for row in [list(heads), *rows]:
        cells = [
            cell.rjust(width) if head in right else cell.ljust(width)
            for cell, width, head in zip(row, widths, heads, strict=True)
        ]
        click.echo(GAP.join(cells).rstrip())


def _print_drawn(heads: Sequence[str], rows: list[list[str]], right: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for head in heads:
        # Ids and numbers are useless when cut; what is long for people may be folded.
        table.add_column(
            head,
            justify="right" if head in right else "left",
            no_wrap=head in {"ID", *right},
            overflow="fold" if head == "ID" else "ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    width = shutil.get_terminal_size().columns
    Console(file=sys.stdout, width=width).print(table)


def _style(cell: str) -> str:
    """Colour the words that say how something stands."""
    return {
        "FINISHED": "green",
        "Success": "green",
        "Production": "green",
        "FAILED": "red",
        "Failed": "red",
        "TriggerFailed": "red",
        "TimedOut": "red",
        "RUNNING": "blue",
        "Running": "blue",
        "Retrying": "yellow",
        "Staging": "yellow",
    }.get(cell, "")
