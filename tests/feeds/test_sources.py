"""Feeds on tables and files that others write: by key, and by the time of ingestion."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from tests.feeds.conftest import MODEL, train, trips

import loopline
from loopline.errors import BatchRefusedError, IntegrityError, InvalidInputError
from loopline.feeds import Feed

if TYPE_CHECKING:
    from pathlib import Path


def test_a_source_that_cannot_tell_new_rows_is_refused_with_the_reason() -> None:
    loopline.warehouse().append("trips", trips(1))
    with pytest.raises(InvalidInputError, match=r"cannot be exact.*comes late.*key=.*ingested_at="):
        Feed("taxi", loopline.warehouse(), table="trips", order_by="pickup_datetime")


def test_late_rows_of_a_table_are_found_by_their_key() -> None:
    warehouse = loopline.warehouse()
    warehouse.append("trips", trips(2))
    taxi = Feed("taxi", warehouse, table="trips", order_by="pickup_datetime", key="trip_id")
    train(taxi.all())
    warehouse.append("trips", trips(3))
    warehouse.append("trips", trips(1, 2))
    new = taxi.new_for(MODEL)
    assert new.table["trip_id"].to_pylist()[:3] == ["01-00", "01-01", "03-00"]
    assert len(new) == 7
    assert [each.late for each in taxi.arrivals()] == [0, 2]
    train(new)
    assert not taxi.new_for(MODEL)

    # The same rows written anew, in another order, are no new rows.
    warehouse.replace("trips", warehouse.query("SELECT * FROM trips ORDER BY trip_id DESC"))
    assert not taxi.new_for(MODEL)


def test_rows_with_the_key_of_another_are_reported_and_count_once() -> None:
    warehouse = loopline.warehouse()
    warehouse.append("trips", pd.concat([trips(1), trips(1, 2)]))
    taxi = Feed("taxi", warehouse, table="trips", order_by="pickup_datetime", key="trip_id")
    assert len(taxi.all()) == taxi.all().table.num_rows == 5
    warehouse.append("trips", trips(1, 3))
    assert taxi.check() is None
    report = taxi.report()
    assert (report.rows, report.duplicates, report.gone) == (5, 5, 0)
    warehouse.replace("trips", trips(1)[1:])
    assert taxi.report().gone == 1


def test_keys_of_several_columns_and_without_order() -> None:
    warehouse = loopline.warehouse()
    both = trips(1).assign(part=[1, 2, 1, 2, 1], trip_id=["a", "a", "b", "b", "c"])
    warehouse.append("trips", both)
    taxi = Feed("taxi", warehouse, table="trips", key=["trip_id", "part"])
    train(taxi.all())
    warehouse.append("trips", both[-1:].assign(part=2))
    assert taxi.new_for(MODEL).table["part"].to_pylist() == [2]
    warehouse.append("trips", both[-1:].assign(trip_id=None))
    with pytest.raises(InvalidInputError, match=r"1 rows .* cannot be told apart"):
        taxi.new_for(MODEL)


def test_kept_keys_come_back_from_the_store(home: Path) -> None:
    warehouse = loopline.warehouse()
    warehouse.append("trips", trips(1))
    taxi = Feed("taxi", warehouse, table="trips", order_by="pickup_datetime", key="trip_id")
    train(taxi.all())
    shutil.rmtree(home / "cache" / "feeds")
    warehouse.append("trips", trips(2))
    assert len(Feed("taxi").new_for(MODEL)) == 5


def test_a_folder_of_files_is_a_source(tmp_path: Path) -> None:
    folder = tmp_path / "months"
    folder.mkdir()
    trips(2).to_parquet(folder / "b.parquet")
    taxi = Feed("taxi", str(folder), order_by="pickup_datetime", key="trip_id")
    train(taxi.all())
    trips(1).to_parquet(folder / "a.parquet")
    assert len(taxi.new_for(MODEL)) == 5
    trips(3).assign(tip=1.0).to_parquet(folder / "c.parquet")
    assert taxi.check() is not None
    assert taxi.report().changes == {3: ["column tip: is new (double)"]}
    assert len(taxi.new_for(MODEL)) == 10


def ingested(day: int, at: str, count: int = 5) -> pd.DataFrame:
    return trips(day, count).assign(loaded_at=pd.Timestamp(at))


def test_rows_are_told_by_the_time_they_were_ingested() -> None:
    warehouse = loopline.warehouse()
    warehouse.append("trips", ingested(2, "2022-04-01"))
    taxi = Feed(
        "taxi", warehouse, table="trips", order_by="pickup_datetime", ingested_at="loaded_at"
    )
    train(taxi.all())
    warehouse.append("trips", ingested(1, "2022-04-02", 3))
    assert len(taxi.new_for(MODEL)) == 3
    train(taxi.window("2022-03-01T01:00", "2022-03-02"))
    warehouse.append("trips", ingested(1, "2022-04-03"))
    new = taxi.new_for(MODEL)
    assert len(new) == new.table.num_rows == 1 + 5
    assert taxi.all().digest == loopline.Feed("taxi").all().digest


def test_an_ingestion_time_that_goes_back_is_an_error_and_no_silence() -> None:
    warehouse = loopline.warehouse()
    warehouse.append("trips", ingested(1, "2022-04-01"))
    taxi = Feed(
        "taxi", warehouse, table="trips", order_by="pickup_datetime", ingested_at="loaded_at"
    )
    taxi.check()
    warehouse.append("trips", ingested(2, "2022-04-01", 2))
    with pytest.raises(IntegrityError, match="2 more rows with loaded_at up to 2022-04-01"):
        taxi.new_for(MODEL)
    warehouse.replace("trips", ingested(1, "2022-04-01", 4))
    with pytest.raises(IntegrityError, match="1 fewer"):
        taxi.report()
    warehouse.replace("trips", ingested(1, "2022-04-01").assign(loaded_at=None))
    with pytest.raises(InvalidInputError, match=r"5 rows .* have no loaded_at"):
        taxi.check()


def test_new_rows_of_a_table_that_break_the_contract_do_not_enter() -> None:
    warehouse = loopline.warehouse()
    warehouse.append("trips", trips(1))
    taxi = Feed(
        "taxi", warehouse, table="trips", order_by="pickup_datetime", key="trip_id",
        contract={"fare_amount": {"min": 0}},
    )  # fmt: skip
    taxi.check()
    warehouse.append("trips", trips(2).assign(fare_amount=-1.0))
    for _ in range(2):
        with pytest.raises(BatchRefusedError, match="5 rows lie below 0"):
            taxi.check()
    (refused,) = taxi.report().refused
    assert len(loopline.data.load(refused.content)) == 5
    assert len(taxi.all(check=False)) == 5
    repaired = warehouse.query("SELECT * REPLACE (abs(fare_amount) AS fare_amount) FROM trips")
    warehouse.replace("trips", repaired)
    assert len(taxi.all()) == 10


def test_real_months_arrive_one_after_another(taxi_months: list[Path]) -> None:
    taxi = Feed("green", order_by="lpep_pickup_datetime")
    counts = []
    for month in taxi_months:
        columns = ["lpep_pickup_datetime", "trip_distance", "fare_amount"]
        frame = pd.read_parquet(month)[columns]
        new = taxi.append(frame)
        counts.append(new.rows)
        assert new.rows == len(frame) == len(taxi.new_for(MODEL))
        train(taxi.new_for(MODEL))
    assert len(taxi.seen_by(MODEL)) == sum(counts)
    assert taxi.report().late > 0, "a few trips lie outside their month"


@pytest.fixture
def taxi_months() -> list[Path]:
    from loopline.demo.data_source import find_files

    data = find_files(announce=lambda _: None)
    return [data.path(month) for month in ("2022-01", "2022-02", "2022-03")]
