"""Reading a request of an MLflow client: a JSON body or a query, into the record a route names.

Unknown fields are passed over, as newer clients send more; numbers may be written as text, as
protobuf's JSON has it for 64 bits, and as ``"NaN"`` or ``"Infinity"``; null is a field left out.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from loopline.errors import InvalidInputError, LooplineError
from loopline.server import wire
from loopline.server.bodies import read_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

__all__ = [
    "MOST_BYTES",
    "Call",
    "KeyValue",
    "check_is_json",
    "missing",
    "parse",
    "read_call",
    "required",
    "version_number",
]

C = TypeVar("C", bound="Call")

#: MLflow takes a megabyte for a batch; a logged model's signature and example may be larger.
MOST_BYTES = 16 * 2**20
#: Entries that one list of a request may have.
MOST_ENTRIES = 10_000
#: Characters of a wrong value that an error repeats.
SHOWN = 80

_PATH = re.compile(r"(?s)(.*?)(?: - at `\$\.?(.*?)`)?\Z")
_MISSING = re.compile(r"Object missing required field `(\w+)`")


class _BadRequestError(InvalidInputError):
    """What was sent is no request at all."""

    code = "BAD_REQUEST"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request: its fields have MLflow's names; a field without a default must be there."""


class KeyValue(Call, frozen=True, kw_only=True):
    """A param or tag."""

    key: str
    value: str = ""


async def read_call(request: Request, kind: type[C]) -> C:
    """Read the request that a route takes.

    Raises:
        InvalidInputError: In MLflow's words, with the parameter's name.
    """
    if request.method == "GET" and not request.query_params and _has_body(request):
        # As some write by hand what they ask, which MLflow's server takes, whatever its type.
        body = await read_body(request, most_bytes=MOST_BYTES)
        return parse(body, kind, request.path_params)
    if request.method == "GET" or (request.path_params and _is_bare(request)):
        return _convert(_query(request, kind) | request.path_params, kind)
    check_is_json(request.headers.get("content-type", ""))
    body = await read_body(request, most_bytes=MOST_BYTES)
    return parse(body, kind, request.path_params)


def check_is_json(content_type: str) -> None:
    """Check what a body says that it is.

    Raises:
        InvalidInputError: It is no JSON.
    """
    if content_type != wire.JSON and wire.media_type(content_type) != wire.JSON:
        said = "must be one of ['application/json']" if content_type else "header is missing"
        msg = f"Bad Request. Content-Type {said}. Send JSON, and say so."
        raise InvalidInputError(msg)


def parse(body: bytes, kind: type[C], of_path: Mapping[str, Any] | None = None) -> C:
    """Read the request that a body holds, with what its address names.

    Raises:
        InvalidInputError: In MLflow's words, with the parameter's name.
    """
    try:
        if of_path:
            # What the address names counts, whatever the body says of it.
            said = msgspec.json.decode(body or b"{}", type=dict[str, Any])
            return _convert({**_without_nulls(said), **of_path}, kind)
        return _bounded(msgspec.json.decode(body or b"{}", type=kind, strict=False))
    except msgspec.ValidationError as error:
        if b"null" in body and (read := _read_without_nulls(body, kind)) is not None:
            return _bounded(read)
        raise _refusal(error, body) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"Bad Request. The body is no JSON object: {error}."
        raise _BadRequestError(msg) from None
    except RecursionError:
        msg = "Bad Request. The body is nested too deep. Send flatter data."
        raise _BadRequestError(msg) from None


def _read_without_nulls(body: bytes, kind: type[C]) -> C | None:
    """Read a request whose nulls are fields left out; None when that is not what is wrong."""
    try:
        return msgspec.convert(_without_nulls(msgspec.json.decode(body)), kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave out the fields that are null, as protobuf's JSON does."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0"


def _is_bare(request: Request) -> bool:
    """Tell whether a client deletes what the address names, without a body."""
    return request.method == "DELETE" and "content-type" not in request.headers


def _query(request: Request, kind: type[Call]) -> dict[str, Any]:
    """Collect the parameters of a query; those that are lists may be repeated."""
    found: dict[str, Any] = {}
    lists = _lists_of(kind)
    for key, value in request.query_params.multi_items():
        if key in lists:
            found.setdefault(key, []).append(value)
        else:
            found[key] = value
    return found


def _convert(values: dict[str, Any], kind: type[C]) -> C:
    try:
        return _bounded(msgspec.convert(values, kind, strict=False))
    except msgspec.ValidationError as error:
        raise _refusal(error, msgspec.json.encode(values)) from None


@cache
def _lists_of(kind: type[Call]) -> tuple[str, ...]:
    """Name the fields that are lists."""
    return tuple(
        field.name
        for field in msgspec.structs.fields(kind)
        if isinstance(field.default_factory, type) and issubclass(field.default_factory, list)
    )


def _bounded(call: C) -> C:
    """Check how much is asked for at once.

    Raises:
        InvalidInputError: So much that it would keep all others waiting.
    """
    for name in _lists_of(type(call)):
        size = len(getattr(call, name))
        if size > MOST_ENTRIES:
            msg = (
                f"Invalid value for parameter '{name}' supplied: it has {size:,} entries and at "
                f"most {MOST_ENTRIES:,} are taken at once. Send them in parts."
            )
            raise InvalidInputError(msg)
    return call


def _refusal(error: msgspec.ValidationError, body: bytes) -> LooplineError:
    """Say in MLflow's words which parameter is wrong, with the value that was sent."""
    said, path = (_PATH.match(str(error)) or _PATH.match("")).groups()  # type: ignore[union-attr]
    absent = _MISSING.match(said)
    if absent:
        where = f"{path}.{absent[1]}" if path else absent[1]
        return missing(where)
    if not path:
        return _BadRequestError(f"Bad Request. {said}.")
    try:
        shown = str(_at(msgspec.json.decode(body), path))[:SHOWN]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # What follows the wrong value is no JSON, and was not read yet.
        return _BadRequestError(f"Bad Request. {said} for parameter '{path}'.")
    msg = f"Invalid value {shown} for parameter '{path}' supplied: {said}."
    return InvalidInputError(msg)


def _at(value: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    """Find what lies at a path of msgspec's, as far as it leads."""
    for name in re.findall(r"\w+", path):
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            break  # Such as the place of a key, which has no name.
    return value


def missing(name: str) -> InvalidInputError:
    """Make the error for a parameter that is not there."""
    return InvalidInputError(
        f"Missing value for required parameter '{name}'. See the API docs for more information "
        "about request parameters."
    )


def required(name: str, value: str) -> str:
    """Check that a text is there.

    Raises:
        InvalidInputError: It is empty.
    """
    if not value:
        raise missing(name)
    return value


def version_number(text: str) -> int:
    """Read the number of a version.

    Raises:
        InvalidInputError: It is none.
    """
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 - as the column holds
        msg = f"Parameter 'version' must be an integer, got '{text[:80]}'."
        raise InvalidInputError(msg)
    return int(text)
