"""The run context: what a task may ask about the run it is part of.

``context.flow_run_id``, ``context["parameters"]`` and ``context.get("task_name")`` read it; it
is empty outside a task. ``get_run_logger()`` gives the logger whose lines become the run's log.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Mapping

__all__ = ["Context", "context", "get_run_logger", "run_values"]

_NOTHING: Mapping[str, Any] = {}

#: What the engine sets around each task, in whichever thread or process it runs.
run_values: ContextVar[Mapping[str, Any]] = ContextVar("loopline_run_values", default=_NOTHING)


def get_run_logger() -> logging.Logger:
    """Return the logger of the current task; outside a task its lines go to no run."""
    from loopline.flows.logs import task_logger

    return task_logger(run_values.get().get("task_name", ""))


class Context:
    """The values of the current run, by attribute or by key.

    Keys: ``flow_name``, ``flow_run_id``, ``parameters``, ``scheduled_start_time``, ``task_name``,
    ``task_slug``, ``map_index`` (-1 when not mapped), ``task_run_count`` (counted from 1) and
    ``logger``.
    """

    __slots__ = ()

    def get(self, name: str, default: object = None) -> Any:  # noqa: ANN401 - any value
        """Return a value of the current run, or ``default``."""
        return get_run_logger() if name == "logger" else run_values.get().get(name, default)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - any value
        if name == "logger":
            return get_run_logger()
        return run_values.get()[name]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any value
        try:
            return self[name]
        except KeyError:
            known = ", ".join(sorted(run_values.get())) or "nothing: no task is running here"
            msg = f"The run context has no {name!r}. It has {known}."
            raise AttributeError(msg) from None

    def __contains__(self, name: object) -> bool:
        return name == "logger" or name in run_values.get()

    def __iter__(self) -> Iterator[str]:
        return iter(run_values.get())


context = Context()
