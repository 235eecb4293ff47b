"""``prefect.backend.flow_run``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from loopline.backend.recorder import get_recorder
from loopline.compat.prefect.backend.flow import FlowView
from loopline.compat.prefect.backend.task_run import TaskRunView
from loopline.compat.prefect.refusals import refusing
from loopline.errors import InvalidInputError
from loopline.flows.states import make_state
from loopline.records.operations import GetFlowRun, GetLogs, ListFlowRunEvents, ListTaskRuns
from loopline.rules.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.flows.states import State
    from loopline.records.flows import FlowRun, FlowRunEvent, LogLine

__all__ = ["FlowRunLog", "FlowRunView", "watch_flow_run"]

__getattr__ = refusing(__name__)

_LONGEST_POLL_S = 5.0
_LINES = 1000


class FlowRunLog(NamedTuple):
    """A line of a flow run's log; ``level`` is logging's number."""

    timestamp: datetime
    level: int
    message: str


class FlowRunView:
    """A flow run, as it was when it was looked up.

    Attributes:
        flow_run_id: Its id.
        name: Its name.
        flow_id: The version of its flow; empty for a run of ``flow.run()``.
        state: Where it stands.
        parameters: What it was given.
        labels: What a worker must have to run it.
    """

    def __init__(self, run: FlowRun) -> None:
        self.flow_run_id = run.flow_run_id
        self.name = run.name
        self.flow_id = run.flow_version_id
        self.state: State = make_state(run.state, run.message)
        self.parameters = dict(run.parameters)
        self.labels = set(run.labels)
        self.scheduled_start_time = datetime.fromtimestamp(run.scheduled_ms / 1000, UTC)
        self.updated_at = datetime.now(UTC)

    @classmethod
    def from_flow_run_id(
        cls,
        flow_run_id: str,
        load_static_tasks: bool = False,  # noqa: ARG003 - Prefect 1's signature
    ) -> FlowRunView:
        """Look one up.

        Raises:
            NotFoundError: There is none.
        """
        return cls(get_recorder().backend.call(GetFlowRun(flow_run_id=flow_run_id)))

    def get_latest(
        self,
        load_static_tasks: bool = False,
    ) -> FlowRunView:
        """Look it up again."""
        return self.from_flow_run_id(self.flow_run_id)

    def get_flow_metadata(
        self,
        no_cache: bool = False,
    ) -> FlowView:
        """Look its flow up."""
        return FlowView.from_flow_id(self.flow_id)

    def get_logs(
        self, start_time: datetime | None = None, end_time: datetime | None = None
    ) -> list[FlowRunLog]:
        """Return the lines of its log, oldest first, of a span of time."""
        lines = map(_shown, _lines(self.flow_run_id))
        return [
            line
            for line in lines
            if (start_time is None or line.timestamp >= start_time)
            and (end_time is None or line.timestamp <= end_time)
        ]

    def get_all_task_runs(self) -> list[TaskRunView]:
        """Return its task runs; of mapped tasks the children, too."""
        runs = get_recorder().backend.call(ListTaskRuns(flow_run_id=self.flow_run_id))
        return [TaskRunView(run, self.flow_run_id) for run in runs]

    def get_task_run_ids(self) -> list[str]:
        """Return the ids of its task runs."""
        return [run.task_run_id for run in self.get_all_task_runs()]

    def get_task_run(
        self,
        task_slug: str | None = None,
        task_run_id: str | None = None,
        map_index: int | None = None,
    ) -> TaskRunView:
        """Look one of its task runs up, by slug or by id.

        Raises:
            InvalidInputError: Neither is given.
            NotFoundError: There is none.
        """
        if task_run_id is not None:
            return TaskRunView.from_task_run_id(task_run_id)
        if task_slug is None:
            msg = "Say which task run: give task_slug or task_run_id."
            raise InvalidInputError(msg)
        index = -1 if map_index is None else map_index
        return TaskRunView.from_task_slug(task_slug, self.flow_run_id, index)

    def __repr__(self) -> str:
        return f"<FlowRunView: {self.name or self.flow_run_id}, {type(self.state).__name__}>"


def _shown(line: LogLine) -> FlowRunLog:
    return FlowRunLog(_time(line.at_ms), line.level, line.message)


def _time(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _events(flow_run_id: str, after: int) -> list[FlowRunEvent]:
    """List what changed after a position."""
    asked = ListFlowRunEvents(flow_run_id=flow_run_id, after=after)
    return get_recorder().backend.call(asked)


def _lines(flow_run_id: str, after: int = 0) -> Iterator[LogLine]:
    """Give the lines of a log after a position, page by page."""
    while True:
        lines = get_recorder().backend.call(
            GetLogs(flow_run_id=flow_run_id, after=after, limit=_LINES)
        )
        yield from lines
        if len(lines) < _LINES:
            return
        after = lines[-1].position


def watch_flow_run(
    flow_run_id: str,
    stream_states: bool = True,
    stream_logs: bool = True,
) -> Iterator[FlowRunLog]:
    """Wait until a flow run has ended, and give its changes of state and log lines meanwhile.

    Each comes once, in the order of time as far as they came between two looks.

    Raises:
        NotFoundError: There is none.
    """
    patience = Patience(first_s=0.2, longest_s=_LONGEST_POLL_S)
    line_seen, event_seen, looks = 0, 0, 0
    while True:
        run = FlowRunView.from_flow_run_id(flow_run_id)
        news: list[FlowRunLog] = []
        if stream_states:
            for event in _events(flow_run_id, after=event_seen):
                event_seen = event.position
                if not event.task_slug:
                    said = f"Entered state <{event.state.value}>: {event.message}"
                    news.append(FlowRunLog(_time(event.at_ms), 20, said))
        if stream_logs:
            for line in _lines(flow_run_id, after=line_seen):
                line_seen = line.position
                news.append(_shown(line))
        yield from sorted(news, key=lambda each: each.timestamp)
        if run.state.is_finished():
            return
        looks += 1
        time.sleep(patience.pause_s(looks))
