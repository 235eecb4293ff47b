"""Parameters as rules: what may be one's value, how text is read as one, and its type in words."""

from __future__ import annotations

import math
from datetime import date, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from loopline.records.flows import ParameterSpec

__all__ = ["parameter_words", "parse_value", "read_value", "read_values", "type_words"]

_TYPES: dict[str, type] = {
    "int": int, "float": float, "bool": bool, "str": str, "list": list, "dict": dict,
}  # fmt: skip
_EXAMPLES = {
    "int": "3",
    "float": "2.5",
    "bool": "true or false",
    "str": "text",
    "list": "[1, 2]",
    "dict": '{"base": 3}',
    "date": "2022-03-01",
    "datetime": "2022-03-01T12:00:00+01:00",
}


def read_values(
    flow: str, specs: Iterable[ParameterSpec], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values a run gets when it is given these: each as its type has it.

    Raises:
        NotFoundError: The flow has no such parameter; the nearest is told.
        InvalidInputError: A value does not fit its parameter, or one is missing.
    """
    known = {each.name: each for each in specs}
    read = {name: read_value(_known(flow, known, name), value) for name, value in given.items()}
    if missing := [each.name for each in known.values() if each.required and each.name not in read]:
        msg = (
            f"Flow {flow!r} needs a value for: {', '.join(missing)}. "
            f"Give it with --param {missing[0]}=..., or in parameters."
        )
        raise InvalidInputError(msg)
    return read


def _known(flow: str, known: Mapping[str, ParameterSpec], name: str) -> ParameterSpec:
    if name in known:
        return known[name]
    raise NotFoundError.among(
        "parameter",
        name,
        known,
        said=f"The flow {flow!r} has no parameter {name!r}.",
        hint=f"It has: {', '.join(sorted(known)) or 'none'}.",
    )


def read_value(spec: ParameterSpec, value: Any) -> Any:  # noqa: ANN401 - plain data
    """Return a value as its parameter's type has it: ``3`` for ``"3"`` where that is ``int``.

    Raises:
        InvalidInputError: It does not fit.
    """
    if value is None and (spec.is_optional or spec.is_guessed or not spec.type):
        return None
    if spec.choices:
        return _choose(spec, value)
    if spec.type in {"date", "datetime"}:
        return _read_time(spec, value)
    kind = _TYPES.get(spec.type)
    if kind is None or (spec.is_guessed and kind is int and isinstance(value, float)):
        return value  # A default of 3 does not say that 2.5 would be wrong.
    try:
        read: Any = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        raise _wrong(spec, value) from None
    if isinstance(read, float) and not math.isfinite(read):
        raise _wrong(spec, value)
    return read


def _choose(spec: ParameterSpec, value: Any) -> Any:  # noqa: ANN401 - plain data
    for choice in spec.choices:
        if choice == value and isinstance(choice, bool) is isinstance(value, bool):
            return choice
    if isinstance(value, str):
        for choice in spec.choices:
            if msgspec.json.encode(choice).decode() == value:
                return choice
    raise _wrong(spec, value)


def _read_time(spec: ParameterSpec, value: Any) -> Any:  # noqa: ANN401 - text, or a time
    kind = date if spec.type == "date" else datetime
    if isinstance(value, date):
        return value
    try:
        kind.fromisoformat(value)
    except (TypeError, ValueError):
        raise _wrong(spec, value) from None
    return value  # As it was given: the flow reads it, and a zone that is missing is its business.


def _wrong(spec: ParameterSpec, value: object) -> InvalidInputError:
    shown = repr(value)
    shown = shown if len(shown) <= 100 else f"{shown[:100]}…"  # noqa: PLR2004
    msg = f"The parameter {spec.name!r} must be {type_words(spec)}, not {shown}."
    if spec.choices:
        texts = [str(choice) for choice in spec.choices]
        near = get_close_matches(str(value), texts, n=1)
        msg += f" Did you mean {near[0]}?" if near else ""
    else:
        msg += f" Such as {_EXAMPLES[spec.type]}."
    return InvalidInputError(msg)


def parse_value(spec: ParameterSpec | None, text: str) -> Any:  # noqa: ANN401 - plain data
    """Read a value that somebody typed: by the parameter's type, or else as JSON, or as text.

    ``"3"`` stays text where the parameter is ``str``; ``null`` is None where None may be given.

    Raises:
        InvalidInputError: It does not fit.
    """
    if spec is None or not spec.type:
        return _parse_json(text)
    if text == "null" and (spec.is_optional or spec.is_guessed):
        return None
    if spec.type in {"list", "dict"}:
        return read_value(spec, _parse_json(text))
    return read_value(spec, text)


def _parse_json(text: str) -> Any:  # noqa: ANN401 - plain data
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return text


def type_words(spec: ParameterSpec) -> str:
    """Name a parameter's type: ``"int"``, ``"'xgb' or 'cat'"``, ``"str or None"``; or nothing."""
    names = [repr(choice) for choice in spec.choices] or ([spec.type] if spec.type else [])
    if names and spec.is_optional:
        names.append("None")
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)


def parameter_words(spec: ParameterSpec) -> str:
    """Describe a parameter as Python writes it: ``"rows: int = 3"``; ``"month: str"``."""
    kind = type_words(spec)
    head = f"{spec.name}: {kind}" if kind else spec.name
    if spec.required:
        return head
    return f"{head} = {spec.default!r}" if kind else f"{head}={spec.default!r}"
