"""A search answers what a plain loop over the runs would, in pages that join up."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

import msgspec
import pytest

from loopline.errors import InvalidInputError
from loopline.records import facts as f
from loopline.records import operations as ops

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend

VALUES = [4.0, 3.5, math.nan, 6.0, None, 3.5, math.inf, 5.0]


@pytest.fixture(scope="module")
def backend(open_module_backend: Callable[..., LocalBackend]) -> LocalBackend:
    backend = open_module_backend()
    facts: list[f.Fact] = []
    for index, value in enumerate(VALUES):
        run_id = f"run{index}"
        facts.append(
            f.RunStarted(
                run_id=run_id,
                experiment="fares" if index < 6 else "tips",
                name=f"Night {index}",
                start_ms=1000 + index,
                tags={"even": str(index % 2 == 0)} if index != 3 else {},
            )
        )
        facts.append(f.ParamsLogged(run_id=run_id, params={"model": "gbm" if index % 3 else "net"}))
        if value is not None:
            facts.append(
                f.MetricPoints(
                    run_id=run_id,
                    key="rmse",
                    steps=array("q", [0, 1]).tobytes(),
                    timestamps_ms=array("q", [0, 1]).tobytes(),
                    values=array("d", [value + 1, value]).tobytes(),
                )
            )
    backend.send(f.Batch(writer="0" * 32, start=0, end=len(facts), facts=facts))
    return backend


def found(backend: LocalBackend, filter_: str = "", **options: object) -> list[int]:
    call = ops.SearchRuns(filter=filter_, **options)  # type: ignore[arg-type]
    return [int(run.run_id[3:]) for run in backend.call(call).runs]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("", [7, 6, 5, 4, 3, 2, 1, 0]),
        ("metrics.rmse < 4.5", [5, 1, 0]),
        ("metrics.rmse.max >= 6", [7, 6, 3]),
        ("metrics.rmse.count = 2", [7, 6, 5, 3, 2, 1, 0]),
        ("params.model = 'net'", [6, 3, 0]),
        ("params.model != 'net'", [7, 5, 4, 2, 1]),
        ("tags.even = 'True' and params.model = 'gbm'", [4, 2]),
        ("tags.even is null", [3]),
        ("not tags.even is null", [7, 6, 5, 4, 2, 1, 0]),
        ("metrics.rmse < 4 or params.model = 'net' and tags.even = 'True'", [6, 5, 1, 0]),
        ("(metrics.rmse < 4 or params.model = 'net') and tags.even = 'True'", [6, 0]),
        ("run_name like 'Night%' and run_name like '%5'", [5]),
        ("run_name like 'night%'", []),
        ("run_name ilike 'night 5'", [5]),
        ("run_id in ('run1', 'run7')", [7, 1]),
        ("run_id not in ('run1', 'run7') and start_time < 1003", [2, 0]),
        ("experiment = 'tips'", [7, 6]),
        ("params.model like 'g_m' and metrics.rmse > 4", [7]),
        ("params.nothing = 'x'", []),
        ("artifact_uri = 'mlflow-artifacts:/1/run3/artifacts'", [3]),
        ("attributes.artifact_uri like '%/run3/%'", [3]),
        ("artifact_uri ilike 'MLFLOW-artifacts:/2/%' and artifact_uri like '%_/art%'", [7, 6]),
        ("artifact_uri != 'mlflow-artifacts:/1/run3/artifacts'", [7, 6, 5, 4, 2, 1, 0]),
        ("artifact_uri like 'runs:%'", []),
        ("not flow_run_id = 'night'", [7, 6, 5, 4, 3, 2, 1, 0]),
    ],
)
def test_filters_find_what_they_say(
    backend: LocalBackend, filter_: str, expected: list[int]
) -> None:
    assert found(backend, filter_) == expected
    assert backend.call(ops.CountRuns(filter=filter_)) == len(expected)


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        (["metrics.rmse"], [5, 1, 0, 7, 3, 6, 2, 4]),
        (["metrics.rmse DESC"], [6, 3, 7, 0, 5, 1, 2, 4]),
        (["params.model", "start_time ASC"], [1, 2, 4, 5, 7, 0, 3, 6]),
        (["start_time"], [0, 1, 2, 3, 4, 5, 6, 7]),
        (["tags.even DESC", "metrics.rmse.min"], [0, 6, 4, 2, 5, 1, 7, 3]),
    ],
)
def test_orders_put_nan_and_then_the_missing_last(
    backend: LocalBackend, order_by: list[str], expected: list[int]
) -> None:
    assert found(backend, order_by=order_by) == expected
    pages: list[int] = []
    token = ""
    while True:
        page = backend.call(ops.SearchRuns(order_by=order_by, max_results=3, page_token=token))
        pages += [int(run.run_id[3:]) for run in page.runs]
        token = page.next_page_token
        if not token:
            break
    assert pages == expected


def test_a_search_stays_inside_the_experiments_asked_for(backend: LocalBackend) -> None:
    assert found(backend, experiment_names=["tips"]) == [7, 6]
    assert found(backend, experiment_names=["no such one"]) == []
    assert found(backend, experiment_ids=["nonsense"]) == []


@pytest.mark.parametrize("token", ["!!", "AAAA", "gqFhoWI", "é"])
def test_a_forged_page_token_is_refused(backend: LocalBackend, token: str) -> None:
    with pytest.raises(InvalidInputError, match="page token"):
        found(backend, page_token=token)


@pytest.mark.parametrize("most", [0, -1, 50_001])
def test_the_size_of_a_page_has_bounds(backend: LocalBackend, most: int) -> None:
    with pytest.raises(InvalidInputError, match="max_results"):
        found(backend, max_results=most)


def test_the_same_key_twice_in_an_order_is_refused(backend: LocalBackend) -> None:
    with pytest.raises(InvalidInputError, match="twice"):
        found(backend, order_by=["metrics.rmse", "metrics.rmse DESC"])


@pytest.mark.parametrize(
    "hostile", ["x' OR '1'='1", "x'; DROP TABLE ll_run; --", "x\\", "%", "_", "\N{SNOWMAN}"]
)
def test_values_are_bound_and_never_spliced(backend: LocalBackend, hostile: str) -> None:
    quoted = hostile.replace("\\", "\\\\").replace("'", "\\'")
    assert found(backend, f"params.model = '{quoted}'") == []
    assert len(found(backend)) == len(VALUES)


@pytest.mark.parametrize(
    "other",
    [
        ops.SearchRuns(order_by=["start_time DESC"]),
        ops.SearchRuns(order_by=["metrics.rmse DESC"]),
        ops.SearchRuns(order_by=["metrics.rmse"], filter="metrics.rmse < 5"),
        ops.SearchRuns(order_by=["metrics.rmse"], lifecycle="deleted"),
    ],
)
def test_a_page_token_is_of_no_use_to_another_search(
    backend: LocalBackend, other: ops.SearchRuns
) -> None:
    first = backend.call(ops.SearchRuns(order_by=["metrics.rmse"], max_results=2))
    with pytest.raises(InvalidInputError, match="belongs to another search"):
        backend.call(msgspec.structs.replace(other, page_token=first.next_page_token))
