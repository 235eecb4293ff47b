"""Turning a server's error answers back into the errors they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from loopline import errors as errors_module
from loopline.errors import (
    BackendUnavailableError,
    FilterError,
    ForbiddenError,
    InvalidInputError,
    LooplineError,
    NotFoundError,
    StorageFullError,
)

if TYPE_CHECKING:
    from loopline.settings import Address

__all__ = ["error_from_answer", "no_server_of_ours"]

#: For an answer that names no class of ours, such as a proxy's.
BY_STATUS: dict[int, type[LooplineError]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    408: BackendUnavailableError,
    429: BackendUnavailableError,
    502: BackendUnavailableError,
    503: BackendUnavailableError,
    504: BackendUnavailableError,
    507: StorageFullError,
}


class _Body(msgspec.Struct):
    """An error answer: see ``loopline.server.errors``."""

    message: str
    error_code: str = ""
    error: str = ""
    details: dict[str, Any] = {}


def error_from_answer(status: int, body: bytes, address: Address) -> LooplineError:
    """Make the error that an answer with this status and body stands for."""
    try:
        said = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return no_server_of_ours(status, address)
    kind = getattr(errors_module, said.error, None)
    if kind is FilterError and {"text", "position", "expected"} <= said.details.keys():
        return FilterError(
            str(said.details["text"]),
            int(said.details["position"]),
            str(said.details["expected"]),
        )
    if not (isinstance(kind, type) and issubclass(kind, LooplineError)):
        kind = BY_STATUS.get(status)
    if kind is None and 400 <= status < 500:  # noqa: PLR2004 - HTTP
        kind = NotFoundError if said.error_code == NotFoundError.code else InvalidInputError
    return _make(kind or LooplineError, said.message)


def no_server_of_ours(status: int, address: Address) -> LooplineError:
    """Make the error for an answer that no Loopline server gives."""
    kind = BY_STATUS.get(status, BackendUnavailableError)
    return kind(
        f"{address} answered with status {status} and not as a Loopline server does. Is the "
        f"address right, and is it `loopline server` that runs there? Try: curl {address}/version"
    )


def _make(kind: type[LooplineError], message: str) -> LooplineError:
    """Make an error with a ready message, also of a class that takes other arguments."""
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error
