"""The months of trips in a warehouse: one table that only grew, read month by month."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from loopline.errors import NotFoundError
from loopline.warehouses import warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from loopline.demo.data_source import TaxiData
    from loopline.records.tracking import Dataset
    from loopline.warehouses import Warehouse

__all__ = ["WAREHOUSE_SCHEME", "WarehouseMonths", "load_months", "open_months"]

WAREHOUSE_SCHEME = "duckdb://"

#: The table's name says what the trips are: no table of made-up ones passes for the real thing.
TABLES = {False: "green_trips", True: "simulated_trips"}

#: Of each column, its type; ``row`` counts the rows of all months joined, as they are published.
TYPES = {
    "lpep_pickup_datetime": "timestamp[us]",
    "lpep_dropoff_datetime": "timestamp[us]",
    "PULocationID": "int64",
    "DOLocationID": "int64",
    "passenger_count": "double",
    "trip_distance": "double",
    "fare_amount": "double",
    "month": "string",
    "row": "int64",
}


class WarehouseMonths:
    """Months of trips in a table; what ``TaxiData`` is for files.

    Attributes:
        address: Of the warehouse, such as ``duckdb:///home/warehouse.duckdb``.
        is_simulated: Whether the trips were made up.
    """

    def __init__(self, address: str, warehouse: Warehouse, *, is_simulated: bool) -> None:
        self.address = address
        self.is_simulated = is_simulated
        self._warehouse = warehouse
        self._table = TABLES[is_simulated]

    @property
    def origin(self) -> str:
        """What the trips are, in words for tables, tags and pictures."""
        return "simulated city" if self.is_simulated else "TLC green-taxi trips"

    @property
    def months(self) -> tuple[str, ...]:
        """Such as ``"2022-01"``, in order."""
        return tuple(self._counts)

    def count_rows(self, month: str) -> int:
        """Tell how many trips a month has, dirty ones included."""
        return self._counts[month]

    def read(self, month: str, columns: Sequence[str]) -> pd.DataFrame:
        """Read columns of a month's trips, in the order in which they were published."""
        sql = f"SELECT {', '.join(columns)} FROM {self._table} WHERE month = $month ORDER BY row"  # noqa: S608 - columns of the example
        return self._warehouse.query(sql, {"month": month}).to_pandas()

    def dataset(self, month: str) -> Dataset:
        """Describe a month as a data version: hash of its rows, columns, and the query."""
        name = f"green taxi {month}{' (simulated city)' if self.is_simulated else ''}"
        sql = f"SELECT * FROM {self._table} WHERE month = $month ORDER BY row"  # noqa: S608 - ours
        return self._warehouse.query(sql, {"month": month}).dataset(name=name)

    @cached_property
    def _counts(self) -> dict[str, int]:
        sql = f"SELECT month, count(*) AS rows FROM {self._table} GROUP BY month ORDER BY month"  # noqa: S608 - ours
        return {row["month"]: row["rows"] for row in self._warehouse.query(sql).rows()}


def load_months(files: TaxiData, path: Path) -> WarehouseMonths:
    """Load months from files into a DuckDB warehouse, in the place of those that are there.

    Args:
        files: The months as files.
        path: Of the warehouse; it is made when it is not there.

    Raises:
        MissingExtraError: DuckDB is not installed.
    """
    import pyarrow as pa

    address = f"{WAREHOUSE_SCHEME}{path.resolve()}"
    place = warehouse(address)
    schema = pa.schema([(name, pa.type_for_alias(alias)) for name, alias in TYPES.items()])
    rows = pa.RecordBatchReader.from_batches(schema, _batches(files, schema))
    place.replace(TABLES[files.is_simulated], rows)
    return WarehouseMonths(address, place, is_simulated=files.is_simulated)


def open_months(address: str) -> WarehouseMonths:
    """Open months that were loaded before.

    Raises:
        NotFoundError: There are none in this warehouse.
    """
    place = warehouse(address)
    there = place.tables()
    for is_simulated, table in TABLES.items():
        if table in there:
            return WarehouseMonths(address, place, is_simulated=is_simulated)
    msg = f"The warehouse {address} has no trips. Load them: loopline demo taxifare --warehouse."
    raise NotFoundError(msg)


def _batches(files: TaxiData, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Give the months' batches, a month at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    first = 0
    for month in files.months:
        trips = parquet.read_table(files.path(month), columns=[*TYPES][:-2])
        count = trips.num_rows
        columns = [trips[name].cast(schema.field(name).type) for name in [*TYPES][:-2]]
        months = pa.array([month]).take(pa.array([0] * count))
        rows = pa.array(range(first, first + count))
        yield from pa.table([*columns, months, rows], schema=schema).to_batches()
        first += count
