"""Control flow: parts of a flow that run only when a result says so, and lead together again.

``case`` is a ``with`` block, ``switch`` and ``ifelse`` choose among tasks made before, ``merge``
takes the result of the branch that ran, ``FilterTask`` drops what a mapped task could not do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import FlowBuildError
from loopline.flows.authoring.active import active_blocks, tags
from loopline.flows.authoring.gathering import as_task
from loopline.flows.resources import ResourceManager, resource_manager
from loopline.flows.signals import SKIP
from loopline.flows.task import Task, task
from loopline.flows.triggers import all_finished, not_all_skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextvars import Token

    from loopline.flows.authoring.active import Block
    from loopline.flows.flow import Flow

__all__ = [
    "CompareValue",
    "FilterTask",
    "Merge",
    "ResourceManager",
    "case",
    "ifelse",
    "merge",
    "resource_manager",
    "switch",
]


class CompareValue(Task):
    """Skips itself, and so what follows, when a result is not the value it wants.

    Args:
        value: The value.
        **options: Those of ``Task``.
    """

    def __init__(self, value: object, **options: Any) -> None:  # noqa: ANN401 - Task's options
        self.value = value
        options.setdefault("name", f"CompareValue: {value!r}")
        super().__init__(**options)

    def run(self, value: Any) -> None:  # noqa: ANN401 - any result
        """Compare a result.

        Raises:
            SKIP: It is not the value.
        """
        if value != self.value:
            msg = f"It is {value!r}, and this is for {self.value!r}."
            raise SKIP(msg)


class case:  # noqa: N801 - Prefect 1's name
    """A block of tasks that run only when a result equals a value: ``with case(best, "xgb"): ...``.

    Otherwise they are skipped, with all that follows and does not say
    ``skip_on_upstream_skip=False``; ``merge`` brings branches together again.

    Args:
        task: The task whose result is compared.
        value: The value; not a task.

    Raises:
        FlowBuildError: The value is a task, or the block adds to more than one flow.
    """

    def __init__(self, task: Any, value: object) -> None:  # noqa: ANN401 - a result, of any type
        if isinstance(value, Task):
            msg = (
                f"case(..., {value!r}) cannot compare two results. Write "
                "`with case(one.is_equal(other), True): ...`."
            )
            raise FlowBuildError(msg)
        self.task = task
        self.value = value
        self._flow: Any = None
        self._tasks: dict[Task, None] = {}
        self._before: Token[dict[str, Block]] | None = None

    def add_task(self, task: Task, flow: Any) -> None:  # noqa: ANN401 - a flow
        """Take note of a task added to a flow inside the block."""
        if self._flow is None:
            self._flow = flow
        elif self._flow is not flow:
            msg = "One case block can only add to one flow. Write a block for each flow."
            raise FlowBuildError(msg)
        self._tasks[task] = None

    def __enter__(self) -> None:
        self._before = active_blocks.set({**active_blocks.get(), "case": self})

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            active_blocks.reset(self._before)
            self._before = None
        if not self._tasks:
            return
        gate = CompareValue(self.value, name=f"case({self.value})")
        gate.bind(value=self.task, flow=self._flow)
        for each in self._tasks:
            # What comes after another task of the block waits for the gate through that one.
            if self._tasks.keys().isdisjoint(self._flow.upstream_tasks(each)):
                self._flow.add_upstream(each, gate)
        self._tasks = {}


def switch(condition: Any, cases: Mapping[Any, Any], mapped: bool = False) -> None:  # noqa: ANN401, FBT001, FBT002 - a result, of any type; Prefect 1's signature
    """Run the task whose key equals a result, and skip the others.

    Args:
        condition: The task whose result is compared.
        cases: A task for each value.
        mapped: Do so for each element of the result.
    """
    with tags("switch"):
        for value, chosen in cases.items():
            branch = as_task(chosen)
            gate = CompareValue(value).bind(value=condition, mapped=mapped)
            branch.set_dependencies(upstream_tasks=[gate], mapped=mapped)


@task
def as_bool(x: Any) -> bool:  # noqa: ANN401 - any result
    """Tell whether a result is true."""
    return bool(x)


def ifelse(
    condition: Any,  # noqa: ANN401 - a result, of any type
    true_task: Any,  # noqa: ANN401 - a task, or a value to merge
    false_task: Any,  # noqa: ANN401 - likewise
    mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
) -> None:
    """Run one of two tasks, as a result is true or not, and skip the other.

    Args:
        condition: The task whose result decides.
        true_task: Runs when it is true; None: nothing does.
        false_task: Runs when it is not; None: nothing does.
        mapped: Do so for each element of the result.
    """
    branches = {True: true_task, False: false_task}
    cases = {value: branch for value, branch in branches.items() if branch is not None}
    if cases:
        switch(as_bool(condition, mapped=mapped), cases, mapped)


class Merge(Task):
    """Takes the result of the branch that ran.

    It is skipped when all branches were.

    Args:
        **options: Those of ``Task``; ``skip_on_upstream_skip`` can only be False.

    Raises:
        FlowBuildError: It is True.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - Task's options
        if options.setdefault("skip_on_upstream_skip", False):
            msg = "merge is for branches that were skipped: leave skip_on_upstream_skip out."
            raise FlowBuildError(msg)
        options.setdefault("trigger", not_all_skipped)
        super().__init__(**options)

    def run(self, **task_results: Any) -> Any:  # noqa: ANN401 - any results
        """Return the first result that is not None, in the order the branches were given."""

        def number(name: str) -> tuple[int, str]:
            return len(name), name

        found = (task_results[name] for name in sorted(task_results, key=number))
        return next((result for result in found if result is not None), None)


def merge(*tasks: Any, flow: Flow | None = None, mapped: bool = False, **options: Any) -> Any:  # noqa: ANN401 - tasks, or values; options of Task
    """Bring branches together again: the result is that of the branch that ran.

    Args:
        *tasks: The last task of each branch; several in a list are one branch.
        flow: The flow, instead of the one of the ``with`` block.
        mapped: Do so for each element of the results.
        **options: Those of ``Task``.
    """
    branches = {f"task_{number}": _branch(each, flow) for number, each in enumerate(tasks, 1)}
    return Merge(**options).bind(flow=flow, mapped=mapped, **branches)


def _branch(value: Any, flow: Flow | None) -> Any:  # noqa: ANN401 - a task or a value
    """Make one task of a list of tasks: skipped tasks in a list must not count as a result."""
    return as_task(value, flow) if type(value) in {list, tuple, set, dict} else value


class FilterTask(Task):
    """Keeps the results that a function wants; by default those that are neither None nor errors.

    It runs whatever became of the tasks before it, so that a mapped task may fail for some.

    Args:
        filter_func: Gets one result and tells whether to keep it.
        log_func: Gets the list that is kept; what it returns goes to the run's log.
        **options: Those of ``Task``.
    """

    def __init__(
        self,
        filter_func: Callable[[Any], bool] | None = None,
        log_func: Callable[[Any], str] | None = None,
        **options: Any,  # noqa: ANN401 - Task's options
    ) -> None:
        self.filter_func = filter_func or _is_result
        self.log_func = log_func
        options.setdefault("skip_on_upstream_skip", False)
        options.setdefault("trigger", all_finished)
        super().__init__(**options)

    def run(self, task_results: Iterable[Any]) -> list[Any]:
        """Return the results that are wanted, in their order."""
        kept = [result for result in task_results if self.filter_func(result)]
        if self.log_func is not None:
            self.logger.info(self.log_func(kept))
        return kept


def _is_result(result: object) -> bool:
    return result is not None and not isinstance(result, BaseException)
