"""The rows of task runs that the facts of a batch change, read together.

A batch tells of a thousand tasks. Asked for one by one, their rows would cost more than all else
that is done with it; of a flow run that has none yet, nothing needs to be asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select, tuple_

from loopline.records.facts import TaskRunState
from loopline.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row

    from loopline.records.facts import Fact

__all__ = ["TaskRows"]

_task_run = schema.task_run

#: Keys in one statement; each is two parameters, and old SQLites take 999.
_TOGETHER = 400

#: One task run. Primary key look-up.
TASK_RUN = select(_task_run).where(
    _task_run.c.flow_run_id == bindparam("id"),
    _task_run.c.task_slug == bindparam("slug"),
    _task_run.c.map_index == bindparam("index"),
)
#: Some task runs of a flow run. A primary key look-up for each.
TASK_RUNS = select(_task_run).where(
    _task_run.c.flow_run_id == bindparam("id"),
    tuple_(_task_run.c.task_slug, _task_run.c.map_index).in_(bindparam("keys", expanding=True)),
)
#: The number of the task run which joined a flow run last; 0 when there is none.
LAST_SEEN = select(func.coalesce(func.max(_task_run.c.seen), 0)).where(
    _task_run.c.flow_run_id == bindparam("id")
)

#: Slug and map index.
_Key = tuple[str, int]


class TaskRows:
    """Reads rows of task runs, and numbers new ones."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        #: Of each flow run, what the batch names and nobody has read yet.
        self._expected: dict[str, dict[_Key, None]] = {}
        self._rows: dict[str, dict[_Key, dict[str, Any] | None]] = {}
        self._seen: dict[str, int] = {}

    def expect(self, facts: Iterable[Fact]) -> None:
        """Take note of what will be asked for."""
        for fact in facts:
            if type(fact) is TaskRunState:
                keys = self._expected.get(fact.flow_run_id)
                if keys is None:
                    keys = self._expected[fact.flow_run_id] = {}
                keys[fact.task_slug, fact.map_index] = None

    def get(self, flow_run_id: str, slug: str, map_index: int) -> dict[str, Any]:
        """Return the row of a task run, or the beginning of one, with the number it gets."""
        expected = self._expected.pop(flow_run_id, None)
        if expected:
            self._read(flow_run_id, list(expected))
        key = (slug, map_index)
        known = self._rows.get(flow_run_id, {})
        row = known[key] if key in known else self._read_one(flow_run_id, slug, map_index)
        if row is not None:
            return row
        last = self._last_seen(flow_run_id)
        self._seen[flow_run_id] = last + 1
        return {
            "flow_run_id": flow_run_id,
            "task_slug": slug,
            "map_index": map_index,
            "attempt": 0,
            "start_ms": None,
            "result": "",
            "seen": last + 1,
        }

    def _read(self, flow_run_id: str, keys: list[_Key]) -> None:
        rows: dict[_Key, dict[str, Any] | None] = dict.fromkeys(keys)
        if self._last_seen(flow_run_id):
            for start in range(0, len(keys), _TOGETHER):
                some = keys[start : start + _TOGETHER]
                found = self._connection.execute(TASK_RUNS, {"id": flow_run_id, "keys": some})
                rows.update({(row.task_slug, row.map_index): _as_dict(row) for row in found})
        self._rows[flow_run_id] = rows

    def _read_one(self, flow_run_id: str, slug: str, map_index: int) -> dict[str, Any] | None:
        which = {"id": flow_run_id, "slug": slug, "index": map_index}
        row = self._connection.execute(TASK_RUN, which).first()
        return None if row is None else _as_dict(row)

    def _last_seen(self, flow_run_id: str) -> int:
        if flow_run_id not in self._seen:
            self._seen[flow_run_id] = self._connection.execute(
                LAST_SEEN, {"id": flow_run_id}
            ).scalar_one()
        return self._seen[flow_run_id]


def _as_dict(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - its public name for a row's columns
