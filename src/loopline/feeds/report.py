"""Reports on feeds: everything that somebody who trains on the rows would want to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.feeds.places import place_of
from loopline.feeds.sources import NUMBER, KeyedSource, OwnSource
from loopline.records.feeds import FeedGap, FeedReport
from loopline.records.operations import ListRefusals
from loopline.rules.watermarks import Box
from loopline.warehouses.base import column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.backend.recorder import Recorder
    from loopline.feeds.sources import Source
    from loopline.records.feeds import Arrival

__all__ = ["make_report"]

MOST_GAPS = 1000


def make_report(
    recorder: Recorder, name: str, source: Source, arrivals: Sequence[Arrival]
) -> FeedReport:
    """Look at all rows of a feed.

    Raises:
        IntegrityError: The source of an ingestion time lost or gained rows before its end.
    """
    rows = sum(each.rows for each in arrivals)
    duplicates = sum(each.duplicates for each in arrivals)
    gone = 0
    if isinstance(source, KeyedSource) and arrivals:
        gone, duplicates = source.gone(arrivals), source.copies()
    elif isinstance(source, OwnSource) and arrivals:
        sql = f"SELECT count(*) AS n FROM {source.table} WHERE {NUMBER} < {rows}"  # noqa: S608
        gone = rows - int(source.warehouse.query(sql).rows()[0]["n"])
    elif arrivals:
        source.find_new(arrivals)
    first_with: dict[str, int] = {}
    for each in arrivals:
        first_with.setdefault(each.content, each.number)
    repeats = [
        [each.number, first_with[each.content]]
        for each in arrivals
        if each.content and first_with[each.content] != each.number
    ]
    return FeedReport(
        name=name,
        rows=rows,
        arrivals=len(arrivals),
        late=sum(each.late for each in arrivals),
        duplicates=duplicates,
        without_place=sum(each.without_place for each in arrivals),
        gone=gone,
        repeats=repeats,
        changes={each.number: each.changes for each in arrivals if each.changes},
        gaps=_gaps(source, rows, arrivals),
        refused=recorder.call(ListRefusals(name=name, limit=1000)),
    )


def _gaps(source: Source, rows: int, arrivals: Sequence[Arrival]) -> list[FeedGap]:
    """Find stretches of the order without rows that are longer than the feed may have."""
    spec = source.spec
    if not spec.order_by or not spec.max_gap_s or not rows:
        return []
    from pyarrow import types

    kind = source.arrow_schema().field(spec.order_by).type
    is_time = types.is_timestamp(kind) or types.is_date(kind)
    place = f"r.{column(spec.order_by)}"
    asked = source.select((Box(first=0, stop=rows),), arrivals, f"{place} AS place")
    inner = f"SELECT place, lag(place) OVER (ORDER BY place) AS past FROM ({asked.sql}) AS g WHERE place IS NOT NULL"  # noqa: S608, E501
    apart = "epoch(place) - epoch(past)" if is_time else "place - past"
    sql = (
        f"SELECT past, place FROM ({inner}) AS h WHERE {apart} > {spec.max_gap_s} "  # noqa: S608
        f"ORDER BY past LIMIT {MOST_GAPS}"
    )
    table = source.warehouse.query(sql, asked.params).table
    found = []
    for past, after in zip(table.column("past"), table.column("place"), strict=True):
        since, until = place_of(past, kind), place_of(after, kind)
        if since is not None and until is not None:
            found.append(FeedGap(since=since, until=until))
    return found
