"""However a search is carried out, it finds the same runs in the same order, page by page."""

from __future__ import annotations

import math
import random
from array import array
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.base import Lifecycle
from loopline.rules.filters import parse, parse_order_by
from loopline.store import search_plan
from loopline.store.search_plan import Hit, Question, find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loopline.backend.local import LocalBackend

RUNS = 120


@pytest.fixture(scope="module")
def backend(open_module_backend: Callable[..., LocalBackend]) -> LocalBackend:
    backend = open_module_backend()
    choose = random.Random(20230401)  # noqa: S311 - repeatable, no secret
    facts: list[f.Fact] = []
    for number in range(RUNS):
        run_id = f"run{number}"
        started = f.RunStarted(
            run_id=run_id,
            experiment=f"search {number % 3}",
            name=f"night {number % 10}",
            start_ms=1000 + number // 4,
        )
        params = {"model": choose.choice(["gbm", "net", "linear"]), "lr": str(choose.random())[:4]}
        facts += [started, f.ParamsLogged(run_id=run_id, params=params)]
        value = choose.choice([4.0, 4.0, 3.5, math.nan, math.inf, choose.random(), None])
        if value is not None:
            column = array("q", [0]).tobytes()
            facts.append(
                f.MetricPoints(
                    run_id=run_id,
                    key="rmse",
                    steps=column,
                    timestamps_ms=column,
                    values=array("d", [value]).tobytes(),
                )
            )
        if choose.random() < 0.5:
            facts.append(f.TagsSet(run_id=run_id, tags={"team": choose.choice("abc")}))
    backend.send(f.Batch(writer="0" * 32, start=0, end=len(facts), facts=facts))
    backend.call(ops.DeleteRun(run_id="run7"))
    return backend


@pytest.fixture(autouse=True, scope="module", params=[0, 12, 2_000])
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let every way be taken: conditions name their runs never, sometimes, always."""
    before, search_plan.FEW = search_plan.FEW, request.param
    yield
    search_plan.FEW = before


CONDITIONS = (
    "metrics.rmse < 4",
    "metrics.rmse >= 4",
    "metrics.rmse.max > 3.9",
    "params.model = 'gbm'",
    "params.model != 'gbm'",
    "params.lr like '0.1%'",
    "tags.team in ('a', 'b')",
    "tags.team is null",
    "run_name ilike 'NIGHT 3'",
    "start_time > 1010",
)
conditions = st.sampled_from(CONDITIONS)
filters = st.one_of(
    st.just(""),
    st.lists(conditions, min_size=1, max_size=3, unique=True).map(" and ".join),
    st.lists(conditions, min_size=2, max_size=2, unique=True).map(" or ".join),
    conditions.map(lambda text: f"not {text}"),
)
ORDERS: tuple[list[str], ...] = (
    [],
    ["start_time DESC"],
    ["start_time ASC"],
    ["metrics.rmse"],
    ["metrics.rmse DESC"],
    ["params.model"],
    ["tags.team DESC"],
    ["metrics.rmse.min"],
    ["tags.team", "metrics.rmse DESC"],
    ["run_name"],
)


def pages(backend: LocalBackend, question: Question, look: Callable[..., list[Hit]]) -> list[int]:
    """Read every page, each from where the one before ended."""
    found: list[int] = []
    with backend.store.read() as connection:
        while True:
            hits = look(connection, question)
            found += [hit.pk for hit in hits]
            if len(hits) < question.most:
                return found
            question = question._replace(after=hits[-1].place)


@settings(max_examples=30)
@given(
    filter_=filters,
    order=st.sampled_from(ORDERS),
    experiments=st.sampled_from([None, [1], [2, 3], [1, 2, 3, 99]]),
    most=st.sampled_from([7, 50, 1000]),
)
def test_every_way_of_searching_finds_the_same(
    backend: LocalBackend,
    filter_: str,
    order: list[str],
    experiments: list[int] | None,
    most: int,
) -> None:
    question = Question(
        experiments=experiments,
        lifecycle=Lifecycle.ACTIVE,
        node=parse(filter_),
        order=[parse_order_by(text) for text in order],
        after=None,
        most=most,
    )
    plainly = pages(
        backend,
        question._replace(most=RUNS + 1),
        lambda connection, asked: search_plan._among(connection, asked, None),
    )
    assert pages(backend, question, find) == plainly


def test_more_experiments_than_are_merged_are_searched_together(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ops.SearchRuns(filter="metrics.rmse < 4", order_by=["metrics.rmse"])
    expected = [run.run_id for run in backend.call(call).runs]
    monkeypatch.setattr(search_plan, "MOST_PARTS", 1)
    assert [run.run_id for run in backend.call(call).runs] == expected


def test_a_table_has_what_the_runs_have(backend: LocalBackend) -> None:
    runs = backend.call(ops.SearchRuns(max_results=50)).runs
    table = backend.call(ops.SearchRunTable(max_results=50))
    assert table.run_ids == [run.run_id for run in runs]
    assert table.params["model"] == [run.params["model"] for run in runs]
    assert [value is None for value in table.metrics["rmse"]] == [
        "rmse" not in run.metrics for run in runs
    ]
    assert table.tags["team"] == [run.tags.get("team") for run in runs]
    brief = backend.call(ops.SearchRunTable(columns=["metrics.rmse"], max_results=5))
    assert (list(brief.metrics), brief.params, brief.tags) == (["rmse"], {}, {})
    assert brief.next_page_token
