"""The run context: what a task may ask about the run it is part of.

``context.flow_run_id``, ``context["parameters"]`` and ``context.get("task_name")`` read it; it
is empty outside a run, but for what ``with context(month="2022-03"):`` puts there.
``get_run_logger()`` gives the logger whose lines become the run's log.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Mapping

__all__ = ["Context", "context", "get_run_logger", "run_values"]

_NOTHING: Mapping[str, Any] = {}
#: Days that are told by the run's date, and how far they are from it.
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}

#: What the engine sets around each task, in whichever thread or process it runs.
run_values: ContextVar[Mapping[str, Any]] = ContextVar("loopline_run_values", default=_NOTHING)


def get_run_logger() -> logging.Logger:
    """Return the logger of the current task; outside a task its lines go to no run."""
    from loopline.flows.running.logs import task_logger

    return task_logger(run_values.get().get("task_name", ""))


def _made(name: str, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any value
    """Make a value that is there when somebody asks.

    Raises:
        KeyError: There is no such value.
    """
    if name == "logger":
        return get_run_logger()
    if name == "secrets":
        from loopline.flows.secrets import local_secrets

        return local_secrets()
    if name == "config":
        from loopline import settings

        return settings
    if not values:
        raise KeyError(name)
    if name == "task_full_name" and "task_name" in values:
        index = values.get("map_index", -1)
        return values["task_name"] + (f"[{index}]" if index >= 0 else "")
    if name == "date":
        return values.get("scheduled_start_time") or datetime.now(UTC)
    day, _, form = name.partition("_")
    if day in _DAYS and form in {"", "nodash"}:
        at = values.get("date") or _made("date", values)
        text = (at + timedelta(days=_DAYS[day])).strftime("%Y-%m-%d")
        return text.replace("-", "") if form else text
    raise KeyError(name)


class Context:
    """The values of the current run, by attribute or by key.

    Keys: ``flow_name``, ``flow_run_id``, ``parameters``, ``scheduled_start_time``, ``date``,
    ``today``, ``yesterday`` and ``tomorrow`` (``"2022-03-01"``; with ``_nodash``:
    ``"20220301"``), ``task_name``, ``task_full_name`` (``"fare[2]"`` when mapped),
    ``task_slug``, ``map_index`` (-1 when not mapped),
    ``task_run_count`` (counted from 1), ``task_loop_count`` and ``task_loop_result`` of a task
    that loops, ``resume`` (whether a paused task goes on), ``secrets``, ``config`` and ``logger``.
    """

    __slots__ = ()

    @contextmanager
    def __call__(
        self, values: Mapping[str, Any] | None = None, /, **more: Any  # noqa: ANN401
    ) -> Iterator[Context]:  # fmt: skip
        """Have these values in the context, too, for the time of a ``with`` block."""
        before = run_values.set({**run_values.get(), **(values or {}), **more})
        try:
            yield self
        finally:
            run_values.reset(before)

    def get(self, name: str, default: object = None) -> Any:  # noqa: ANN401 - any value
        """Return a value of the current run, or ``default``."""
        try:
            return self[name]
        except KeyError:
            return default

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - any value
        values = run_values.get()
        return values[name] if name in values else _made(name, values)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any value
        try:
            return self[name]
        except KeyError:
            known = ", ".join(sorted(run_values.get())) or "nothing: no task is running here"
            msg = f"The run context has no {name!r}. It has {known}."
            raise AttributeError(msg) from None

    def __setitem__(self, name: str, value: object) -> None:
        """Put a value there, for the rest of the task."""
        run_values.set({**run_values.get(), name: value})

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def update(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> None:  # noqa: ANN401
        """Put several values there, for the rest of the task."""
        run_values.set({**run_values.get(), **(values or {}), **more})

    def to_dict(self) -> dict[str, Any]:
        """Return the values that were set."""
        return dict(run_values.get())

    def __contains__(self, name: object) -> bool:
        return self.get(str(name), self) is not self

    def __iter__(self) -> Iterator[str]:
        return iter(run_values.get())


context = Context()
