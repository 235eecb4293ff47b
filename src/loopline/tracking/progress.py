"""Progress of what takes long: a bar in a terminal, the same in a notebook, silence elsewhere.

A notebook's bar is plain HTML that replaces itself; it needs no widgets, and stays readable
where the notebook is saved.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from loopline.rules.words import size_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress"]

#: What is done sooner shows nothing.
PATIENCE_S = 1.0
#: Seconds between two looks of a notebook's bar.
EVERY_S = 0.2


@contextmanager
def progress(
    what: str, total_bytes: int, *, after_s: float = PATIENCE_S
) -> Iterator[Callable[[int], None]]:
    """Show how far something is.

    Args:
        what: Such as ``"Fetching model"``.
        total_bytes: How much there is in all.
        after_s: Seconds after which the bar appears.

    Yields:
        A function to call with the bytes of each step.
    """
    if _display() is not None:
        bar: _Bar = _NotebookBar(what, total_bytes, after_s)
    elif sys.stderr.isatty():
        bar = _TerminalBar(what, total_bytes, after_s)
    else:
        bar = _Bar(what, total_bytes, after_s)
    try:
        yield bar.advance
    finally:
        bar.close()


class _Bar:
    """Counts, and shows nothing."""

    def __init__(self, what: str, total_bytes: int, after_s: float) -> None:
        self.what = what
        self.total_bytes = total_bytes
        self.done_bytes = 0
        self._show_at = time.monotonic() + after_s

    def advance(self, size_bytes: int) -> None:
        """Count a step, and show it when it is time."""
        self.done_bytes += size_bytes
        now = time.monotonic()
        if now >= self._show_at:
            self._show_at = now + EVERY_S
            self.show()

    def show(self) -> None:
        """Show how far it is."""

    def close(self) -> None:
        """Leave the last state behind."""


class _TerminalBar(_Bar):
    """A bar of rich's on the error stream, which goes away at the end."""

    _rich: Any = None
    _task: Any = None

    def show(self) -> None:
        """Show how far it is."""
        if self._rich is None:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

            self._rich = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._rich.start()
            self._task = self._rich.add_task(self.what, total=self.total_bytes)
        self._rich.update(self._task, completed=self.done_bytes)

    def close(self) -> None:
        """Take the bar away."""
        if self._rich is not None:
            self._rich.stop()


class _NotebookBar(_Bar):
    """A bar of HTML in the cell's output."""

    _handle: Any = None

    def show(self) -> None:
        """Show how far it is."""
        if self._handle is None:
            display = _display()
            self._handle = display(self, display_id=True)
        else:
            self._handle.update(self)

    def close(self) -> None:
        """Leave the last state behind."""
        if self._handle is not None:
            self._handle.update(self)

    def _repr_html_(self) -> str:
        done, total = size_words(self.done_bytes), size_words(self.total_bytes)
        return (
            f'<div class="loopline" style="font-size:13px">{escape(self.what)} '
            f'<progress value="{self.done_bytes}" max="{max(1, self.total_bytes)}"></progress> '
            f'<span style="opacity:.65">{done} of {total}</span></div>'
        )

    def __repr__(self) -> str:
        return f"{self.what}: {size_words(self.done_bytes)} of {size_words(self.total_bytes)}"


def _display() -> Any:  # noqa: ANN401 - IPython's function
    """Get what shows things in a notebook; None anywhere else."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or type(shell).__name__ == "TerminalInteractiveShell":
        return None
    from importlib import import_module

    return import_module("IPython.display").display
