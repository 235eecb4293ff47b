"""Finding out why a task fails: let its exception stop the flow where it is raised."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopline.flows.context import context

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["raise_on_exception"]


@contextmanager
def raise_on_exception() -> Iterator[None]:
    """Have ``flow.run()`` raise what a task raises, in a ``with`` block; retries do not count."""
    with context(raise_on_exception=True):
        yield
