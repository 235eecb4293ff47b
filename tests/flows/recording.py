"""A recorder that keeps facts in a list, for tests of the engine alone."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from msgspec import structs

from loopline.errors import BackendUnavailableError, NotFoundError
from loopline.records.facts import FlowRunState, LogsWritten, TaskRunState
from loopline.records.flows import StateKind, TaskRun
from loopline.settings import Address

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.facts import Fact
    from loopline.records.operation import Operation

R = TypeVar("R")
__all__ = ["ListRecorder"]


class ListRecorder:
    """Keeps facts and bytes in memory."""

    def __init__(self) -> None:
        self.address = Address("home", "")
        self.facts: list[Fact] = []
        self.blobs: dict[str, bytes] = {}
        #: How often the blobs cannot be reached, from now on.
        self.away = 0

    @property
    def backend(self) -> Backend:
        return cast("Backend", self)  # The engine opens blobs there, nothing else.

    def record(self, fact: Fact, /) -> None:
        self.facts.append(fact)

    def call(self, operation: Operation[R], /) -> R:
        """Answer nothing: there is no store."""
        raise BackendUnavailableError(f"no store for {operation}")

    def stage_bytes(self, data: bytes, /) -> tuple[str, int]:
        digest = sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest, len(data)

    def open_blob(self, digest: str) -> BinaryIO:
        if self.away:
            self.away -= 1
            msg = "away for a moment"
            raise BackendUnavailableError(msg)
        if digest not in self.blobs:
            raise NotFoundError(digest)
        return io.BytesIO(self.blobs[digest])

    def states(self, slug: str, map_index: int = -1) -> list[StateKind]:
        """List the states a task went through."""
        return [fact.state for fact in self.task_facts(slug, map_index)]

    def task_facts(self, slug: str, map_index: int = -1) -> list[TaskRunState]:
        """List what was recorded of a task."""
        return [
            fact
            for fact in self.facts
            if isinstance(fact, TaskRunState)
            and (fact.task_slug, fact.map_index) == (slug, map_index)
        ]

    def flow_facts(self) -> list[FlowRunState]:
        """List what was recorded of the flow run."""
        return [fact for fact in self.facts if isinstance(fact, FlowRunState)]

    def lines(self) -> list[tuple[str, int, str]]:
        """List log lines: task, level, text."""
        return [
            (line.task_slug, line.level, line.message)
            for fact in self.facts
            if isinstance(fact, LogsWritten)
            for line in fact.lines
        ]

    def task_runs(self) -> list[TaskRun]:
        """Make the records another worker would be given."""
        latest: dict[tuple[str, int], TaskRun] = {}
        for fact in self.facts:
            if isinstance(fact, TaskRunState):
                where = (fact.task_slug, fact.map_index)
                result = fact.result
                if not (fact.state.is_finished or fact.state is StateKind.LOOPED):
                    result = latest[where].result if where in latest else ""
                latest[where] = TaskRun(
                    flow_run_id=fact.flow_run_id,
                    task_slug=fact.task_slug,
                    map_index=fact.map_index,
                    state=fact.state,
                    message=fact.message,
                    attempt=fact.attempt,
                    result=result,
                )
        return list(latest.values())

    def looped(self, run: TaskRun) -> TaskRun:
        """Make what the store has of a task that was interrupted in a later round."""
        (*_, reference) = [
            fact.result for fact in self.task_facts(run.task_slug) if fact.state is StateKind.LOOPED
        ]
        return structs.replace(run, state=StateKind.RUNNING, attempt=1, result=reference)

    def resumed(self, runs: list[TaskRun]) -> list[TaskRun]:
        """Let the paused ones go on, as somebody who resumes a flow run does."""
        return [
            structs.replace(run, state=StateKind.RESUME) if run.state is StateKind.PAUSED else run
            for run in runs
        ]
