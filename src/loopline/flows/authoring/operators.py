"""The tasks that Python's operators on tasks make; see ``loopline.flows.authoring.expressions``."""

from __future__ import annotations

import operator
from typing import Any, Final

from loopline.flows.defaults import defaults_from_attrs
from loopline.flows.task import Task

__all__ = [
    "Add",
    "And",
    "Div",
    "Equal",
    "FloorDiv",
    "GetAttr",
    "GetItem",
    "GreaterThan",
    "GreaterThanOrEqual",
    "LessThan",
    "LessThanOrEqual",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "NotEqual",
    "Or",
    "Pow",
    "Sub",
    "no_default",
]


class _NoDefault:
    """Stands for "there is no default", because None may be one."""

    def __repr__(self) -> str:
        return "no_default"

    def __reduce__(self) -> str:
        return "no_default"


no_default: Final = _NoDefault()


class GetItem(Task):
    """Takes one element of a result: ``result["rmse"]``.

    Args:
        default: What it is when there is no such key; by default the task fails.
        **options: Those of ``Task``.
    """

    def __init__(self, default: object = no_default, **options: Any) -> None:  # noqa: ANN401
        self.default = default
        super().__init__(**options)

    @defaults_from_attrs("default")
    def run(self, task_result: Any, key: Any, default: Any = no_default) -> Any:  # noqa: ANN401
        """Return ``task_result[key]``."""
        try:
            return task_result[key]
        except KeyError:
            if default is no_default:
                raise
            return default


class GetAttr(Task):
    """Takes an attribute of a result: ``GetAttr()(model, "best_score_")``.

    Args:
        default: What it is when there is no such attribute; by default the task fails.
        **options: Those of ``Task``.
    """

    def __init__(self, default: object = no_default, **options: Any) -> None:  # noqa: ANN401
        self.default = default
        super().__init__(**options)

    @defaults_from_attrs("default")
    def run(self, task_result: Any, attr: str, default: Any = no_default) -> Any:  # noqa: ANN401
        """Return ``task_result.attr``; ``"model.depth"`` goes deeper."""
        try:
            return operator.attrgetter(attr)(task_result)
        except AttributeError:
            if default is no_default:
                raise
            return default


class Add(Task):
    """Computes ``x + y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401 - any values
        """Return ``x + y``."""
        return x + y


class Sub(Task):
    """Computes ``x - y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x - y``."""
        return x - y


class Mul(Task):
    """Computes ``x * y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x * y``."""
        return x * y


class Div(Task):
    """Computes ``x / y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x / y``."""
        return x / y


class FloorDiv(Task):
    """Computes ``x // y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x // y``."""
        return x // y


class Mod(Task):
    """Computes ``x % y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x % y``."""
        return x % y


class Pow(Task):
    """Computes ``x ** y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x ** y``."""
        return x**y


class Neg(Task):
    """Computes ``-x``."""

    def run(self, x: Any) -> Any:  # noqa: ANN401
        """Return ``-x``."""
        return -x


class And(Task):
    """Computes ``x and y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x and y``."""
        return x and y


class Or(Task):
    """Computes ``x or y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x or y``."""
        return x or y


class Not(Task):
    """Computes ``not x``."""

    def run(self, x: Any) -> Any:  # noqa: ANN401
        """Return ``not x``."""
        return not x


class Equal(Task):
    """Computes ``x == y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x == y``."""
        return x == y


class NotEqual(Task):
    """Computes ``x != y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x != y``."""
        return x != y


class GreaterThan(Task):
    """Computes ``x > y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x > y``."""
        return x > y


class GreaterThanOrEqual(Task):
    """Computes ``x >= y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x >= y``."""
        return x >= y


class LessThan(Task):
    """Computes ``x < y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x < y``."""
        return x < y


class LessThanOrEqual(Task):
    """Computes ``x <= y``."""

    def run(self, x: Any, y: Any) -> Any:  # noqa: ANN401
        """Return ``x <= y``."""
        return x <= y
