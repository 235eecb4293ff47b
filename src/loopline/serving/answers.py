"""Answers on the wire: what a model gave, or why there is nothing, as status, headers and body."""

from __future__ import annotations

import logging
import secrets
from typing import Any, NamedTuple

import msgspec

from loopline.errors import LooplineError
from loopline.models.signature import is_array, is_series, is_table
from loopline.serving import arrow
from loopline.serving.errors import BadDataError, OverloadedError

__all__ = ["JSON", "Answer", "answer_to", "refusal"]

log = logging.getLogger("loopline.serving")

JSON = b"application/json"


class Answer(NamedTuple):
    """An answer.

    Attributes:
        status: Of HTTP.
        body: As it goes over the wire.
        media_type: Of the body.
        headers: More of them, each a line with its end.
    """

    status: int
    body: bytes
    media_type: bytes = JSON
    headers: bytes = b""


class _Predictions(msgspec.Struct):
    predictions: Any


def answer_to(found: Any, *, in_arrow: bool, headers: bytes = b"") -> Answer:  # noqa: ANN401
    """Write what the model gave; numbers that JSON has no word for are null."""
    try:
        if in_arrow:
            return Answer(200, arrow.write(found), arrow.STREAM.encode(), headers)
        if is_array(found):
            found = found.tolist()
        return Answer(200, _encode(_Predictions(found)), JSON, headers)
    except Exception as error:  # noqa: BLE001 - a model may give anything
        return refusal(error, headers)


def refusal(error: Exception, headers: bytes = b"") -> Answer:
    """Write why there is no answer: MLflow's error code, and the sentence for people."""
    if not isinstance(error, LooplineError):
        fault = secrets.token_hex(4)
        log.error("Fault %s inside the server", fault, exc_info=error)
        message = f"Something went wrong inside the server. Its log has the details: fault {fault}."
        body: dict[str, Any] = {"error_code": "INTERNAL_ERROR", "message": message}
        return Answer(500, msgspec.json.encode(body), JSON, headers)
    body = {"error_code": error.code, "message": str(error), "error": type(error).__name__}
    if isinstance(error, BadDataError):
        body |= {} if error.field is None else {"field": error.field}
        body |= {} if error.row is None else {"row": error.row}
    if isinstance(error, OverloadedError):
        headers += b"retry-after: %d\r\n" % error.retry_after_s
    elif error.status in {429, 503}:
        headers += b"retry-after: 1\r\n"
    return Answer(error.status, msgspec.json.encode(body), JSON, headers)


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a model gives
    """Turn into what JSON has, as MLflow does it: tables into a list of rows."""
    if is_array(value):
        return value.tolist()
    if is_table(value):
        return value.to_dict(orient="records")
    if is_series(value):
        return value.to_frame().to_dict(orient="records")
    if hasattr(value, "item") and hasattr(value, "dtype"):
        return value.item()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return list(value)
    return None if type(value).__name__ in {"NAType", "NaTType"} else str(value)


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
