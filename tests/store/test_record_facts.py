"""Facts of a request are taken at once, all or none, and others' errors are no reason to refuse."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import pytest

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend


def point(run_id: str, value: float, key: str = "rmse") -> f.MetricPoints:
    return f.MetricPoints(
        run_id=run_id,
        key=key,
        steps=array("q", [0]).tobytes(),
        timestamps_ms=array("q", [1]).tobytes(),
        values=array("d", [value]).tobytes(),
    )


@pytest.fixture
def started(backend: LocalBackend) -> LocalBackend:
    started = f.RunStarted(run_id="taxi", experiment="fares", start_ms=1)
    params = f.ParamsLogged(run_id="taxi", params={"model": "gbm"})
    backend.call(ops.RecordFacts(facts=[started, params]))
    return backend


def test_one_that_cannot_be_keeps_all_of_its_request_out(started: LocalBackend) -> None:
    changed = f.ParamsLogged(run_id="taxi", params={"model": "net"})
    with pytest.raises(InvalidInputError, match="Changing param values is not allowed"):
        started.call(ops.RecordFacts(facts=[point("taxi", 4.0), changed]))
    run = started.call(ops.GetRun(run_id="taxi"))
    assert (run.metrics, run.params) == ({}, {"model": "gbm"})
    assert started.call(ops.ListRefused(run_id="taxi")) == []  # It was told, and is not kept.


def test_a_run_that_is_not_there_is_an_error_and_no_stub(backend: LocalBackend) -> None:
    with pytest.raises(NotFoundError, match="Run 'nobody' not found"):
        backend.call(ops.RecordFacts(facts=[point("nobody", 4.0)]))
    assert backend.call(ops.SearchRuns()).runs == []


def test_a_run_of_a_request_has_no_writer_and_is_never_lost(started: LocalBackend) -> None:
    assert started.call(ops.CloseLostRuns(silent_s=-1.0)) == []
    assert started.call(ops.GetRun(run_id="taxi")).status == "RUNNING"


def test_requests_that_wait_together_are_answered_each_for_itself(started: LocalBackend) -> None:
    answers = started.record_together(
        [
            ops.RecordFacts(facts=[point("taxi", 4.0)]),
            ops.RecordFacts(facts=[point("nobody", 4.0)]),
            ops.RecordFacts(facts=[point("taxi", 5.0, "mae"), point("taxi", 1.0, "../mae")]),
            ops.RecordFacts(facts=[f.TagsSet(run_id="taxi", tags={"city": "New York"})]),
        ]
    )
    assert [type(answer) for answer in answers] == [
        type(None),
        NotFoundError,
        InvalidInputError,
        type(None),
    ]
    run = started.call(ops.GetRun(run_id="taxi"))
    assert list(run.metrics) == ["rmse"]
    assert run.tags == {"city": "New York"}


def test_a_tag_that_must_be_there_and_is_not_is_an_error(started: LocalBackend) -> None:
    removed = f.TagRemoved(run_id="taxi", key="city", must_exist=True)
    with pytest.raises(NotFoundError, match="No tag with name: city"):
        started.call(ops.RecordFacts(facts=[removed]))
