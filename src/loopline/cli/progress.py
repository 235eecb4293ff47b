"""A progress bar for people at a terminal; programs and pipes get none."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.care.progress import Progress

__all__ = ["shown_progress"]


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Show on stderr how far work is, one line a stage, as long as the block runs."""
    from loopline.care.progress import silent

    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        stages: dict[str, int] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in stages:
                stages[what] = int(bar.add_task(what))
            for task in bar.tasks:
                if task.id == stages[what]:
                    bar.update(task.id, completed=done, total=total or None)

        yield show
