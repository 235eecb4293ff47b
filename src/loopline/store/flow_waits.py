"""Why a flow run that is due has not begun, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import func, select

from loopline.records.flows import StateKind
from loopline.store import schema
from loopline.store.flow_limits import flows_at_their_limit, is_held
from loopline.store.workers import workers_there

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sqlalchemy import Connection, Row

    from loopline.records.flows import FlowRun

__all__ = ["with_waits"]

_run = schema.flow_run


def with_waits(
    connection: Connection, rows: Sequence[Row[Any]], runs: list[FlowRun], now_ms: int
) -> list[FlowRun]:
    """Say of each flow run that is due why it waits. A few statements, however many there are."""
    due = [row for row in rows if row.state == StateKind.SCHEDULED and row.scheduled_ms <= now_ms]
    if not due:
        return runs
    there = workers_there(connection, now_ms)
    full = flows_at_their_limit(connection, now_ms)
    running = connection.execute(
        select(_run.c.worker, func.count()).where(is_held(now_ms)).group_by(_run.c.worker)
    )
    busy = {name: int(count) for name, count in running}
    words = {row.flow_run_id: _why(row, there, full, busy) for row in due}
    return [msgspec.structs.replace(run, waits_for=words.get(run.flow_run_id, "")) for run in runs]


def _why(
    row: Row[Any],
    there: list[tuple[str, int, list[str]]],
    full: dict[int, tuple[int, int]],
    busy: dict[str, int],
) -> str:
    if not there:
        return "a worker: none is here; `loopline worker` starts one"
    needed = set(msgspec.json.decode(row.labels))
    able = [(name, slots) for name, slots, labels in there if needed <= set(labels)]
    if not able:
        have = sorted({label for _, _, labels in there for label in labels})
        return (
            f"a worker with {_listed(sorted(needed))}: those here have "
            f"{_listed(have) if have else 'no labels'}"
        )
    if row.flow_id in full:
        running, most = full[row.flow_id]
        return f"other runs of its flow to end: {running} run now, and at most {most} may"
    if all(busy.get(name, 0) >= slots for name, slots in able):
        slots = sum(slots for _, slots in able)
        taken = "the only one" if slots == 1 else f"all {slots}"
        are = "is" if slots == 1 else "are"
        whose = "worker" if len(able) == 1 else "workers"
        return f"a free slot: {taken} of the {whose} that may take it {are} taken"
    return ""


def _listed(labels: list[str]) -> str:
    return f"the label{'' if len(labels) == 1 else 's'} {', '.join(labels)}"
