"""Points of requests wait in the inbox: durable at once, and in their place for whoever looks."""

from __future__ import annotations

import math
import sqlite3
from array import array
from typing import TYPE_CHECKING

import pytest

from loopline.backend.local import LocalBackend
from loopline.care.purge import purge_runs
from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.store import database

if TYPE_CHECKING:
    from collections.abc import Callable


def started(run_id: str) -> f.RunStarted:
    return f.RunStarted(run_id=run_id, experiment="fares", start_ms=1)


def points(run_id: str, *values: float, key: str = "rmse", first: int = 0) -> ops.RecordFacts:
    count = len(values)
    fact = f.MetricPoints(
        run_id=run_id,
        key=key,
        steps=array("q", range(first, first + count)).tobytes(),
        timestamps_ms=array("q", range(first, first + count)).tobytes(),
        values=array("d", values).tobytes(),
    )
    return ops.RecordFacts(facts=[fact])


@pytest.fixture
def taxi(open_backend: Callable[..., LocalBackend]) -> LocalBackend:
    backend = open_backend()
    backend.call(ops.RecordFacts(facts=[started("taxi"), started("cab")]))
    return backend


def waiting(backend: LocalBackend) -> int:
    """Count the rows of the inbox past the store, which would settle them."""
    if not backend.store.is_sqlite:
        return 0
    connection = sqlite3.connect(backend.store.where)
    count: int = connection.execute("SELECT count(*) FROM ll_inbox").fetchone()[0]
    connection.close()
    return count


def test_points_of_several_requests_wait_as_one_row_and_a_read_finds_them(
    taxi: LocalBackend,
) -> None:
    calls = [points("taxi", 4.0), points("cab", 9.0), points("taxi", 3.0, first=1)]
    assert taxi.record_together(calls) == [None, None, None]
    assert waiting(taxi) == (1 if taxi.store.is_sqlite else 0)

    run = taxi.call(ops.GetRun(run_id="taxi"))
    assert (run.metrics["rmse"].value, run.metrics["rmse"].count) == (3.0, 2)
    assert waiting(taxi) == 0
    history = taxi.call(ops.GetMetricHistory(run_id="taxi", key="rmse"))
    assert (history.steps, history.values) == ([0, 1], [4.0, 3.0])


def test_a_point_that_comes_again_before_it_is_settled_or_after_counts_once(
    taxi: LocalBackend,
) -> None:
    taxi.record_together([points("taxi", 4.0), points("taxi", 4.0)])
    assert taxi.call(ops.GetMetricHistory(run_id="taxi", key="rmse")).values == [4.0]
    for value in (4.0, 3.0, 3.0, math.nan, math.nan, 3.0):
        taxi.record_together([points("taxi", value)])
        taxi.call(ops.GetRun(run_id="taxi"))  # Settled.
    history = taxi.call(ops.GetMetricHistory(run_id="taxi", key="rmse")).values
    assert history[1:] == [3.0, 4.0]
    assert math.isnan(history[0])


def test_the_latest_point_that_comes_again_adds_nothing_to_what_is_counted(
    taxi: LocalBackend,
) -> None:
    for value, first in ((4.0, 0), (3.0, 1), (math.nan, 2)):
        for _ in range(3):
            taxi.record_together([points("taxi", value, first=first)])
            run = taxi.call(ops.GetRun(run_id="taxi"))
        assert run.metrics["rmse"].count == first + 1
    assert (run.metrics["rmse"].mean, run.metrics["rmse"].min) == (3.5, 3.0)
    # And with others that came after it.
    taxi.record_together([points("taxi", math.nan, 6.0, 7.0, first=2)])
    assert taxi.call(ops.GetRun(run_id="taxi")).metrics["rmse"].count == 5


def test_points_that_come_again_after_a_crash_are_counted_once(taxi: LocalBackend) -> None:
    taxi.record_together([points("taxi", 1.0, 2.0)])
    taxi.call(ops.GetRun(run_id="taxi"))
    sent = points("taxi", 4.0, math.nan, -0.0, 7.0, first=2)
    taxi.record_together([sent])
    taxi.call(ops.GetRun(run_id="taxi"))
    for again in (
        [sent],
        [sent, points("taxi", 9.0, first=6)],
    ):  # And what its client goes on with.
        taxi.record_together(again)
        rmse = taxi.call(ops.GetRun(run_id="taxi")).metrics["rmse"]
        history = taxi.call(ops.GetMetricHistory(run_id="taxi", key="rmse"))
        assert rmse.count == len(history.steps) == 5 + len(again)
    assert (rmse.mean, rmse.value, rmse.last_step) == (23 / 6, 9.0, 6)


def test_points_that_come_late_are_counted_and_are_the_last_no_more(taxi: LocalBackend) -> None:
    for first in (20, 10, 30, 0, 5):
        taxi.record_together([points("taxi", float(first), 1.0, first=first)])
        rmse = taxi.call(ops.GetRun(run_id="taxi")).metrics["rmse"]
    assert (rmse.count, rmse.last_step, rmse.first_step) == (10, 31, 0)


def test_a_process_that_opens_the_store_later_finds_what_waited(taxi: LocalBackend) -> None:
    taxi.record_together([points("taxi", 4.0)])
    other = LocalBackend(taxi.address, home=taxi.staging.parent)
    assert other.call(ops.SearchRuns(filter="metrics.rmse = 4")).runs[0].run_id == "taxi"
    other.close()


def test_a_run_that_another_process_has_deleted_takes_nothing_more(taxi: LocalBackend) -> None:
    assert taxi.record_together([points("taxi", 4.0)]) == [None]
    other = LocalBackend(taxi.address, home=taxi.staging.parent)
    other.call(ops.DeleteRun(run_id="taxi"))
    other.close()

    (answer,) = taxi.record_together([points("taxi", 3.0, first=1)])
    assert isinstance(answer, InvalidInputError)
    assert "Current state is deleted" in str(answer)
    taxi.call(ops.RestoreRun(run_id="taxi"))
    assert taxi.call(ops.GetMetricHistory(run_id="taxi", key="rmse")).values == [4.0]
    assert taxi.record_together([points("taxi", 3.0, first=1)]) == [None]


def test_points_of_a_run_that_was_deleted_while_they_waited_are_kept(taxi: LocalBackend) -> None:
    taxi.record_together([points("taxi", 4.0)])
    with taxi.store.write(settles=False) as connection:  # As by one who knows of no inbox.
        connection.exec_driver_sql("UPDATE ll_run SET lifecycle = 'deleted'")
    assert taxi.call(ops.GetRun(run_id="taxi")).metrics["rmse"].value == 4.0


def test_points_of_a_run_that_is_gone_for_good_go_with_it_and_stop_no_others(
    taxi: LocalBackend,
) -> None:
    taxi.record_together([points("taxi", 4.0), points("cab", 9.0)])
    if taxi.store.is_sqlite:
        with taxi.store.write(settles=False) as connection:
            connection.exec_driver_sql("DELETE FROM ll_run_event")
            connection.exec_driver_sql("DELETE FROM ll_run WHERE run_id = 'taxi'")
    else:
        taxi.call(ops.DeleteRun(run_id="taxi"))
        purge_runs(taxi.store, ["taxi"])

    assert taxi.call(ops.GetRun(run_id="cab")).metrics["rmse"].value == 9.0
    with pytest.raises(NotFoundError):
        taxi.call(ops.GetRun(run_id="taxi"))
    assert waiting(taxi) == 0


def test_points_and_params_in_one_group_are_each_taken_their_way(taxi: LocalBackend) -> None:
    params = ops.RecordFacts(facts=[f.ParamsLogged(run_id="taxi", params={"model": "gbm"})])
    changed = ops.RecordFacts(facts=[f.ParamsLogged(run_id="taxi", params={"model": "net"})])
    taxi.record_together([params])
    first, second, third = taxi.record_together([points("taxi", 4.0), changed, points("cab", 1.0)])
    assert (first, third) == (None, None)
    assert isinstance(second, InvalidInputError)
    run = taxi.call(ops.GetRun(run_id="taxi"))
    assert (run.params, run.metrics["rmse"].value) == ({"model": "gbm"}, 4.0)


def test_reads_go_on_while_another_process_holds_the_database(
    taxi: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not taxi.store.is_sqlite:
        return  # Nothing waits there.
    monkeypatch.setattr(database, "READ_WAIT_S", 0.05)
    taxi.record_together([points("taxi", 4.0)])
    holder = sqlite3.connect(taxi.store.where, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert taxi.call(ops.GetRun(run_id="taxi")).metrics == {}
    holder.execute("ROLLBACK")
    holder.close()
    assert taxi.call(ops.GetRun(run_id="taxi")).metrics["rmse"].value == 4.0


def test_sql_sees_points_that_waited(taxi: LocalBackend) -> None:
    taxi.record_together([points("taxi", 4.0)])
    answer = taxi.run_sql("SELECT value FROM latest_metrics")
    assert answer.rows == [(4.0,)]


def test_who_looks_at_no_points_leaves_them_where_they_are(taxi: LocalBackend) -> None:
    taxi.record_together([points("taxi", 4.0)])
    waited = waiting(taxi)
    with taxi.store.read(settles=False) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM ll_run").scalar() == 2
    assert waiting(taxi) == waited
