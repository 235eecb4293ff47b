"""What is noted of rows that arrive: which are late, which stand twice, from when to when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from loopline.feeds.places import place_of, sql_type
from loopline.feeds.sources import OwnSource
from loopline.rules.feeds import later_of
from loopline.rules.watermarks import Box
from loopline.warehouses.base import column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.feeds.sources import Source
    from loopline.records.feeds import Arrival

__all__ = ["describe_arrival"]


def describe_arrival(
    source: Source, arrival: Arrival, arrivals: Sequence[Arrival], duplicates: int
) -> Arrival:
    """Count late rows, duplicates and rows without a place, and find the first and last place.

    Args:
        source: Which has the rows.
        arrival: What is known so far.
        arrivals: All there are, this one with them.
        duplicates: Those that were found already.
    """
    new = (Box(first=arrival.first, stop=arrival.first + arrival.rows),)
    if isinstance(source, OwnSource):
        duplicates = _duplicates(source, arrival)
    name = source.spec.order_by
    if not name:
        return msgspec.structs.replace(arrival, duplicates=duplicates)
    import pyarrow as pa

    kind = source.arrow_schema().field(name).type
    place = f"r.{column(name)}"
    before = None
    for each in arrivals[:-1]:
        before = later_of(before, each.order_until)
    late = (
        "0"
        if before is None
        else f"count(*) FILTER (WHERE {place} < CAST($newest AS {sql_type(kind)}))"
    )
    what = f"count({place}) AS placed, min({place}) AS least, max({place}) AS most, {late} AS late"
    asked = source.select(new, arrivals, what)
    params: dict[str, Any] = asked.params if before is None else {**asked.params, "newest": before}
    table = source.warehouse.query(asked.sql, params).table
    row = {each: table.column(each)[0] for each in table.column_names}
    return msgspec.structs.replace(
        arrival,
        duplicates=duplicates,
        late=row["late"].as_py(),
        without_place=arrival.rows - row["placed"].as_py(),
        order_from=place_of(row["least"], kind) if isinstance(row["least"], pa.Scalar) else None,
        order_until=place_of(row["most"], kind),
    )


def _duplicates(source: OwnSource, arrival: Arrival) -> int:
    """Count rows with a key that is there already, or without a key: rows that stand twice."""
    from loopline.feeds.sources import NUMBER

    stop = arrival.first + arrival.rows
    new = f"{NUMBER} >= {arrival.first} AND {NUMBER} < {stop}"
    if not source.spec.key:
        sql = (
            f"SELECT (SELECT count(*) FROM {source.table} WHERE {new}) - (SELECT count(*) FROM "  # noqa: S608
            f"(SELECT DISTINCT * EXCLUDE ({NUMBER}) FROM {source.table} WHERE {new})) AS n"
        )
    else:
        key = ", ".join(column(each) for each in source.spec.key)
        sql = (
            f"SELECT {arrival.rows} - (SELECT count(*) FROM (SELECT DISTINCT {key} FROM "  # noqa: S608
            f"{source.table} WHERE {new}) AS a ANTI JOIN (SELECT {key} FROM {source.table} WHERE "
            f"{NUMBER} < {arrival.first}) AS b USING ({key})) AS n"
        )
    return int(source.warehouse.query(sql).rows()[0]["n"])
