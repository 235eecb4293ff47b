"""Metric points in the store: blocks for the history, one summary row a metric for search."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from loopline.records.tracking import MetricHistory, MetricSummary
from loopline.rules.blocks import (
    Points,
    Summary,
    merge,
    merge_summaries,
    pack,
    reduce_points,
    summarise,
    unpack,
)
from loopline.store import schema
from loopline.store.find import run_pk_or_none

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row

    from loopline.records.operations import GetMetricHistory
    from loopline.store.database import Store

__all__ = ["add_points", "get_metric_history", "summaries_of"]

#: Blocks of one metric past which they are merged into one.
MERGE_PAST = 32

_metric = schema.metric
_block = schema.metric_block

#: Summary of one metric of one run. Primary key look-up.
SUMMARY = select(_metric).where(
    _metric.c.run_pk == bindparam("pk"), _metric.c.key == bindparam("metric")
)
#: Blocks of one metric of one run, oldest first. Index scan, cost grows with its blocks.
BLOCKS = (
    select(_block.c.id, _block.c.count, _block.c.data)
    .where(_block.c.run_pk == bindparam("pk"), _block.c.key == bindparam("metric"))
    .order_by(_block.c.id)
)
#: Sizes of the blocks of one metric of one run, newest first.
BLOCK_SIZES = (
    select(_block.c.id, _block.c.count.label("count_"))
    .where(_block.c.run_pk == bindparam("pk"), _block.c.key == bindparam("metric"))
    .order_by(_block.c.id.desc())
)
#: How many blocks one metric of one run has.
BLOCK_COUNT = select(func.count()).where(
    _block.c.run_pk == bindparam("pk"), _block.c.key == bindparam("metric")
)


def add_points(connection: Connection, run: Row[Any], key: str, points: Points) -> None:
    """Add points to one metric: one block row, one summary row, whatever their number."""
    if not len(points):
        return
    points = merge([points])
    connection.execute(
        insert(_block).values(run_pk=run.pk, key=key, count=len(points), data=pack(points))
    )
    before = connection.execute(SUMMARY, {"pk": run.pk, "metric": key}).first()
    summary = summarise(points)
    if before is None:
        connection.execute(
            insert(_metric).values(
                run_pk=run.pk,
                key=key,
                experiment_id=run.experiment_id,
                lifecycle=run.lifecycle,
                **_columns(summary),
            )
        )
        return
    _update(connection, run.pk, key, merge_summaries(_summary(before), summary))
    if connection.execute(BLOCK_COUNT, {"pk": run.pk, "metric": key}).scalar_one() > MERGE_PAST:
        merge_newest_blocks(connection, run.pk, key)


def merge_newest_blocks(connection: Connection, run_pk: int, key: str) -> None:
    """Put the newest blocks of a metric into one.

    A block is taken along while it is at most twice as large as all newer ones together, so a
    point is written again only a few times however long the history grows.
    """
    sizes = connection.execute(BLOCK_SIZES, {"pk": run_pk, "metric": key}).all()
    taken, total = 0, 0
    for row in sizes:
        if taken > 1 and row.count_ > 2 * total:
            break
        taken, total = taken + 1, total + row.count_
    first = sizes[taken - 1].id
    if _merge_from(connection, run_pk, key, first) < total:
        # Points came twice. That is rare enough to look through all of them and count right.
        _merge_from(connection, run_pk, key, 0)
        rows = connection.execute(BLOCKS, {"pk": run_pk, "metric": key}).all()
        _update(connection, run_pk, key, summarise(merge([unpack(row.data) for row in rows])))


def _merge_from(connection: Connection, run_pk: int, key: str, first: int) -> int:
    """Put the blocks from a number on into one ordered set; return how many points it has."""
    which = (_block.c.run_pk == run_pk, _block.c.key == key, _block.c.id >= first)
    rows = connection.execute(select(_block.c.data).where(*which)).all()
    points = merge([unpack(row.data) for row in rows])
    connection.execute(delete(_block).where(*which))
    connection.execute(
        insert(_block).values(run_pk=run_pk, key=key, count=len(points), data=pack(points))
    )
    return len(points)


def get_metric_history(
    _store: Store, connection: Connection, call: GetMetricHistory
) -> MetricHistory:
    """Get the points of one metric; a missing run or metric has none."""
    pk = run_pk_or_none(connection, call.run_id)
    rows = connection.execute(BLOCKS, {"pk": pk, "metric": call.key}).all()
    points = merge([unpack(row.data) for row in rows])
    shown = reduce_points(points, call.max_points)
    return MetricHistory(
        key=call.key,
        steps=shown.steps.tolist(),
        timestamps_ms=shown.timestamps_ms.tolist(),
        values=shown.values.tolist(),
        total=len(points),
    )


def summaries_of(
    connection: Connection, run_pks: Iterable[int]
) -> dict[int, dict[str, MetricSummary]]:
    """Get the metric summaries of some runs, by run."""
    found: dict[int, dict[str, MetricSummary]] = {}
    query = select(_metric).where(_metric.c.run_pk.in_(list(run_pks))).order_by(_metric.c.key)
    for row in connection.execute(query):
        found.setdefault(row.run_pk, {})[row.key] = _record(row)
    return found


def _update(connection: Connection, run_pk: int, key: str, summary: Summary) -> None:
    connection.execute(
        update(_metric)
        .where(_metric.c.run_pk == run_pk, _metric.c.key == key)
        .values(**_columns(summary))
    )


def _columns(summary: Summary) -> dict[str, Any]:
    columns = summary._asdict()
    columns["is_nan"] = math.isnan(summary.value)
    for name in ("value", "min", "max", "sum"):
        value = columns[name]
        if value is not None and math.isnan(value):
            columns[name] = None
    return columns


def _summary(row: Row[Any]) -> Summary:
    return Summary(
        value=math.nan if row.value is None else row.value,
        step=row.step,
        timestamp_ms=row.timestamp_ms,
        min=row.min,
        max=row.max,
        # A sum that is NaN (infinities of both signs) was kept as NULL: it stays NaN.
        sum=math.nan if row.sum is None and row.finite else row.sum,
        finite=row.finite,
        points=row.points,
        first_step=row.first_step,
        last_step=row.last_step,
    )


def _record(row: Row[Any]) -> MetricSummary:
    summary = _summary(row)
    return MetricSummary(
        value=summary.value,
        step=summary.step,
        timestamp_ms=summary.timestamp_ms,
        min=math.nan if summary.min is None else summary.min,
        max=math.nan if summary.max is None else summary.max,
        mean=summary.sum / summary.finite
        if summary.finite and summary.sum is not None
        else math.nan,
        count=summary.points,
        first_step=summary.first_step,
        last_step=summary.last_step,
    )
