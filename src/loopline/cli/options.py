"""Options that many commands share."""

from __future__ import annotations

import getpass
import os
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from loopline.settings import is_named, tracking_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.protocol import Backend

__all__ = [
    "actor",
    "as_json",
    "blobs",
    "epilog",
    "limit",
    "open_at",
    "uri",
    "with_backend",
    "with_new_backend",
]

F = TypeVar("F", bound="Callable[..., Any]")

uri = click.option(
    "--uri",
    metavar="URI",
    help="Folder, database URL or server to use instead of LOOPLINE_URI or the home.",
)


def _keep_blobs(_context: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value:
        os.environ["LOOPLINE_BLOBS"] = value


blobs = click.option(
    "--blobs",
    metavar="PLACE",
    callback=_keep_blobs,
    expose_value=False,
    help="Folder or s3://, gs:// or az:// prefix with the files, instead of LOOPLINE_BLOBS or the "
    "home.",
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
    return _with_backend(command, may_make=False)


def with_new_backend(command: F) -> Callable[..., Any]:
    """Do as ``with_backend`` for a command that fills a store, and may begin a new one."""
    return _with_backend(command, may_make=True)


def _with_backend(command: F, *, may_make: bool) -> Callable[..., Any]:
    @uri
    @as_json
    @wraps(command)
    def wrapped(uri: str | None, **options: object) -> object:
        backend = open_at(uri, may_make=may_make)
        try:
            return command(backend, **options)
        finally:
            backend.close()

    return wrapped


def open_at(uri: str | None, *, may_make: bool) -> Backend:
    """Open the backend that ``--uri`` means, caught up with what dead processes left.

    Args:
        uri: As given; the environment or the home when None.
        may_make: Make a store where there is none; without it only the home is made, never what
            an address may have been mistyped for.

    Raises:
        NotFoundError: There is no store at the address.
    """
    from loopline.backend.adopt import catch_up
    from loopline.backend.open import check_is_there, open_backend

    address = tracking_address(uri)
    if not may_make and (uri or is_named()):
        check_is_there(address)
    backend = open_backend(address)
    catch_up(address, backend)
    return backend


def actor() -> str:
    """Tell who acts, for the history."""
    return os.environ.get("LOOPLINE_ACTOR") or getpass.getuser()
