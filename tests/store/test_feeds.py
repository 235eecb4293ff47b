"""Feeds in the store: arrivals follow each other, and flows hear of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.store.flow_story import PROJECT, register

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.automations import Action, EventKind, FlowTrigger, Then, When
from loopline.records.feeds import Arrival, FeedSpec, RefusedBatch
from loopline.records.flows import FlowGraph, ParameterSpec

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend

OWN = FeedSpec(source="duckdb:///taxi", table="taxi", own=True, order_by="pickup")
RETRAIN = FlowGraph(
    parameters=[ParameterSpec(name="feed", default=""), ParameterSpec(name="rows", default=0)]
)


def arrive(backend: LocalBackend, first: int, rows: int, **more: Any) -> None:  # noqa: ANN401
    arrival = Arrival(first=first, rows=rows, **more)
    backend.call(ops.AddArrival(name="taxi", arrival=arrival))


def runs_of(backend: LocalBackend, name: str) -> list[dict[str, Any]]:
    page = backend.call(ops.ListFlowRuns(flow_name=name, max_results=1000))
    return [run.parameters for run in page.flow_runs]


def test_arrivals_follow_each_other_and_the_latest_place_stays(backend: LocalBackend) -> None:
    backend.call(ops.EnsureFeed(name="taxi", project=PROJECT, spec=OWN))
    arrive(backend, 0, 5, order_until="2022-03-02", columns={"pickup": "timestamp[us]"})
    arrive(backend, 5, 2, order_until="2022-03-01", late=2)
    with pytest.raises(ConflictError, match="begin at 7 and not at 5"):
        arrive(backend, 5, 2)
    (feed,) = backend.call(ops.ListFeeds())
    assert (feed.rows, feed.arrivals, feed.order_until) == (7, 2, "2022-03-02")
    assert [each.late for each in backend.call(ops.ListArrivals(name="taxi"))] == [0, 2]
    (second,) = backend.call(ops.ListArrivals(name="taxi", after=1))
    assert (second.number, second.first) == (2, 5)


def test_of_many_who_find_the_same_rows_one_says_so(backend: LocalBackend) -> None:
    backend.call(ops.EnsureFeed(name="taxi", spec=OWN))

    def say(_: int) -> bool:
        try:
            arrive(backend, 0, 5)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(say, range(16))) == 1
    assert backend.call(ops.GetFeed(name="taxi")).rows == 5


def test_new_rows_run_the_flow_that_is_registered_for_them(backend: LocalBackend) -> None:
    when = When(event=EventKind.NEW_DATA, feed="taxi")
    trigger = FlowTrigger(when=when, parameters={"feed": "{feed}", "rows": "{rows}"})
    backend.call(ops.EnsureFeed(name="taxi", spec=OWN))
    backend.call(ops.EnsureFeed(name="other", spec=OWN))
    arrive(backend, 0, 3)
    register(backend, "retrain", graph=RETRAIN, triggers=[trigger])
    assert runs_of(backend, "retrain") == [], "what was there before is no news"
    arrive(backend, 3, 5)
    backend.call(ops.AddArrival(name="other", arrival=Arrival(first=0, rows=1)))
    assert runs_of(backend, "retrain") == [{"feed": "taxi", "rows": 5}]
    made = backend.call(
        ops.CreateAutomation(
            name="a", when=When(event=EventKind.NEW_DATA), then=Then(action=Action.LOG)
        )
    )
    arrive(backend, 8, 1)
    (fired,) = backend.call(ops.ListFirings(automation_id=made.automation_id))
    assert fired.subject == "feed/taxi"


def test_a_feed_that_cannot_be_exact_is_refused(backend: LocalBackend) -> None:
    for spec, reason in (
        (FeedSpec(source="s", table="t", order_by="pickup"), "cannot be exact"),
        (FeedSpec(source="", table="t", own=True), "a source and a table"),
        (FeedSpec(source="s", table="t", own=True, contract={"f": {"x": 1}}), "knows not_null"),
        (FeedSpec(source="s", table="t", own=True, max_gap_s=-1), "max_gap_s"),
    ):
        with pytest.raises(InvalidInputError, match=reason):
            backend.call(ops.EnsureFeed(name="taxi", spec=spec))
    with pytest.raises(NotFoundError, match="loopline feeds list"):
        backend.call(ops.GetFeed(name="taxi"))


def test_what_cannot_be_an_arrival_or_a_refusal_is_refused(backend: LocalBackend) -> None:
    backend.call(ops.EnsureFeed(name="taxi", spec=OWN))
    arrive(backend, 0, 1, order_until="2022")
    bad: list[dict[str, Any]] = [
        {"first": -1, "rows": 1}, {"first": 1, "rows": 0}, {"first": 1, "rows": 1, "late": -1},
        {"first": 1, "rows": 1, "keys": "x"}, {"first": 1, "rows": 1, "order_until": 7},
        {"first": 1, "rows": 1, "flow_run_id": "a\0"},
    ]  # fmt: skip
    for fields in bad:
        with pytest.raises(InvalidInputError):
            arrive(backend, **fields)
    for refused in (
        RefusedBatch(batch="", rows=1, problems=["x"]),
        RefusedBatch(batch="b", rows=1, problems=[]),
        RefusedBatch(batch="b", rows=1, problems=["x"], content="\0"),
    ):
        with pytest.raises(InvalidInputError):
            backend.call(ops.RefuseBatch(name="taxi", refused=refused))
    assert backend.call(ops.GetFeed(name="taxi")).rows == 1


def test_a_refused_batch_is_noted_once(backend: LocalBackend) -> None:
    backend.call(ops.EnsureFeed(name="taxi", spec=OWN))
    for batch in ("one", "two"):
        refused = RefusedBatch(batch=batch, rows=1, problems=["x"], content="a" * 64)
        noted = backend.call(ops.RefuseBatch(name="taxi", refused=refused))
        assert noted.batch == "one"
    assert len(backend.call(ops.ListRefusals(name="taxi"))) == 1
    assert backend.call(ops.DeleteFeed(name="taxi")).refused == 1
    assert backend.call(ops.ListFeeds()) == []
