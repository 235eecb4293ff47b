"""Constants: a plain value as a task, where a task is needed."""

from __future__ import annotations

from typing import Any

from loopline.flows.task import Task

__all__ = ["Constant"]

#: A longer text of a value makes no good name.
_LONGEST_NAME = 8


class Constant(Task):
    """A task whose result is a value that is known already.

    As an argument of another task it is just its value, and no task of the flow.

    Args:
        value: The value.
        name: What people read; the value itself when it is short, else its type.
        **options: Those of ``Task``.
    """

    def __init__(self, value: object, name: str | None = None, **options: Any) -> None:  # noqa: ANN401
        self.value = value
        shown = repr(value)
        if len(shown) > _LONGEST_NAME:
            shown = f"Constant[{type(value).__name__}]"
        super().__init__(name=name or shown, **options)

    def run(self) -> Any:  # noqa: ANN401 - any value
        """Return the value."""
        return self.value
