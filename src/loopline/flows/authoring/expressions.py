"""Expressions: what Python's operators on tasks mean, such as ``rmse[1] - rmse[0] > 0.1``.

Each makes a task that computes the same once the results are there. ``==`` and ``!=`` cannot:
Python needs them to tell tasks apart, so they have names, ``is_equal`` and ``is_not_equal``.
What needs the value while the flow is built (``if``, ``for``, ``int(...)``) is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from loopline.errors import TaskValueError
from loopline.flows.authoring.active import active_flow

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Expression"]

#: Comparing a task with one of these can only be meant for its value.
_PLAIN = (str, bytes, int, float, complex)


class Expression:
    """The operators of tasks. Results are Any: tasks here, values of any type in the run."""

    name: str
    nout: int | None

    def __add__(self, other: object) -> Any:  # noqa: ANN401 - see the class
        return _make("Add", self, other)

    def __radd__(self, other: object) -> Any:  # noqa: ANN401
        return _make("Add", other, self)

    def __sub__(self, other: object) -> Any:  # noqa: ANN401
        return _make("Sub", self, other)

    def __rsub__(self, other: object) -> Any:  # noqa: ANN401
        return _make("Sub", other, self)

    def __mul__(self, other: object) -> Any:  # noqa: ANN401
        return _make("Mul", self, other)

    def __rmul__(self, other: object) -> Any:  # noqa: ANN401
        return _make("Mul", other, self)

    def __truediv__(self, other: object) -> Any:  # noqa: ANN401
        return _make("Div", self, other)

    def __rtruediv__(self, other: object) -> Any:  # noqa: ANN401
        return _make("Div", other, self)

    def __floordiv__(self, other: object) -> Any:  # noqa: ANN401
        return _make("FloorDiv", self, other)

    def __rfloordiv__(self, other: object) -> Any:  # noqa: ANN401
        return _make("FloorDiv", other, self)

    def __mod__(self, other: object) -> Any:  # noqa: ANN401
        return _make("Mod", self, other)

    def __rmod__(self, other: object) -> Any:  # noqa: ANN401
        return _make("Mod", other, self)

    def __pow__(self, other: object) -> Any:  # noqa: ANN401
        return _make("Pow", self, other)

    def __rpow__(self, other: object) -> Any:  # noqa: ANN401
        return _make("Pow", other, self)

    def __neg__(self) -> Any:  # noqa: ANN401
        return _make("Neg", self)

    def __and__(self, other: object) -> Any:  # noqa: ANN401
        return _make("And", self, other)

    def __rand__(self, other: object) -> Any:  # noqa: ANN401
        return _make("And", other, self)

    def __lt__(self, other: object) -> Any:  # noqa: ANN401
        return _make("LessThan", self, other)

    def __le__(self, other: object) -> Any:  # noqa: ANN401
        return _make("LessThanOrEqual", self, other)

    def __gt__(self, other: object) -> Any:  # noqa: ANN401
        return _make("GreaterThan", self, other)

    def __ge__(self, other: object) -> Any:  # noqa: ANN401
        return _make("GreaterThanOrEqual", self, other)

    def is_equal(self, other: object) -> Any:  # noqa: ANN401
        """Compute ``self == other``."""
        return _make("Equal", self, other)

    def is_not_equal(self, other: object) -> Any:  # noqa: ANN401
        """Compute ``self != other``."""
        return _make("NotEqual", self, other)

    def and_(self, other: object) -> Any:  # noqa: ANN401
        """Compute ``self and other``, as ``self & other`` does."""
        return _make("And", self, other)

    def or_(self, other: object) -> Any:  # noqa: ANN401
        """Compute ``self or other``; ``self | other`` says what runs before what."""
        return _make("Or", self, other)

    def not_(self) -> Any:  # noqa: ANN401
        """Compute ``not self``."""
        return _make("Not", self)

    def __getitem__(self, key: object) -> Any:  # noqa: ANN401
        """Compute ``self[key]``, kept as ``self`` is; the key may be a task's result as well."""
        from loopline.flows.authoring.operators import GetItem

        shown = key.name if isinstance(key, Expression) else repr(key)
        kept: dict[str, Any] = {"checkpoint": getattr(self, "checkpoint", None)}
        result = getattr(self, "result", None)
        if result is not None:
            # In the same bucket, and not at the same place: it would lie over the whole.
            kept["result"] = result.copy()
            kept["result"].location = None
        return GetItem(name=f"{self.name}[{shown}]", **kept).bind(self, key)

    def __iter__(self) -> Iterator[Any]:
        if self.nout is None:
            msg = (
                f"The result of task {self.name!r} is not there before the flow runs, so it cannot "
                "be iterated over. Say how many values it returns with @task(nout=...) or with an "
                "annotation such as -> tuple[float, int], or use another task's .map(...)."
            )
            raise TaskValueError(msg)
        return iter([self[index] for index in range(self.nout)])

    # --- what cannot be ----------------------------------------------------------------------

    def __bool__(self) -> bool:
        """Refuse ``if result:`` while the flow is built; a task outside of one is true."""
        if self._is_in_active_flow():
            msg = (
                f"The value of {self.name!r} is not known before the flow runs, so `if`, "
                "`while`, `and`, `or` and `not` cannot ask for it here. Write "
                "`with case(result, True): ...` instead of `if result: ...`, and `&`, .or_(...) "
                "and .not_() instead of the words."
            )
            raise TaskValueError(msg)
        return True

    def __eq__(self, other: object) -> bool:
        """Tell tasks apart; refuse what looks like asking for the value."""
        if self is other:
            return True
        if isinstance(other, _PLAIN) and self._is_in_active_flow():
            msg = (
                f"`==` and `!=` compare the task {self.name!r} itself, not its value, with "
                f"{other!r}. Write result.is_equal({other!r}) or is_not_equal, or "
                f"`with case(result, {other!r}): ...`."
            )
            raise TaskValueError(msg)
        return NotImplemented

    __hash__ = object.__hash__

    def __index__(self) -> int:  # noqa: PLE0305 - it never returns
        self._refuse()

    def __int__(self) -> int:
        self._refuse()

    def __float__(self) -> float:
        self._refuse()

    def _refuse(self) -> NoReturn:
        msg = (
            f"The task {self.name!r} is no number while the flow is built. Do in a task what needs "
            "the value; to do something for each of many values, use .map(...)."
        )
        raise TaskValueError(msg)

    def _is_in_active_flow(self) -> bool:
        flow = active_flow.get()
        return flow is not None and self in flow.slugs


def _make(kind: str, *values: object) -> Any:  # noqa: ANN401 - see Expression
    from loopline.flows.authoring import operators

    return getattr(operators, kind)().bind(*values)
