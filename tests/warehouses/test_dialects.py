"""SQL that is written once, in the words of BigQuery."""

from __future__ import annotations

import pytest

from loopline.errors import InvalidInputError, UnsupportedError
from loopline.feeds.sources import IngestedSource
from loopline.records.feeds import Arrival, FeedSpec
from loopline.rules.watermarks import Box
from loopline.warehouses.dialects import to_bigquery
from loopline.warehouses.duck import DuckDBWarehouse


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        (
            "SELECT avg(fare) FROM trips WHERE fare > $least",
            "SELECT AVG(fare) FROM trips WHERE fare > @least",
        ),
        (
            'SELECT "trip id" FROM nyc.trips ORDER BY pickup ASC NULLS FIRST LIMIT 5',
            "SELECT `trip id` FROM nyc.trips ORDER BY pickup ASC LIMIT 5",
        ),
        (
            "SELECT count(*) FILTER (WHERE fare < 0), max(fare) FILTER (WHERE zone = 1) FROM trips",
            "SELECT COUNTIF(fare < 0), MAX(IF(zone = 1, fare, NULL)) FROM trips",
        ),
        (
            "SELECT count(DISTINCT zone) FILTER (WHERE fare < 0) FROM trips",
            "SELECT COUNT(DISTINCT IF(fare < 0, zone, NULL)) FROM trips",
        ),
        (
            "SELECT date_trunc('month', pickup) AS month, CAST(fare AS DOUBLE) FROM trips",
            "SELECT TIMESTAMP_TRUNC(pickup, MONTH) AS month, CAST(fare AS FLOAT64) FROM trips",
        ),
        (
            "SELECT * FROM trips QUALIFY row_number() OVER (PARTITION BY id) = 1",
            "SELECT * FROM trips QUALIFY ROW_NUMBER() OVER (PARTITION BY id) = 1",
        ),
    ],
)
def test_duckdbs_dialect_becomes_bigquerys(written: str, asked: str) -> None:
    assert to_bigquery(written) == asked


def test_what_bigquery_has_no_word_for_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="approx_quantiles"):
        to_bigquery("SELECT quantile_cont(fare, 0.5) FROM trips")
    with pytest.raises(UnsupportedError, match="Use a table"):
        to_bigquery("SELECT * FROM read_parquet('trips.parquet')")
    with pytest.raises(InvalidInputError, match="no SQL"):
        to_bigquery("SELECT FROM WHERE")
    with pytest.raises(InvalidInputError, match="one statement, not 2"):
        to_bigquery("SELECT 1; SELECT 2")


def test_the_questions_of_a_feed_are_ones_that_bigquery_understands(tmp_path: object) -> None:
    import pandas as pd

    warehouse = DuckDBWarehouse(tmp_path / "taxi.duckdb")  # type: ignore[operator]
    moment = pd.Timestamp("2022-03-01")
    warehouse.append("trips", pd.DataFrame({"pickup": [moment], "at": [moment], "fare": [7.0]}))
    spec = FeedSpec(source="s", table="trips", order_by="pickup", ingested_at="at")
    source = IngestedSource(warehouse, spec)
    arrivals = [Arrival(number=1, first=0, rows=1, ingested_until="2022-03-01T00:00:00.000000")]
    region = (Box(first=0, stop=1, since="2022-02-01T00:00:00.000000"),)
    asked = to_bigquery(source.select(region, arrivals, ordered=True).sql)
    assert "CAST(@cut1 AS DATETIME)" in asked
    assert "r.`pickup` >= CAST(@since0 AS DATETIME)" in asked
    assert "$" not in asked
