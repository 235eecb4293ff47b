"""How errors look on the wire: a status, MLflow's error code, and the sentence for people."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from loopline.disk import NO_ROOM
from loopline.errors import FilterError, InvalidInputError, LooplineError, StorageFullError
from loopline.server import wire

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = [
    "PayloadTooLargeError",
    "RefusedRequestError",
    "TooBusyError",
    "TooManyTriesError",
    "UnsupportedMediaTypeError",
    "answer_of",
    "body_of",
    "code_for",
    "error_response",
    "plain_error",
    "sentence_of",
    "translate",
]

log = logging.getLogger("loopline.server")

#: How MLflow 1's client says who it is, the codes it does not know, and what to say instead:
#: any other makes it fail by a ``ValueError`` of its own.
_MLFLOW_1 = "mlflow-python-client/1."
_FOR_MLFLOW_1 = {
    "NOT_IMPLEMENTED": "ENDPOINT_NOT_FOUND",
    "RESOURCE_EXHAUSTED": "TEMPORARILY_UNAVAILABLE",
    "UNAUTHENTICATED": "CUSTOMER_UNAUTHORIZED",
}
#: Seconds a client waits before it asks again, said with 429, 503 and 507.
RETRY_AFTER_S = 1


class UnsupportedMediaTypeError(InvalidInputError):
    """The body is neither JSON nor msgpack."""

    status = 415


class PayloadTooLargeError(InvalidInputError):
    """The body is longer than this route takes."""

    status = 413


class RefusedRequestError(LooplineError):
    """The gate does not let this request in: a foreign host, origin or site."""

    status = 403
    code = "PERMISSION_DENIED"


class TooBusyError(LooplineError):
    """More requests wait than the server has room for."""

    status = 503
    code = "TEMPORARILY_UNAVAILABLE"


class TooManyTriesError(LooplineError):
    """Somebody has tried too many wrong passwords.

    Attributes:
        retry_after_s: Seconds until the next one is looked at.
    """

    status = 429
    code = "REQUEST_LIMIT_EXCEEDED"

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(
            f"Too many wrong passwords came for this user or from this address. Wait "
            f"{retry_after_s} seconds, or use a token."
        )


def translate(error: Exception) -> LooplineError | None:
    """Find the error of ours that says what happened; None when it is a fault inside."""
    if isinstance(error, LooplineError):
        return error
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return StorageFullError("The server's disk is full. Free some space there, then retry.")
    if isinstance(error, OverflowError):  # A database's whole numbers have 64 bits.
        return InvalidInputError("A number is larger than can be kept. Use one below 2^63.")
    return None


def body_of(error: LooplineError) -> dict[str, Any]:
    """Say an error in plain data; a client of ours makes the same error of it again."""
    body: dict[str, Any] = {
        "error_code": error.code,
        "message": str(error),
        "error": type(error).__name__,
    }
    if isinstance(error, FilterError):
        body["details"] = {
            "text": error.text,
            "position": error.position,
            "expected": error.expected,
        }
    return body


def sentence_of(error: Exception) -> tuple[int, str]:
    """Status and message of any error; a fault inside is logged, and its id told instead."""
    known = translate(error)
    if known is not None:
        return known.status, str(known)
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    fault = secrets.token_hex(4)
    log.error("Fault %s inside the server", fault, exc_info=error)
    return 500, f"Something went wrong inside the server. Its log has the details: fault {fault}."


def code_for(request: Request, code: str) -> str:
    """Choose the code of an error that the client of a request knows."""
    if code in _FOR_MLFLOW_1 and request.headers.get("user-agent", "").startswith(_MLFLOW_1):
        return _FOR_MLFLOW_1[code]
    return code


def plain_error(status: int, code: str, message: str, **more: object) -> Response:
    """Make an error answer in JSON."""
    body = {"error_code": code, "message": message, **more}
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in {429, 503, 507} else {}
    if status == 401:  # noqa: PLR2004 - HTTP
        # Bearer alone: a browser that is told Basic asks with a window of its own.
        headers["WWW-Authenticate"] = 'Bearer realm="Loopline"'
    return Response(wire.encode(body, wire.JSON), status, headers, wire.JSON)


async def error_response(request: Request, error: Exception) -> Response:
    """Answer any error of an API route in JSON; nothing of the inside leaks."""
    return answer_of(request, error)


def answer_of(request: Request, error: Exception) -> Response:
    """Make the answer to a request that ended in an error; see ``error_response``."""
    known = translate(error)
    if known is not None and known.status != 500:  # noqa: PLR2004 - HTTP
        body = body_of(known)
        code = code_for(request, body.pop("error_code"))
        answer = plain_error(known.status, code, body.pop("message"), **body)
        if isinstance(known, TooManyTriesError):
            answer.headers["Retry-After"] = str(known.retry_after_s)
        return answer
    if known is not None:
        log.error("%s %s: %s", request.method, request.url.path, known)
        body = body_of(known)
        return plain_error(500, body.pop("error_code"), body.pop("message"), **body)
    status, message = sentence_of(error)
    return plain_error(status, "INTERNAL_ERROR", message)
