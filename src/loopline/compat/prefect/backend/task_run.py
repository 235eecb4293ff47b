"""``prefect.backend.task_run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.errors import NotFoundError
from loopline.flows.running.results import NOT_KEPT, load_reference
from loopline.flows.states import make_state
from loopline.records.flows import StateKind
from loopline.records.operations import ListTaskRuns
from loopline.rules.words import task_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.flows.states import State
    from loopline.records.flows import TaskRun

__all__ = ["TaskRunView"]


class TaskRunView:
    """A task run, as it was when it was looked up.

    Attributes:
        task_run_id: ``"FLOW RUN/SLUG/INDEX"``.
        task_slug: The task in its flow.
        map_index: Which child of a mapped task; -1: the task itself.
        flow_run_id: The flow run it belongs to.
        state: Where it stands.
        name: What ``task_run_name`` made of it, or else the slug, with the index of a child.
    """

    def __init__(self, run: TaskRun, flow_run_id: str) -> None:
        self._run = run
        self.flow_run_id = flow_run_id
        self.task_slug = run.task_slug
        self.map_index = run.map_index
        self.task_run_id = f"{flow_run_id}/{run.task_slug}/{run.map_index}"
        self.name = run.name or task_words(run.task_slug, run.map_index)
        self.state: State = make_state(run.state, run.message)

    @classmethod
    def from_task_run_id(cls, task_run_id: str | None = None) -> TaskRunView:
        """Look one up by the id that another view says.

        Raises:
            NotFoundError: There is none.
        """
        flow_run_id, slug, index = [*str(task_run_id).split("/"), "", ""][:3]
        if not slug or not index.lstrip("-").isdecimal():
            msg = f"{task_run_id!r} is no id of a task run. Take it from a FlowRunView."
            raise NotFoundError(msg)
        return cls.from_task_slug(slug, flow_run_id, int(index))

    @classmethod
    def from_task_slug(cls, task_slug: str, flow_run_id: str, map_index: int = -1) -> TaskRunView:
        """Look one up.

        Raises:
            NotFoundError: There is none.
        """
        runs = get_recorder().backend.call(ListTaskRuns(flow_run_id=flow_run_id))
        for run in runs:
            if run.task_slug == task_slug and run.map_index == map_index:
                return cls(run, flow_run_id)
        known = ", ".join(sorted({run.task_slug for run in runs})[:20]) or "none yet"
        msg = f"Flow run {flow_run_id} has no task run {task_slug!r}. It has {known}."
        raise NotFoundError(msg)

    def get_latest(self) -> TaskRunView:
        """Look it up again."""
        return self.from_task_slug(self.task_slug, self.flow_run_id, self.map_index)

    def get_result(self) -> Any:
        """Return what it returned; of a mapped task a list of what its children did.

        Raises:
            NotFoundError: Nothing was kept.
        """
        if self._run.state is StateKind.MAPPED:
            return [child.get_result() for child in self.iter_mapped()]
        if self._run.result == NOT_KEPT:
            msg = f"No result of {self.name} was kept; it is {self._run.state.value}."
            raise NotFoundError(msg)
        return load_reference(self._run.result, get_recorder().backend.open_blob)

    def iter_mapped(self) -> Iterator[TaskRunView]:
        """Give the children of a mapped task, in order."""
        runs = get_recorder().backend.call(ListTaskRuns(flow_run_id=self.flow_run_id))
        children = [run for run in runs if run.task_slug == self.task_slug and run.map_index >= 0]
        for run in sorted(children, key=lambda each: each.map_index):
            yield TaskRunView(run, self.flow_run_id)

    def __repr__(self) -> str:
        return f"<TaskRunView: {self.name}, {type(self.state).__name__}>"
