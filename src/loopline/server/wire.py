"""What goes over the wire: JSON and msgpack, and how numbers that JSON lacks are written in it.

msgpack is for programs of ours: it keeps NaN and infinities and leaves defaults out. JSON is for
people and other programs: every field is there, and the numbers that JSON has no word for are the
strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, as MLflow writes them; the OpenAPI document
says so of every number in an answer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from starlette.types import Scope

__all__ = ["JSON", "MSGPACK", "decode", "encode", "header", "media_type", "plain", "preferred"]

JSON = "application/json"
MSGPACK = "application/msgpack"

T = TypeVar("T")

#: Items that one list or mapping of a request may have at its top level.
MOST_ITEMS = 10_000


def header(scope: Scope, name: bytes) -> str:
    """Get a header of a request, of which there should be one; empty when there is none."""
    for found, value in scope["headers"]:
        if found == name:
            text: str = value.decode("latin-1")
            return text
    return ""


def media_type(header: str) -> str:
    """Take the media type out of a ``Content-Type`` header, without its parameters."""
    return header.partition(";")[0].strip().lower()


def preferred(accept: str, *, otherwise: str = JSON) -> str:
    """Choose JSON or msgpack by an ``Accept`` header; the first one named wins.

    Quality values are not weighed: no client of ours sends them, and both answers say the same.
    """
    for part in accept.split(","):
        kind = media_type(part)
        if kind in {JSON, MSGPACK}:
            return kind
    return otherwise


def encode(value: object, kind: str) -> bytes:
    """Encode an answer as JSON or msgpack."""
    if kind == MSGPACK:
        return msgspec.msgpack.encode(value)
    return msgspec.json.encode(plain(value))


def decode(body: bytes, type_: type[T], kind: str, *, most_items: int | None = MOST_ITEMS) -> T:
    """Decode a request.

    Raises:
        InvalidInputError: When it is malformed, of the wrong shape (the message has the path to
            the wrong field), nested too deep, or a list in it is too long.
    """
    try:
        if kind == MSGPACK:
            value = msgspec.msgpack.decode(body, type=type_)
        else:
            value = msgspec.json.decode(body or b"{}", type=type_)
    except msgspec.ValidationError as error:
        msg = f"{_clean(error)}. The fields of each request are in /api/v1/openapi.json."
        raise InvalidInputError(msg) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        name = "msgpack" if kind == MSGPACK else "JSON"
        msg = f"The body is not valid {name}: {_clean(error)}. Send the request as one object."
        raise InvalidInputError(msg) from None
    except RecursionError:
        msg = "The body is nested too deep. Send flatter data."
        raise InvalidInputError(msg) from None
    _check_fields(value, most_items)
    return value


def _check_fields(value: object, most_items: int | None) -> None:
    """Refuse what no store can keep or would take long over."""
    for name in getattr(value, "__struct_fields__", ()):
        field = getattr(value, name)
        if isinstance(field, int) and not -(2**63) <= field < 2**63:
            msg = f"{name!r} is larger than can be kept. Use a number below 2^63."
            raise InvalidInputError(msg)
        if isinstance(field, str) and "\0" in field:
            msg = f"{name!r} holds a NUL character, which databases cannot keep. Take it out."
            raise InvalidInputError(msg)
        if most_items and isinstance(field, list | dict) and len(field) > most_items:
            msg = (
                f"{name!r} has {len(field):,} items and at most {most_items:,} are taken at once. "
                "Send it in parts."
            )
            raise InvalidInputError(msg)


def _clean(error: Exception) -> str:
    return str(error).rstrip(".")


def plain(value: Any) -> Any:  # noqa: ANN401 - any record or plain data
    """Turn a record into mappings, lists, texts and numbers, all of which JSON can say."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _SPELLED.get(value, "NaN")
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        tag = {config.tag_field: config.tag} if config.tag_field is not None else {}
        return {**tag, **{name: plain(getattr(value, name)) for name in value.__struct_fields__}}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


_SPELLED = {math.inf: "Infinity", -math.inf: "-Infinity"}
