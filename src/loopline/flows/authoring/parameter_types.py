"""Types of parameters: values checked by an annotation, and the annotation named as data."""

from __future__ import annotations

import types
import typing
from datetime import date, datetime
from enum import Enum
from typing import Any

import msgspec

from loopline.errors import InvalidInputError
from loopline.records.flows import ParameterSpec

__all__ = ["convert", "describe_parameter"]

#: Names of types, those that are also another's first: a bool is an int, a datetime a date.
_NAMES: dict[type, str] = {
    bool: "bool", int: "int", float: "float", str: "str", datetime: "datetime", date: "date",
    list: "list", tuple: "list", set: "list", frozenset: "list", dict: "dict",
}  # fmt: skip


def convert(name: str, value: Any, hint: Any) -> Any:  # noqa: ANN401 - any value, any annotation
    """Read a value as an annotation says: ``"3"`` is an ``int``, too, as people type it.

    Raises:
        InvalidInputError: It does not fit.
    """
    if isinstance(hint, type) and isinstance(value, hint):
        return value
    try:
        return msgspec.convert(value, hint, strict=False)
    except msgspec.ValidationError as error:
        shown = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        msg = f"The parameter {name!r} must be {shown}, not {value!r}: {error}."
        raise InvalidInputError(msg) from None
    except TypeError:
        return value  # An annotation that says nothing about values, such as a protocol.


def describe_parameter(
    name: str,
    hint: Any,  # noqa: ANN401 - any annotation
    default: object,
    *,
    required: bool,
    plain: Any,  # noqa: ANN401 - plain data
) -> ParameterSpec:
    """Describe a parameter as data.

    Args:
        name: Its name.
        hint: Its annotation; None: nobody gave one, so the default's type is guessed to be it.
        default: Its default, as the program gave it.
        required: Whether a value must be given.
        plain: The default as plain data.
    """
    if hint is None:
        kind = next((word for each, word in _NAMES.items() if isinstance(default, each)), "")
        return ParameterSpec(
            name=name, required=required, default=plain, type=kind, is_guessed=bool(kind)
        )
    kind, choices, is_optional = _read(hint)
    return ParameterSpec(
        name=name,
        required=required,
        default=plain,
        type=kind,
        choices=choices,
        is_optional=bool(kind) and (is_optional or (default is None and not required)),
    )


def _read(hint: Any) -> tuple[str, list[Any], bool]:  # noqa: ANN401 - any annotation
    """Name an annotation's type, list its choices, tell whether it takes None."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _read(typing.get_args(hint)[0])
    if origin in {typing.Union, types.UnionType}:
        members = typing.get_args(hint)
        others = [each for each in members if each is not type(None)]
        if len(others) == 1:
            kind, choices, _ = _read(others[0])
            return kind, choices, len(others) < len(members)
        return "", [], False  # One of several types: the flow's process checks it.
    if origin is typing.Literal:
        return _of_choices(list(typing.get_args(hint)))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _of_choices([each.value for each in hint])
    kind = origin or hint
    return (_NAMES.get(kind, "") if isinstance(kind, type) else ""), [], False


def _of_choices(values: list[Any]) -> tuple[str, list[Any], bool]:
    choices = [value for value in values if value is not None]
    kinds = {_NAMES.get(type(value), "") for value in choices}
    if len(kinds) == 1 and kinds <= {"str", "int"}:
        return kinds.pop(), choices, len(choices) < len(values)
    return "", [], False
