"""The arguments of a call: read by name, and one of them replaced."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bound", "with_argument"]


def bound(
    original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Tell the arguments of a call by name, with defaults.

    When they do not fit, the named ones are all there is: the library itself will complain.
    """
    try:
        arguments = inspect.signature(original).bind(*args, **kwargs)
    except TypeError:
        return dict(kwargs)
    arguments.apply_defaults()
    return dict(arguments.arguments)


def with_argument(
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: str,
    value: Any,  # noqa: ANN401 - any argument
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give one argument another value, by position where it was given so."""
    names = list(inspect.signature(original).parameters)
    position = names.index(name) if name in names else len(args)
    if position < len(args):
        return (*args[:position], value, *args[position + 1 :]), kwargs
    return args, {**kwargs, name: value}
