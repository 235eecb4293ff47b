"""A story of warehouses and feeds, told where DuckDB is another than ours; prints JSON.

Run with an empty folder.
"""

import json
import sys
from pathlib import Path

import duckdb
import pyarrow as pa

import loopline
from loopline.errors import LooplineError
from loopline.rules.watermarks import source_text


def trips(first: int, count: int) -> pa.Table:
    """Make trips, numbered and placed."""
    numbers = list(range(first, first + count))
    return pa.table({"trip_id": numbers, "place": numbers, "fare": [2.5] * count})


def main(folder: str) -> dict[str, object]:
    """Fill a warehouse, and ask two feeds what is new."""
    loopline.set_tracking_uri(Path(folder) / "home")
    warehouse = loopline.warehouse(Path(folder) / "taxi.duckdb")
    told: dict[str, object] = {"duckdb": duckdb.__version__.partition(".")[0]}
    warehouse.append("trips", trips(5, 5))
    told["batches"] = [b.num_rows for b in warehouse.read("trips", index="place", chunk_size=2)]
    try:
        warehouse.append("trips", {"trip_id": ["x"], "place": [1], "fare": [1.0]})
    except LooplineError as error:
        told["unfit"] = str(error).splitlines()[1].strip()
    keyed = loopline.Feed("keyed", warehouse, table="trips", order_by="place", key="trip_id")
    told["first"] = len(keyed.all())
    warehouse.append("trips", trips(0, 3))
    arrival = keyed.check()
    told["late"] = None if arrival is None else arrival.late
    own = loopline.Feed("own", order_by="place", contract={"fare": {"min": 0}})
    own.append(trips(0, 4))
    told["window"] = own.window(1, 3).table["trip_id"].to_pylist()
    told["source"] = source_text("own", own.all().region)
    told["clean"] = own.report().is_clean
    return told


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
