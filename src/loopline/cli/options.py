"""Options that many commands share."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from loopline.settings import tracking_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.protocol import Backend

__all__ = ["as_json", "epilog", "limit", "open_at", "uri", "with_backend"]

F = TypeVar("F", bound="Callable[..., Any]")

uri = click.option(
    "--uri",
    metavar="URI",
    help="Folder, database URL or server to use instead of LOOPLINE_URI or the home.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
limit = click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1, 50_000),
    help="At most so many.",
)


def epilog(*examples: str) -> str:
    """Show examples at the end of a command's help, one a line."""
    return "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)


def with_backend(command: F) -> Callable[..., Any]:
    """Give a command ``--uri``, ``--json`` and the open backend as its first argument."""

    @uri
    @as_json
    @wraps(command)
    def wrapped(uri: str | None, **options: object) -> object:
        backend = open_at(uri)
        try:
            return command(backend, **options)
        finally:
            backend.close()

    return wrapped


def open_at(uri: str | None) -> Backend:
    """Open the backend that ``--uri`` means, caught up with what dead processes left."""
    from loopline.backend.adopt import catch_up
    from loopline.backend.open import open_backend

    address = tracking_address(uri)
    backend = open_backend(address)
    catch_up(address, backend)
    return backend
