"""What a server remembers of runs is never out of date, and does not grow."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.rules.points import Points
from loopline.store import run_memo
from loopline.store.run_memo import RunMemo

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend


@pytest.fixture
def served(backend: LocalBackend) -> LocalBackend:
    backend.store.memo = RunMemo()
    for run_id in ("taxi", "cab"):
        started = f.RunStarted(run_id=run_id, experiment="fares", start_ms=1, name=run_id)
        params = f.ParamsLogged(run_id=run_id, params={"model": "gbm"})
        backend.call(ops.RecordFacts(facts=[started, params]))
    return backend


def test_a_run_that_did_not_change_is_the_same_record_again(served: LocalBackend) -> None:
    first, second = (served.call(ops.SearchRuns()).runs for _ in range(2))
    assert [run.run_id for run in first] == ["cab", "taxi"]
    assert all(one is other for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (f.TagsSet(run_id="taxi", tags={"city": "New York"}), {"city": "New York"}),
        (f.TagsSet(run_id="taxi", tags={"mlflow.runName": "x"}), {"mlflow.runName": "x"}),
    ],
)
def test_a_run_that_changed_is_read_anew(
    served: LocalBackend, change: f.TagsSet, expected: dict[str, str]
) -> None:
    cab, _ = served.call(ops.SearchRuns()).runs
    served.call(ops.RecordFacts(facts=[change]))
    again, taxi = served.call(ops.SearchRuns()).runs
    assert again is cab
    assert taxi.tags == expected
    assert taxi.name == expected.get("mlflow.runName", "taxi")


def test_a_renamed_experiment_shows_in_its_runs(served: LocalBackend) -> None:
    number = served.call(ops.SearchRuns()).runs[0].experiment_id
    served.call(ops.RenameExperiment(experiment_id=number, name="tips"))
    assert {run.experiment_name for run in served.call(ops.SearchRuns()).runs} == {"tips"}


def test_it_forgets_all_when_it_holds_much(
    served: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_memo, "MOST_BYTES", 1)
    first, second = (served.call(ops.SearchRuns()).runs for _ in range(2))
    assert first == second
    assert first[0] is not second[0]


def test_it_does_not_grow_with_what_is_logged_to_runs_it_knows(served: LocalBackend) -> None:
    def size_bytes() -> int:
        served.call(ops.SearchRuns())
        tracemalloc.start()
        for step in range(100):
            points = Points.from_rows([(step, step, 0.5)]).to_columns()
            point = f.MetricPoints(
                run_id="taxi", key="rmse", steps=points[0], timestamps_ms=points[1],
                values=points[2],
            )  # fmt: skip
            served.call(ops.RecordFacts(facts=[point]))
            served.call(ops.SearchRuns())
        gc.collect()
        kept = tracemalloc.take_snapshot()
        tracemalloc.stop()
        memos = kept.filter_traces(
            [tracemalloc.Filter(inclusive=True, filename_pattern=run_memo.__file__)]
        )
        return sum(each.size for each in memos.statistics("filename"))

    size_bytes()
    assert size_bytes() < 10_000


def test_runs_of_which_nothing_is_logged_take_room_in_it_too(
    served: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_memo, "MOST_BYTES", 10 * run_memo.RECORD_BYTES)
    for number in range(20):
        run_id = f"bare-{number}"
        served.call(ops.RecordFacts(facts=[f.RunStarted(run_id=run_id, start_ms=1, name=run_id)]))
    first, second = (served.call(ops.SearchRuns()).runs for _ in range(2))
    assert first == second
    assert first[0] is not second[0]


def test_an_embedded_store_remembers_nothing_that_a_user_may_change(backend: LocalBackend) -> None:
    assert backend.store.memo is None
