"""``defaults_from_attrs``: arguments of ``run`` that fall back to attributes of the task."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["defaults_from_attrs"]

P = ParamSpec("P")
R = TypeVar("R")


def defaults_from_attrs(*names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let arguments of ``run`` that are not given be the task's attributes of the same names.

    An argument given as None is None. So a task made once, such as ``Fetch(source="s3://...")``,
    is a template whose calls may say otherwise.
    """

    def decorate(run: Callable[P, R]) -> Callable[P, R]:
        order = list(inspect.signature(run).parameters)

        @wraps(run)
        def wrapped(*args: Any, **kwargs: Any) -> R:  # noqa: ANN401 - as run's
            by_position = order[: len(args)]
            for name in names:
                if name not in kwargs and name not in by_position:
                    kwargs[name] = getattr(args[0], name)
            return run(*args, **kwargs)

        return cast("Callable[P, R]", wrapped)

    return decorate
