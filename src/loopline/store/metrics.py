"""Metric points in the store: blocks for the history, one summary row a metric for search.

Small blocks come in with every batch and are merged as they grow in number; a block that is
large enough is *sealed* and written no more, unless points come that belong in its middle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select

from loopline.records.tracking import MetricColumns, MetricHistory
from loopline.rules.blocks import pack, pack_point, reduce_points, unpack, unpack_point
from loopline.rules.points import Points, Summary, are_apart, merge, summarise
from loopline.store import schema
from loopline.store.find import run_pk_or_none

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from loopline.records.operations import GetMetricColumns, GetMetricHistory
    from loopline.store.database import Store

__all__ = [
    "ADD_BLOCK",
    "MERGE_PAST",
    "block_rows",
    "get_metric_columns",
    "get_metric_history",
    "merge_newest_blocks",
    "newest_points",
    "summary_columns",
]

#: Blocks of one metric past which the small ones are merged.
MERGE_PAST = 32
#: Metrics in one statement.
TOGETHER = 500
#: Points of a sealed block.
SEALED = 65_536
#: From here on a block has a preview, of so many points.
PREVIEW_FROM = 2_048
PREVIEW = 256

_block = schema.metric_block

ADD_BLOCK = insert(_block)
#: Blocks of one metric of one run, oldest first. Index scan, cost grows with its blocks.
BLOCKS = (
    select(_block.c.id, _block.c.count.label("points"), _block.c.data)
    .where(_block.c.run_pk == bindparam("pk"), _block.c.key == bindparam("metric"))
    .order_by(_block.c.id)
)
#: The same without the points.
OUTLINES = (
    select(_block.c.id, _block.c.count.label("points"), _block.c.first, _block.c.last)
    .where(_block.c.run_pk == bindparam("pk"), _block.c.key == bindparam("metric"))
    .order_by(_block.c.id)
)


#: The newest block of some metrics of a run. Index scan, cost grows with their blocks.
NEWEST = select(_block.c.key, _block.c.data).where(
    _block.c.id.in_(
        select(func.max(_block.c.id))
        .where(
            _block.c.run_pk == bindparam("pk"),
            _block.c.key.in_(bindparam("metrics", expanding=True)),
        )
        .group_by(_block.c.key)
    )
)


def newest_points(connection: Connection, run_pk: int, keys: Sequence[str]) -> dict[str, Points]:
    """Read the points of the newest block of each of some metrics.

    A client whose server was killed sends again what was written and not yet answered: these.
    """
    found = {}
    for start in range(0, len(keys), TOGETHER):
        which = {"pk": run_pk, "metrics": keys[start : start + TOGETHER]}
        for row in connection.execute(NEWEST, which):
            found[row.key] = unpack(row.data)
    return found


def block_rows(run_pk: int, key: str, points: Points) -> list[dict[str, Any]]:
    """Make the rows for points that are one ordered set, cut where a block is full."""
    return [
        _row(run_pk, key, points.part(start, start + SEALED))
        for start in range(0, len(points), SEALED)
    ]


def _row(run_pk: int, key: str, points: Points) -> dict[str, Any]:
    has_preview = len(points) >= PREVIEW_FROM
    return {
        "run_pk": run_pk,
        "key": key,
        "count": len(points),
        "data": pack(points),
        "preview": pack(reduce_points(points, PREVIEW)) if has_preview else None,
        "first": pack_point(points.at(0)),
        "last": pack_point(points.at(-1)),
    }


class Merged(NamedTuple):
    """What merging came to: how many blocks there are, and the summary when points came twice."""

    blocks: int
    summary: Summary | None


def merge_newest_blocks(connection: Connection, run_pk: int, key: str) -> Merged:
    """Put the newest blocks of a metric into one.

    A block is taken along while it is at most twice as large as all newer ones together and not
    sealed, so a point is written again only a few times however long the history grows; and
    every block from the first one on that overlaps what is merged, so that no point is kept
    twice.
    """
    outlines = connection.execute(OUTLINES, {"pk": run_pk, "metric": key}).all()
    start = _reach(outlines, _newest(outlines))
    rows = connection.execute(
        BLOCKS.where(_block.c.id >= outlines[start].id), {"pk": run_pk, "metric": key}
    ).all()
    points = merge([unpack(row.data) for row in rows])
    connection.execute(
        delete(_block).where(
            _block.c.run_pk == run_pk, _block.c.key == key, _block.c.id >= outlines[start].id
        )
    )
    new = block_rows(run_pk, key, points)
    connection.execute(ADD_BLOCK, new)
    blocks = start + len(new)
    if len(points) == sum(row.points for row in rows):
        return Merged(blocks, None)
    # Points came twice. That is rare enough to look through all of them and count right.
    every = connection.execute(BLOCKS, {"pk": run_pk, "metric": key}).all()
    return Merged(blocks, summarise(merge([unpack(row.data) for row in every])))


def _newest(outlines: Sequence[Any]) -> int:
    """Find from which block on the newest ones are worth merging."""
    total, start = 0, len(outlines)
    while start > 0:
        size = outlines[start - 1].points
        if size >= SEALED or (len(outlines) - start > 1 and size > 2 * total):
            break
        start, total = start - 1, total + size
    return min(start, len(outlines) - 1)


def _reach(outlines: Sequence[Any], start: int) -> int:
    """Move the beginning back over blocks that overlap those from ``start`` on."""
    while start > 0:
        firsts = [unpack_point(row.first) for row in outlines[start:]]
        overlapping = next(
            (
                index
                for index, row in enumerate(outlines[:start])
                if not all(are_apart(unpack_point(row.last), first) for first in firsts)
            ),
            None,
        )
        if overlapping is None:
            return start
        start = overlapping
    return start


def get_metric_history(
    _store: Store, connection: Connection, call: GetMetricHistory
) -> MetricHistory:
    """Get the points of one metric; a missing run or metric has none."""
    pk = run_pk_or_none(connection, call.run_id)
    total, points = _read(connection, pk, call.key, call.max_points)
    return MetricHistory(
        key=call.key,
        steps=points.steps.tolist(),
        timestamps_ms=points.timestamps_ms.tolist(),
        values=points.values.tolist(),
        total=total,
    )


def get_metric_columns(
    _store: Store, connection: Connection, call: GetMetricColumns
) -> MetricColumns:
    """Get the points of one metric as packed columns; a missing run or metric has none."""
    pk = run_pk_or_none(connection, call.run_id)
    total, points = _read(connection, pk, call.key, call.max_points)
    steps, timestamps_ms, values = points.to_columns()
    return MetricColumns(
        key=call.key, steps=steps, timestamps_ms=timestamps_ms, values=values, total=total
    )


def _read(connection: Connection, pk: int | None, key: str, most: int) -> tuple[int, Points]:
    """Read points, thinned out to about ``most`` (0: all); tell how many there are in all."""
    which = {"pk": pk, "metric": key}
    if most > 0:
        sizes = connection.execute(OUTLINES, which).all()
        drawn = sum(PREVIEW if row.points >= PREVIEW_FROM else row.points for row in sizes)
        if drawn >= most and drawn < sum(row.points for row in sizes):
            return _preview(connection, which, most)
    rows = connection.execute(BLOCKS, which).all()
    points = merge([unpack(row.data) for row in rows])
    return len(points), reduce_points(points, most)


def _preview(connection: Connection, which: dict[str, Any], most: int) -> tuple[int, Points]:
    """Thin out the previews of blocks: a long history's chart never reads its points."""
    # In two steps, for a database reads a row's columns even where a CASE has no use for them.
    small = BLOCKS.where(_block.c.preview.is_(None))
    large = (
        select(_block.c.id, _block.c.count.label("points"), _block.c.preview.label("data"))
        .where(
            _block.c.run_pk == bindparam("pk"),
            _block.c.key == bindparam("metric"),
            _block.c.preview.is_not(None),
        )
        .order_by(_block.c.id)
    )
    rows = [*connection.execute(large, which).all(), *connection.execute(small, which).all()]
    rows.sort(key=lambda row: row.id)
    points = merge([unpack(row.data) for row in rows])
    return sum(row.points for row in rows), reduce_points(points, most)


def summary_columns(summary: Summary) -> dict[str, Any]:
    """Make the columns of a summary row."""
    columns = summary._asdict()
    columns["is_nan"] = math.isnan(summary.value)
    for name in ("value", "min", "max", "sum"):
        value = columns[name]
        if value is not None and math.isnan(value):
            columns[name] = None
    return columns
