"""Names of task runs: from a template or a function, the task's arguments and the run's context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.flows.context import context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopline.flows.task import Task

__all__ = ["name_task_run"]


class _Names(dict[str, Any]):
    """The names a template may use; what else the run context has is found there."""

    def __missing__(self, key: str) -> Any:  # noqa: ANN401 - any value
        if key not in context:
            raise KeyError(key)
        return context[key]


def name_task_run(
    task: Task,
    arguments: Mapping[str, Any],
    values: Mapping[str, Any],
    complain: Callable[[str], object],
) -> str:
    """Name a run of a task; a name is no reason to fail, so one that cannot be made is told of.

    Args:
        task: The task, whose ``task_run_name`` is a template or a function.
        arguments: The arguments of its run; these come first.
        values: The run context, whose parameters come next, and last the task's own defaults.
        complain: Told why the name could not be made; the name is then the template.
    """
    wanted = task.task_run_name
    # What Prefect 1 knows comes first; defaults of the task's arguments are found where it fails.
    defaults = {
        each.name: each.default
        for each in task.signature().parameters.values()
        if each.default is not each.empty and each.name not in context
    }
    names = _Names({**defaults, **values.get("parameters", {}), **values, **arguments})
    try:
        return wanted.format_map(names) if isinstance(wanted, str) else str(wanted(**names))  # type: ignore[misc]
    except Exception as error:  # noqa: BLE001 - the user's function or values; it is reported
        complain(
            f"The name of this task run could not be made of {wanted!r}: {error!r}. There are "
            "the task's arguments, the run context and the flow's parameters to choose from."
        )
        return wanted if isinstance(wanted, str) else ""
