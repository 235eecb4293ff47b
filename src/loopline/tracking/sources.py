"""The source of a function or class, in one form, and its hash."""

from __future__ import annotations

import hashlib
import inspect
import re
import textwrap
from types import CodeType, FunctionType
from typing import Any

__all__ = ["function_of", "source_digest", "source_text"]

_DEFINITION = re.compile(r"^(?:async\s+def|def|class)\b", re.MULTILINE)


def source_text(thing: Any) -> str:  # noqa: ANN401 - a function or class
    """Get the source from its first word on: no decorators, no indentation around it.

    What has no source (typed at a prompt, made by ``exec``) is told by its bytecode, which is
    the same for the same code on the same Python.
    """
    thing = inspect.unwrap(thing)
    try:
        text = textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        code = getattr(thing, "__code__", None)
        return repr(_describe(code)) if code is not None else repr(sorted(vars(thing)))
    start = _DEFINITION.search(text)
    if start is not None:  # A lambda has none: its line is all there is.
        text = text[start.start() :]
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())


def source_digest(thing: Any) -> str:  # noqa: ANN401 - a function or class
    """Hash the source of a function or class: SHA-256 in hex."""
    return hashlib.sha256(source_text(thing).encode()).hexdigest()


def _describe(code: CodeType) -> list[Any]:
    constants = [
        _describe(constant) if isinstance(constant, CodeType) else _constant(constant)
        for constant in code.co_consts
    ]
    return [code.co_code.hex(), code.co_names, code.co_varnames, constants]


def _constant(value: Any) -> str:  # noqa: ANN401 - what a function's code holds
    # A set's order differs between processes.
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def function_of(thing: Any) -> FunctionType | None:  # noqa: ANN401 - anything
    """Get the function written in Python under wrappers, or behind a method; None: neither."""
    found = inspect.unwrap(getattr(thing, "__func__", thing)) if callable(thing) else None
    return found if isinstance(found, FunctionType) else None
