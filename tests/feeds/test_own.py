"""A feed that owns its rows."""

from __future__ import annotations

import threading

import pandas as pd
import pytest
from tests.feeds.conftest import MODEL, train, trips

import loopline
from loopline.errors import (
    BatchRefusedError,
    ConflictError,
    IntegrityError,
    InvalidInputError,
    UnsupportedError,
)
from loopline.feeds import Feed


def days(rows: pd.DataFrame) -> list[int]:
    return sorted(set(rows["pickup_datetime"].dt.day))


def test_new_rows_are_those_that_no_training_behind_production_has_seen() -> None:
    taxi = Feed("taxi", order_by="pickup_datetime")
    taxi.append(trips(2))
    assert len(taxi.new_for(MODEL)) == 5, "a model that is not there has seen nothing"
    train(taxi.all())
    assert not taxi.new_for(MODEL)

    taxi.append(trips(4))
    taxi.append(trips(1))  # Late: before all that was seen.
    new = taxi.new_for(MODEL)
    assert days(new.to_pandas()) == [1, 4]
    assert new.to_pandas()["pickup_datetime"].is_monotonic_increasing
    challenger = train(new, promote=False)
    assert len(taxi.new_for(MODEL)) == 10, "a version that is not in Production counts for nothing"
    loopline.registry.transition_stage(MODEL, challenger, "Production")
    assert not taxi.new_for(MODEL), "version 1 saw day 2, and version 2 the others"
    assert days(taxi.seen_by(MODEL, challenger).to_pandas()) == [1, 4]
    assert days(taxi.seen_by(MODEL).to_pandas()) == [1, 2, 4]

    loopline.registry.transition_stage(MODEL, 1, "Production")  # Back again.
    assert days(taxi.new_for(MODEL).to_pandas()) == [1, 4]


def test_windows_are_exact_about_what_comes_late_into_them() -> None:
    taxi = Feed("taxi", order_by="pickup_datetime")
    taxi.append(trips(1))
    taxi.append(trips(2))
    taxi.append(trips(3))
    train(taxi.window("2022-03-01", "2022-03-02T02:00"))
    assert len(taxi.new_for(MODEL)) == 3 + 5
    late = trips(1, count=7)[5:]
    taxi.append(late)
    assert len(taxi.new_for(MODEL)) == 3 + 5 + 2
    assert len(taxi.window("2022-03-01", "2022-03-02")) == 7
    assert len(taxi.window(until=pd.Timestamp("2022-03-02").to_pydatetime())) == 7
    assert not taxi.window("2022-03-02", "2022-03-02")
    with pytest.raises(InvalidInputError, match="no value of a column"):
        taxi.window("yesterday")


def test_rows_without_a_place_come_first_and_are_counted() -> None:
    taxi = Feed("taxi", order_by="pickup_datetime")
    lost = trips(1)
    lost["pickup_datetime"] = lost["pickup_datetime"].where(lost["trip_id"] != "01-01")
    assert taxi.append(lost).without_place == 1
    assert len(taxi.window(until="2022-03-01T01:00")) == 2
    assert len(taxi.window("2022-03-01")) == 4
    train(taxi.window("2022-03-01"))
    assert taxi.new_for(MODEL).table["trip_id"].to_pylist() == ["01-01"]


def test_rows_are_a_data_version_that_runs_log(home: object) -> None:
    del home
    taxi = Feed("taxi", order_by="pickup_datetime")
    taxi.append(trips(2))
    taxi.append(trips(1))
    rows = taxi.all()
    whole = pd.concat([trips(1), trips(2)], ignore_index=True)
    assert rows.digest == rows.dataset().digest == loopline.dataset(whole).digest
    assert sum(batch.num_rows for batch in rows.batches(chunk_size=3)) == 10
    train(rows)
    (use,) = loopline.data.uses(rows.digest).versions
    assert (use.name, use.version, use.contexts) == (MODEL, 1, ["training"])
    assert rows.name == "taxi rows 0-9"


def test_equal_rows_that_came_twice_are_seen_once_each() -> None:
    taxi = Feed("taxi", order_by="pickup_datetime")
    taxi.append(trips(1))
    first = taxi.all()
    taxi.append(trips(1))
    second = taxi.new_for(MODEL, versions=[train(first)])
    assert (second.digest, len(second)) == (first.digest, 5)
    with loopline.start_run() as run:
        loopline.log_input(first, context="training")
        loopline.log_input(second, context="training")
    from loopline.backend.recorder import get_recorder
    from loopline.feeds.seen import seen_by_run

    (box,) = seen_by_run(get_recorder(), "taxi", run.info.run_id)
    assert (box.first, box.stop) == (0, 10), "equal content is not the same rows"
    assert taxi.report().repeats == [[2, 1]]


def test_evaluating_is_not_training() -> None:
    taxi = Feed("taxi", order_by="pickup_datetime")
    taxi.append(trips(1))
    train(taxi.all(), context="evaluation")
    assert len(taxi.new_for(MODEL)) == 5


def test_what_versions_have_seen_must_be_known() -> None:
    taxi = Feed("taxi", order_by="pickup_datetime")
    taxi.append(trips(1))
    train(taxi.all())
    taxi.append(trips(2))
    train(taxi.window("2022-03-02"))
    loopline.registry.transition_stage(MODEL, 1, "Archived")
    loopline.registry.delete_version(MODEL, 1)
    with pytest.raises(InvalidInputError, match=r"Version 1 .* deleted.*versions=\[...\]"):
        taxi.new_for(MODEL)
    assert len(taxi.new_for(MODEL, versions=[2])) == 5


def test_what_breaks_the_contract_is_kept_named_and_shown() -> None:
    rules = {
        "fare_amount": {"min": 0, "max": 500, "not_null": True},
        "trip_id": {"unique": True, "matches": "[0-9]{2}-[0-9]{2}"},
    }
    taxi = Feed("taxi", order_by="pickup_datetime", contract=rules)
    taxi.append(trips(1))
    broken = trips(2)
    broken["fare_amount"] = [-120098.84, 3.5, 4.5, 5.5, 6.5]
    broken["trip_id"] = ["02-00", "02-02", "02-02", "x", "02-04"]
    for _ in range(2):
        with pytest.raises(BatchRefusedError) as told:
            Feed("taxi").append(broken, name="trips of 2 March")
    assert told.value.problems == [
        "column fare_amount: 1 rows lie below 0, such as -120098.84",
        "column trip_id: 1 rows have a value that another one has",
        "column trip_id: 1 rows do not match '[0-9]{2}-[0-9]{2}', such as 'x'",
    ]
    assert len(taxi.all()) == 5
    (refused,) = taxi.report().refused
    assert (refused.batch, refused.rows) == ("trips of 2 March", 5)
    pd.testing.assert_frame_equal(
        loopline.data.load(refused.content), broken, check_dtype=False, check_index_type=False
    )


def test_other_columns_are_refused_too() -> None:
    taxi = Feed("taxi", order_by="pickup_datetime")
    taxi.append(trips(1))
    with pytest.raises(BatchRefusedError, match=r"fare_amount: was double, came as .*row 0: 'x'"):
        taxi.append(trips(2).assign(fare_amount="x"))
    assert len(taxi.all()) == 5
    with pytest.raises(InvalidInputError, match="no rows"):
        taxi.append(trips(2)[:0])


def test_a_schema_of_pandera_is_a_contract() -> None:
    import pandera.pandas as pandera

    schema = pandera.DataFrameSchema({"fare_amount": pandera.Column(float, pandera.Check.ge(5))})
    taxi = Feed("taxi", order_by="pickup_datetime", contract=schema)
    with pytest.raises(BatchRefusedError, match=r"3 rows fail .*\(5\), such as 2.5"):
        taxi.append(trips(1))
    taxi.append(trips(1)[3:])
    with pytest.raises(InvalidInputError, match="schema in code"):
        Feed("taxi").append(trips(2))


def test_late_rows_duplicates_and_gaps_are_reported() -> None:
    taxi = Feed("taxi", order_by="pickup_datetime", key="trip_id", max_gap=36 * 3600)
    taxi.append(trips(1))
    assert taxi.report().is_clean
    assert taxi.append(trips(5)).late == 0
    arrival = taxi.append(pd.concat([trips(5), trips(4, 2), trips(4, 1)]))
    assert (arrival.late, arrival.duplicates) == (4 + 2 + 1, 5 + 1)
    report = taxi.report()
    assert (report.late, report.duplicates, report.rows) == (7, 6, 18)
    (gap,) = report.gaps
    assert gap.since == "2022-03-01T04:00:00.000000"
    assert gap.until == "2022-03-04T00:00:00.000000"


def test_a_feed_says_what_it_is_once() -> None:
    taxi = Feed("taxi", order_by="pickup_datetime")
    taxi.append(trips(1))
    assert Feed("taxi").spec == taxi.spec
    Feed("taxi", contract={"fare_amount": {"min": 0}})
    assert Feed("taxi").spec.contract == {"fare_amount": {"min": 0}}
    with pytest.raises(ConflictError, match="would be others"):
        Feed("taxi", order_by="trip_id")
    with pytest.raises(InvalidInputError, match="knows not_null"):
        Feed("other", contract={"fare_amount": {"positive": True}})
    with pytest.raises(InvalidInputError, match="no name for a feed"):
        Feed("a/b")


def test_rows_that_others_take_away_or_add_are_noticed() -> None:
    taxi = Feed("taxi", order_by="pickup_datetime")
    taxi.append(trips(1))
    taxi.append(trips(2))
    warehouse = loopline.warehouse()
    kept = warehouse.query("SELECT * FROM taxi WHERE _loopline_row <> 3")
    warehouse.replace("taxi", kept)
    assert taxi.report().gone == 1
    warehouse.append("taxi", {**{k: [None] for k in trips(1)}, "_loopline_row": [77]})
    with pytest.raises(IntegrityError, match="Somebody else wrote"):
        taxi.new_for(MODEL)


def test_appends_of_many_threads_are_one_sequence() -> None:
    feeds = [Feed("taxi", order_by="pickup_datetime") for _ in range(4)]
    feeds[0].append(trips(9))
    threads = [
        threading.Thread(target=feed.append, args=(trips(day),))
        for day, feed in enumerate(feeds, start=1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arrivals = feeds[0].arrivals()
    assert sum(each.rows for each in arrivals) == 25
    ends = [0, *(each.first + each.rows for each in arrivals)]
    assert [each.first for each in arrivals] == ends[:-1]
    assert len(feeds[1].all()) == 25


def test_only_the_owner_appends() -> None:
    warehouse = loopline.warehouse()
    warehouse.append("trips", trips(1))
    with pytest.raises(UnsupportedError, match=r"feed.check\(\) finds"):
        Feed("taxi", warehouse, table="trips", key="trip_id").append(trips(2))
