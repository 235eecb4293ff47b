"""Sources: what a flow is made of, as data that is equal in every process that defines it alike.

A version's identity must not change between processes, so nothing here depends on pickle bytes,
object addresses or the order of sets.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
import textwrap
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["describe_function", "describe_value", "is_importable"]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PLAIN = (bool, int, float, str, type(None))
_DEEPEST = 8


def is_importable(thing: Any) -> bool:  # noqa: ANN401 - anything with a name
    """Tell whether ``module.qualname`` finds this very object, outside ``__main__``."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    if module is None or module.__name__ == "__main__":
        return False
    found: Any = module
    for part in getattr(thing, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found is thing


def describe_function(thing: FunctionType | type) -> dict[str, Any]:
    """Describe a function or class that travels by value.

    Returns:
        Its name, source text, defaults, closure, and the plain values of the globals it uses.
    """
    described: dict[str, Any] = {"name": thing.__qualname__, "source": _source(thing)}
    if isinstance(thing, FunctionType):
        described["defaults"] = describe_value([thing.__defaults__, thing.__kwdefaults__])
        cells = [_cell(cell) for cell in thing.__closure__ or ()]
        described["closure"] = describe_value(cells)
        described["globals"] = {
            name: describe_value(thing.__globals__[name])
            for name in sorted(_names(thing.__code__))
            if name in thing.__globals__
        }
    return described


def describe_value(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any data
    """Describe a value as plain data: containers in order, other objects by type and content."""
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN is no JSON
        return "nan"
    if isinstance(value, _PLAIN):
        return value if type(value) in _PLAIN else [_type_name(value), str(value)]
    if isinstance(value, bytes | bytearray):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    if isinstance(value, FunctionType | type):
        return ["defined", value.__module__ or "", value.__qualname__]
    if isinstance(value, ModuleType):
        return ["module", value.__name__]
    if depth > _DEEPEST:
        return [_type_name(value)]
    if isinstance(value, list | tuple):
        return [describe_value(item, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        return ["set", *sorted(repr(describe_value(item, depth + 1)) for item in value)]
    if isinstance(value, dict):
        pairs = [(str(key), describe_value(item, depth + 1)) for key, item in value.items()]
        return dict(sorted(pairs, key=lambda pair: pair[0]))
    return _describe_object(value, depth)


def _describe_object(value: Any, depth: int) -> Any:  # noqa: ANN401 - any object
    name = _type_name(value)
    shows_itself = "__repr__" in {key for kind in type(value).__mro__[:-1] for key in vars(kind)}
    if shows_itself and not name.startswith("loopline."):
        return [name, _ADDRESS.sub("", repr(value))]
    attributes = {
        key: item
        for key, item in sorted(getattr(value, "__dict__", {}).items())
        if not key.startswith("_")
    }
    return [name, describe_value(attributes, depth + 1)]


def _type_name(value: Any) -> str:  # noqa: ANN401 - any object
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _source(thing: FunctionType | type) -> str:
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):  # Typed at a prompt, or made by exec().
        if isinstance(thing, FunctionType):
            return repr(_describe_code(thing.__code__))
        return repr(sorted(vars(thing)))


def _describe_code(code: CodeType) -> list[Any]:
    constants = [
        _describe_code(constant) if isinstance(constant, CodeType) else describe_value(constant)
        for constant in code.co_consts
    ]
    return [code.co_code.hex(), code.co_names, code.co_varnames, constants]


def _names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def _cell(cell: Any) -> Any:  # noqa: ANN401 - a closure's cell
    try:
        return cell.cell_contents
    except ValueError:  # Not bound yet.
        return None
