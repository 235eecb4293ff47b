"""Parameters: values given when a flow runs; and the tasks that take a result apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loopline.flows.context import run_values
from loopline.flows.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.flows.flow import Flow

__all__ = ["GetItem", "Parameter", "no_default"]


class _NoDefault:
    """Stands for "there is no default", because None may be one."""

    def __repr__(self) -> str:
        return "no_default"

    def __reduce__(self) -> str:
        return "no_default"


no_default: Final = _NoDefault()


class Parameter(Task):
    """A value given when the flow runs: ``flow.run(parameters={"month": "2022-03"})``.

    Args:
        name: Its name, unique in the flow, and its slug.
        default: Its value when none is given.
        required: Whether a value must be given; by default when there is no default.
        tags: Words to find it by.
    """

    def __init__(
        self,
        name: str,
        default: object = no_default,
        required: bool | None = None,  # noqa: FBT001 - Prefect 1's signature
        tags: Iterable[str] | None = None,
    ) -> None:
        self.required = default is no_default if required is None else required
        self.default = None if default is no_default else default
        super().__init__(name=name, slug=name, tags=tags)

    def __call__(self, *, flow: Flow | None = None) -> Any:  # type: ignore[override] # noqa: ANN401
        """Add the parameter to a flow, also when nothing uses it yet."""
        flow = self._flow(flow, "run()")
        flow.add_task(self)
        return self

    def run(self) -> Any:  # noqa: ANN401 - as given
        """Return the value given to the current run."""
        return run_values.get().get("parameters", {}).get(self.name, self.default)


class GetItem(Task):
    """Takes one element of a result: ``result["rmse"]``."""

    def run(self, task_result: Any, key: Any) -> Any:  # noqa: ANN401 - any result
        """Return ``task_result[key]``."""
        return task_result[key]
