"""Annotations of inputs: whether a mapped task takes elements, the whole, or nested elements."""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = ["EdgeAnnotation", "flatten", "mapped", "unmapped"]


class EdgeAnnotation:
    """A value with a word on how a task takes it; annotations of annotations add up.

    Attributes:
        value: A constant, a task, or a structure with tasks in it.
        annotations: ``"mapped"`` and ``"flattened"``, each only when it was said.
    """

    __slots__ = ("annotations", "value")

    own: ClassVar[dict[str, bool]] = {}

    def __init__(self, value: object) -> None:
        self.annotations: dict[str, bool] = dict(self.own)
        if isinstance(value, EdgeAnnotation):
            self.annotations |= value.annotations
            value = value.value
        self.value: Any = value

    def is_mapped(self, *, otherwise: bool) -> bool:
        """Tell whether elements are taken, one by each child."""
        return self.annotations.get("mapped", otherwise)

    @property
    def is_flattened(self) -> bool:
        """Whether the elements of its elements are taken."""
        return self.annotations.get("flattened", False)

    def pipe(self, task: Any, /, **kwargs: Any) -> Any:  # noqa: ANN401 - as Task.pipe
        """Give the value, taken like this, to a task or its ``map``; see ``Task.pipe``."""
        return task(self, **kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class mapped(EdgeAnnotation):  # noqa: N801 - Prefect 1's name
    """Gives a value element by element: ``train(mapped(months))`` is ``train.map(months)``."""

    __slots__ = ()
    own: ClassVar[dict[str, bool]] = {"mapped": True}


class unmapped(EdgeAnnotation):  # noqa: N801 - Prefect 1's name
    """Gives a value whole to every child, where ``map`` would take it element by element."""

    __slots__ = ()
    own: ClassVar[dict[str, bool]] = {"mapped": False}


class flatten(EdgeAnnotation):  # noqa: N801 - Prefect 1's name
    """Gives the elements of a value's elements: ``[[1], [2, 3]]`` is taken as ``[1, 2, 3]``.

    A child of a mapped task that did not succeed stands for one element: its exception.
    """

    __slots__ = ()
    own: ClassVar[dict[str, bool]] = {"flattened": True}
