"""The rows of task runs that the facts of a batch change.

They are folded here, one row a task run, and merged with what is in the table by the statement
that writes them: to read a thousand rows first would cost more than all else that is done with a
batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Insert, bindparam, func, select
from sqlalchemy.ext.compiler import compiles

from loopline.records.flows import StateKind
from loopline.store import schema
from loopline.store.many_rows import ManyRows

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.sql.compiler import SQLCompiler

    from loopline.records.facts import TaskRunState

__all__ = ["TaskRows"]

_task_run = schema.task_run
_FINISHED = frozenset(kind for kind in StateKind if kind.is_finished)

#: The number of the task run which joined a flow run last; 0 when there is none. Index look-up.
LAST_SEEN = select(func.coalesce(func.max(_task_run.c.seen), 0)).where(
    _task_run.c.flow_run_id == bindparam("id")
)


class MergeTaskRun(Insert):
    """Upsert of a task run: keeps its first start, its number, its name and its highest attempt.

    A task that loops counts its attempts anew in each round, and keeps what the last round came
    to until it ends.

    A clock that jumped back must not make its duration negative. One that had ended and runs again,
    as after a pause, starts anew: its duration does not span both.
    """

    inherit_cache = True


_MERGED = """DO UPDATE SET
    state = excluded.state,
    message = excluded.message,
    attempt = CASE WHEN excluded.attempt > ll_task_run.attempt
            OR substr(excluded.result, 1, 5) = 'loop:'
        THEN excluded.attempt ELSE ll_task_run.attempt END,
    start_ms = CASE WHEN ll_task_run.end_ms IS NOT NULL AND excluded.start_ms IS NOT NULL
        THEN excluded.start_ms ELSE COALESCE(ll_task_run.start_ms, excluded.start_ms) END,
    end_ms = CASE WHEN excluded.end_ms < ll_task_run.start_ms
            AND (ll_task_run.end_ms IS NULL OR excluded.start_ms IS NULL)
        THEN ll_task_run.start_ms ELSE excluded.end_ms END,
    result = CASE WHEN excluded.end_ms IS NULL AND excluded.result = ''
        THEN ll_task_run.result ELSE excluded.result END,
    name = CASE WHEN excluded.name = '' THEN ll_task_run.name ELSE excluded.name END,
    until_ms = excluded.until_ms"""


@compiles(MergeTaskRun)
def _merge(element: MergeTaskRun, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    plain: str = compiler.visit_insert(element, **options)  # type: ignore[no-untyped-call]
    return f"{plain} ON CONFLICT (flow_run_id, task_slug, map_index) {_MERGED}"


MERGE_TASK_RUN = ManyRows(MergeTaskRun(_task_run), _task_run.c.keys())


class TaskRows:
    """Gathers states of task runs; ``write`` stores them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[tuple[str, str, int], dict[str, Any]] = {}
        self._seen: dict[str, int] = {}

    def take(self, fact: TaskRunState) -> None:
        """Move a task run to a state."""
        state, at_ms = fact.state, fact.at_ms
        key = (fact.flow_run_id, fact.task_slug, fact.map_index)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = {
                "flow_run_id": fact.flow_run_id,
                "task_slug": fact.task_slug,
                "map_index": fact.map_index,
                "attempt": fact.attempt,
                "start_ms": None,
                "result": "",
                "seen": self._next_seen(fact.flow_run_id),
                "name": fact.name,
            }
        if fact.name:
            row["name"] = fact.name
        row["state"] = state
        row["message"] = fact.message
        row["until_ms"] = fact.until_ms
        row["attempt"] = max(row["attempt"], fact.attempt)
        had_ended, row["end_ms"] = row.get("end_ms") is not None, None
        if state is StateKind.RUNNING:
            if row["start_ms"] is None or had_ended:
                row["start_ms"] = at_ms
        elif state in _FINISHED:
            row["end_ms"] = max(at_ms, row["start_ms"] or at_ms)
            row["result"] = fact.result
        elif state is StateKind.LOOPED:
            row["result"] = fact.result
            row["attempt"] = 0

    def write(self) -> None:
        """Store what was taken since the last time."""
        rows, self._rows = list(self._rows.values()), {}
        MERGE_TASK_RUN.execute(self._connection, rows)

    def _next_seen(self, flow_run_id: str) -> int:
        """Number a task run; one that is in the table keeps the number it has there."""
        if flow_run_id not in self._seen:
            found = self._connection.execute(LAST_SEEN, {"id": flow_run_id})
            self._seen[flow_run_id] = found.scalar_one()
        self._seen[flow_run_id] += 1
        return self._seen[flow_run_id]
