"""How long work tells how far it is, whoever listens."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Told now and then; ``unit`` is what is counted: ``"pages"``, ``"bytes"``, ``"files"``."""

    def __call__(self, what: str, done: int, total: int, /) -> None:
        """Hear that ``done`` of ``total`` of a stage named ``what`` are through."""


def silent(_what: str, _done: int, _total: int, /) -> None:
    """Listen to nothing."""
