"""Where a feed's rows are, and how they get their numbers.

Every source gives the same: a relation of its rows, each with its number, for any region. An
own table has a column with the numbers. Rows with keys have theirs in kept sets of keys, one for
each arrival. Rows with an ingestion time are numbered by arrival alone: a region begins and ends
with arrivals, and these are stretches of the ingestion time.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import IntegrityError, InvalidInputError, NotFoundError, UnsupportedError
from loopline.feeds.places import place_of, sql_type
from loopline.warehouses.base import column, quoted
from loopline.warehouses.duck import DuckDBWarehouse, Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pyarrow as pa

    from loopline.records.feeds import Arrival, FeedSpec
    from loopline.rules.watermarks import Region
    from loopline.warehouses.base import Warehouse

__all__ = ["NUMBER", "Found", "IngestedSource", "KeyedSource", "OwnSource", "Source", "Statement"]

#: Column of an own table with the number of a row.
NUMBER = "_loopline_row"
#: What the number of a row is called in a relation.
_N = "_loopline_n"


class Statement(NamedTuple):
    """SQL and the values of its placeholders."""

    sql: str
    params: dict[str, Any]


class Found(NamedTuple):
    """New rows of a source.

    Attributes:
        rows: How many.
        duplicates: Rows beyond the first with their key.
        ingested_until: Greatest ingestion time among them, as text.
        keys: File with their keys and numbers, to be kept.
    """

    rows: int
    duplicates: int = 0
    ingested_until: str = ""
    keys: Path | None = None


class Source(ABC):
    """A table of a warehouse, whose rows are numbered in the order they arrived."""

    def __init__(self, warehouse: Warehouse, spec: FeedSpec) -> None:
        self.warehouse = warehouse
        self.spec = spec
        self.table = quoted(spec.table)

    def arrow_schema(self) -> pa.Schema:
        """Tell the columns of the rows, without what numbers them."""
        return self.warehouse.arrow_schema(self.spec.table)

    def is_there(self) -> bool:
        """Whether the table exists."""
        try:
            self.warehouse.arrow_schema(self.spec.table)
        except NotFoundError:
            return False
        return True

    @abstractmethod
    def find_new(self, arrivals: Sequence[Arrival]) -> Found:
        """Look for rows that came after these arrivals.

        Raises:
            IntegrityError: The source is not what it was said to be.
        """

    @abstractmethod
    def numbered(self, region: Region, arrivals: Sequence[Arrival]) -> Statement:
        """Say the rows of a region by their numbers alone, with ``_loopline_n`` for the order."""

    def select(
        self,
        region: Region,
        arrivals: Sequence[Arrival],
        what: str = "",
        *,
        ordered: bool = False,
    ) -> Statement:
        """Say the rows of a region.

        Args:
            region: Which.
            arrivals: All there are.
            what: Aggregates over the rows; the rows themselves when empty.
            ordered: By place and then number: the order that digests count with.
        """
        inner = self.numbered(region, arrivals)
        conditions, params = self._conditions(region)
        # Boxes of one region are cut by both at once, so both are asked together.
        names = ", ".join(f"r.{column(name)}" for name in self.arrow_schema().names)
        sql = f"SELECT {what or names} FROM ({inner.sql}) AS r WHERE {conditions}"  # noqa: S608
        if ordered:
            sql += f" ORDER BY {', '.join(self._order())}"
        return Statement(sql, {**inner.params, **params})

    def _order(self) -> list[str]:
        place = self.spec.order_by
        first = [f"r.{column(place)} ASC NULLS FIRST"] if place else []
        return [*first, f"r.{_N}"]

    def _conditions(self, region: Region) -> tuple[str, dict[str, Any]]:
        """Say a region as a condition on numbers and places."""
        params: dict[str, Any] = {}
        parts = []
        kind = ""
        if any(box.since is not None or box.until is not None for box in region):
            kind = sql_type(self.arrow_schema().field(self.spec.order_by).type)
        place = f"r.{column(self.spec.order_by)}"
        for number, box in enumerate(region):
            said = [self._numbers(box.first, box.stop)]
            if box.since is not None:
                params[f"since{number}"] = box.since
                said.append(f"{place} >= CAST($since{number} AS {kind})")
            if box.until is not None:
                params[f"until{number}"] = box.until
                before = f"{place} < CAST($until{number} AS {kind})"
                said.append(before if box.since is not None else f"({before} OR {place} IS NULL)")
            parts.append(f"({' AND '.join(said)})")
        return " OR ".join(parts) or "FALSE", params

    def _numbers(self, first: int, stop: int) -> str:
        return f"r.{_N} >= {first} AND r.{_N} < {stop}"

    def _one(self, sql: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.warehouse.query(sql, params).rows()[0]


class OwnSource(Source):
    """A table that the feed writes itself: each row has its number."""

    def __init__(self, warehouse: Warehouse, spec: FeedSpec) -> None:
        if not isinstance(warehouse, DuckDBWarehouse):
            msg = (
                f"A feed owns a table in a DuckDB file, not in {warehouse.url}. Give source= the "
                "path of one, or say key= or ingested_at= of the table that is there."
            )
            raise UnsupportedError(msg)
        super().__init__(warehouse, spec)

    def arrow_schema(self) -> pa.Schema:
        """Tell the columns without the number."""
        found = super().arrow_schema()
        return found.remove(found.get_field_index(NUMBER))

    def find_new(self, arrivals: Sequence[Arrival]) -> Found:
        """Count the rows with greater numbers."""
        known = _next_of(arrivals)
        if not self.is_there():
            if known:
                msg = f"The table {self.spec.table!r} of {self.warehouse.url} is gone."
                raise IntegrityError(f"{msg} Bring the file back, or delete the feed.")
            return Found(0)
        row = self._one(
            f"SELECT count(*) AS n, min({NUMBER}) AS first, max({NUMBER}) AS last "  # noqa: S608
            f"FROM {self.table} WHERE {NUMBER} >= {known}"
        )
        if not row["n"]:
            return Found(0)
        if row["first"] != known or row["last"] != known + row["n"] - 1:
            msg = (
                f"The rows of {self.spec.table!r} are not numbered one after another: after row "
                f"{known - 1} there are {row['n']} from {row['first']} to {row['last']}. Somebody "
                "else wrote to the table; only feed.append may."
            )
            raise IntegrityError(msg)
        return Found(int(row["n"]))

    def numbered(self, region: Region, arrivals: Sequence[Arrival]) -> Statement:
        """Give the rows with their numbers."""
        del region, arrivals
        return Statement(f"SELECT *, {NUMBER} AS {_N} FROM {self.table}", {})  # noqa: S608

    def write(self, data: pa.Table) -> tuple[int, int]:
        """Add rows in one transaction; answers the number of the first, and how many."""
        import pyarrow as pa

        warehouse = self.warehouse
        assert isinstance(warehouse, DuckDBWarehouse)  # noqa: S101 - said in __init__
        with warehouse.transaction():
            first = 0
            if self.is_there():
                row = self._one(f"SELECT max({NUMBER}) AS last FROM {self.table}")  # noqa: S608
                first = 0 if row["last"] is None else int(row["last"]) + 1
            numbers = pa.array(range(first, first + data.num_rows), pa.int64())
            warehouse.append(self.spec.table, data.append_column(NUMBER, numbers))
        return first, int(data.num_rows)


class KeyedSource(Source):
    """A table whose rows have keys; the numbers are kept with the keys, in files."""

    def __init__(
        self, warehouse: Warehouse, spec: FeedSpec, fetch: Callable[[str], Path], folder: Path
    ) -> None:
        """Take the table.

        Args:
            warehouse: On DuckDB.
            spec: With the key.
            fetch: Gives the local file of a kept set of keys.
            folder: Where new sets are written.
        """
        if not isinstance(warehouse, Engine):
            msg = (
                f"Keys are compared where DuckDB reads: not in {warehouse.url}. Give ingested_at= "
                "there."
            )
            raise UnsupportedError(msg)
        super().__init__(warehouse, spec)
        self._fetch = fetch
        self._folder = folder

    def find_new(self, arrivals: Sequence[Arrival]) -> Found:
        """Look for keys that are in none of the kept sets, and number their rows."""
        if not self.is_there():
            return Found(0)
        key = ", ".join(column(name) for name in self.spec.key)
        missing = " OR ".join(f"{column(name)} IS NULL" for name in self.spec.key)
        known = self._keys(arrivals)
        using = f"ANTI JOIN ({known}) AS k USING ({key})" if known else ""
        order = f"min({column(self.spec.order_by)})" if self.spec.order_by else key
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / f"{uuid.uuid4().hex}.parquet"
        first = _next_of(arrivals)
        new = (
            f"SELECT {key}, count(*) AS _copies, {order if self.spec.order_by else 0} AS _place "  # noqa: S608
            f"FROM {self.table} AS s {using} GROUP BY {key}"
        )
        assert isinstance(self.warehouse, Engine)  # noqa: S101 - said in __init__
        with self.warehouse.connection() as connection:
            empty = connection.execute(
                f"SELECT count(*) FROM {self.table} WHERE {missing}"  # noqa: S608
            ).fetchall()[0][0]
            if empty:
                msg = (
                    f"{empty:,} rows of {self.spec.table!r} have no value in {key}, so they cannot "
                    "be told apart. Fill the key, or declare another."
                )
                raise InvalidInputError(msg)
            connection.execute(
                f"COPY (SELECT {key}, {first} + row_number() OVER (ORDER BY _place NULLS FIRST, "  # noqa: S608
                f"{key}) - 1 AS {_N}, _copies FROM ({new})) TO '{_escaped(target)}' "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
            rows, copies = connection.execute(
                "SELECT count(*), coalesce(sum(_copies), 0) "  # noqa: S608
                f"FROM read_parquet('{_escaped(target)}')"
            ).fetchall()[0]
        if not rows:
            target.unlink()
            return Found(0)
        return Found(int(rows), duplicates=int(copies) - int(rows), keys=target)

    def numbered(self, region: Region, arrivals: Sequence[Arrival]) -> Statement:
        """Join the rows with their numbers; of several with one key the first counts."""
        wanted = [
            each
            for each in arrivals
            if any(box.first < each.first + each.rows and each.first < box.stop for box in region)
        ]
        key = ", ".join(column(name) for name in self.spec.key)
        keys = self._keys(wanted)
        if not keys:
            return Statement(f"SELECT *, 0 AS {_N} FROM {self.table} WHERE FALSE", {})  # noqa: S608
        numbers = " OR ".join(f"({_N} >= {box.first} AND {_N} < {box.stop})" for box in region)
        sql = (
            f"SELECT s.*, k.{_N} FROM {self.table} AS s "  # noqa: S608
            f"JOIN (SELECT * FROM ({keys}) WHERE {numbers or 'FALSE'}) AS k USING ({key})"
        )
        place = f"s.{column(self.spec.order_by)}" if self.spec.order_by else f"k.{_N}"
        sql += f" QUALIFY row_number() OVER (PARTITION BY k.{_N} ORDER BY {place} NULLS FIRST) = 1"
        return Statement(sql, {})

    def gone(self, arrivals: Sequence[Arrival]) -> int:
        """Count keys that arrived and are in the source no more."""
        keys = self._keys(arrivals)
        if not keys:
            return 0
        key = ", ".join(column(name) for name in self.spec.key)
        sql = f"SELECT count(*) AS n FROM ({keys}) AS k ANTI JOIN {self.table} AS s USING ({key})"  # noqa: S608
        return int(self._one(sql)["n"])

    def copies(self) -> int:
        """Count rows beyond the first with their key."""
        key = ", ".join(column(name) for name in self.spec.key)
        one = column(self.spec.key[0]) if len(self.spec.key) == 1 else f"({key})"
        row = self._one(f"SELECT count(*) - count(DISTINCT {one}) AS n FROM {self.table}")  # noqa: S608
        return int(row["n"])

    def _keys(self, arrivals: Sequence[Arrival]) -> str:
        """Say the kept keys of some arrivals as a query; nothing when there are none."""
        files = [f"'{_escaped(self._fetch(each.keys))}'" for each in arrivals if each.keys]
        if not files:
            return ""
        key = ", ".join(column(name) for name in self.spec.key)
        return f"SELECT {key}, {_N} FROM read_parquet([{', '.join(files)}])"  # noqa: S608


class IngestedSource(Source):
    """A table that says when each row came into it: an arrival is a stretch of that time."""

    def find_new(self, arrivals: Sequence[Arrival]) -> Found:
        """Count what came after the last arrival, and check that nothing came before it."""
        if not self.is_there():
            return Found(0)
        at = column(self.spec.ingested_at)
        until = _until(arrivals)
        after, params = self._after(until)
        row = self._one(
            f"SELECT count(*) AS n, count({at}) AS dated, max({at}) AS last, "  # noqa: S608
            f"count(*) FILTER (WHERE {after}) AS new FROM {self.table}",
            params,
        )
        if row["n"] != row["dated"]:
            msg = (
                f"{row['n'] - row['dated']:,} rows of {self.spec.table!r} have no "
                f"{self.spec.ingested_at}, so nobody knows whether they are new. Fill it, or "
                "declare key=."
            )
            raise InvalidInputError(msg)
        before, known = row["n"] - row["new"], _next_of(arrivals)
        if before != known:
            what = f"{before - known:,} more" if before > known else f"{known - before:,} fewer"
            msg = (
                f"{self.spec.table!r} has {what} rows with {self.spec.ingested_at} up to {until} "
                f"than when that time was last looked at ({known:,}). Rows came with an earlier "
                "time, or were deleted, and by this column they cannot be told. Declare key= under "
                "another name of feed."
            )
            raise IntegrityError(msg)
        if not row["new"]:
            return Found(0)
        import pyarrow as pa

        kind = self.arrow_schema().field(self.spec.ingested_at).type
        last = place_of(pa.scalar(row["last"], kind), kind)
        return Found(int(row["new"]), ingested_until=str(last))

    def numbered(self, region: Region, arrivals: Sequence[Arrival]) -> Statement:
        """Number rows by the first number of their arrival."""
        del region
        at = column(self.spec.ingested_at)
        kind = self._kind()
        params: dict[str, Any] = {}
        cases = []
        for each in arrivals:
            params[f"cut{each.number}"] = each.ingested_until
            cases.append(f"WHEN {at} <= CAST($cut{each.number} AS {kind}) THEN {each.first}")
        if not cases:
            return Statement(f"SELECT *, 0 AS {_N} FROM {self.table} WHERE FALSE", {})  # noqa: S608
        sql = f"SELECT *, CASE {' '.join(cases)} ELSE {_next_of(arrivals)} END AS {_N} "
        return Statement(f"{sql} FROM {self.table}", params)

    def _order(self) -> list[str]:
        # Numbers are those of arrivals here: rows of one are told apart by all they hold.
        others = [f"r.{column(name)}" for name in self.arrow_schema().names]
        return [*super()._order()[:-1], f"r.{column(self.spec.ingested_at)}", *others]

    def _kind(self) -> str:
        return sql_type(self.arrow_schema().field(self.spec.ingested_at).type)

    def _after(self, until: str) -> tuple[str, dict[str, Any]]:
        if not until:
            return "TRUE", {}
        at = column(self.spec.ingested_at)
        return f"{at} > CAST($until AS {self._kind()})", {"until": until}


def _next_of(arrivals: Sequence[Arrival]) -> int:
    return arrivals[-1].first + arrivals[-1].rows if arrivals else 0


def _until(arrivals: Sequence[Arrival]) -> str:
    return arrivals[-1].ingested_until if arrivals else ""


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")
