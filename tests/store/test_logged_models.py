"""Logged models: made, measured, found, registered and deleted, on every database."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from loopline.errors import ConflictError, FilterError, InvalidInputError, NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.logged_models import (
    DatasetName,
    LoggedModelOrder,
    LoggedModelPoint,
    LoggedModelStatus,
    ModelRole,
)

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend

DIGEST = "ab" * 32


@pytest.fixture
def taxi(backend: LocalBackend) -> LocalBackend:
    started = f.RunStarted(run_id="taxi", experiment="fares", start_ms=1)
    params = f.ParamsLogged(run_id="taxi", params={"model": "gbm"})
    backend.call(ops.RecordFacts(facts=[started, params]))
    return backend


def create(backend: LocalBackend, name: str, **fields: Any) -> str:  # noqa: ANN401
    fields.setdefault("experiment_id", "1")
    return backend.call(ops.CreateLoggedModel(name=name, **fields)).model_id


def measure(
    backend: LocalBackend,
    model_id: str,
    value: float,
    step: int = 0,
    **more: Any,  # noqa: ANN401
) -> None:
    point = LoggedModelPoint(
        model_id=model_id, key="rmse", value=value, step=step, timestamp_ms=5, run_id="taxi", **more
    )
    backend.call(ops.RecordFacts(facts=[f.LoggedModelMeasured(points=[point])]))


def add_file(backend: LocalBackend, model_id: str, path: str) -> None:
    fact = f.LoggedModelFile(model_id=model_id, path=path, sha256=DIGEST, size_bytes=3, at_ms=7)
    backend.call(ops.RecordFacts(facts=[fact]))


def found(backend: LocalBackend, filter_: str = "", **more: Any) -> list[str]:  # noqa: ANN401
    page = backend.call(ops.SearchLoggedModels(filter=filter_, **more))
    return [model.name for model in page.models]


def test_a_model_keeps_what_was_said_of_it(taxi: LocalBackend) -> None:
    model_id = create(
        taxi, "gbm", model_type="regressor", source_run_id="taxi", params={"depth": "8"},
        tags={"city": "New York"},
    )  # fmt: skip
    taxi.call(ops.LogLoggedModelParams(model_id=model_id, params={"depth": "8", "trees": "300"}))
    taxi.call(ops.SetLoggedModelTags(model_id=model_id, tags={"city": "Queens", "gone": "x"}))
    taxi.call(ops.RemoveLoggedModelTag(model_id=model_id, key="gone"))
    taxi.call(
        ops.FinishLoggedModel(
            model_id=model_id, status=LoggedModelStatus.FAILED, message="disk full"
        )
    )
    model = taxi.call(ops.GetLoggedModel(model_id=model_id))
    assert model_id.startswith("m-")
    assert (model.name, model.model_type, model.source_run_id) == ("gbm", "regressor", "taxi")
    assert model.params == {"depth": "8", "trees": "300"}
    assert model.tags == {"city": "Queens"}
    assert (model.status, model.status_message) == (LoggedModelStatus.FAILED, "disk full")


def test_a_model_without_a_name_gets_one(taxi: LocalBackend) -> None:
    names = {taxi.call(ops.CreateLoggedModel(experiment_id="1")).name for _ in range(5)}
    assert all(name.count("-") == 2 for name in names)


def test_what_cannot_be_is_refused_and_changes_nothing(taxi: LocalBackend) -> None:
    model_id = create(taxi, "gbm", model_id="m-1", params={"depth": "8"})
    with pytest.raises(ConflictError, match="m-1' already exists"):
        create(taxi, "other", model_id="m-1")
    with pytest.raises(InvalidInputError, match="cannot contain the following characters"):
        create(taxi, "a/b")
    with pytest.raises(NotFoundError, match="No Experiment with id=77 exists"):
        create(taxi, "gbm", experiment_id="77")
    with pytest.raises(InvalidInputError, match="Changing param values is not allowed"):
        taxi.call(ops.LogLoggedModelParams(model_id=model_id, params={"new": "1", "depth": "9"}))
    with pytest.raises(NotFoundError, match="No tag with key 'none'"):
        taxi.call(ops.RemoveLoggedModelTag(model_id=model_id, key="none"))
    with pytest.raises(NotFoundError, match="Logged model with ID 'm-2' not found"):
        measure(taxi, "m-2", 1.0)
    with pytest.raises(InvalidInputError, match="more than 1,000 bytes"):
        measure(taxi, "m-1", 1.0, dataset_name="ü" * 600)
    model = taxi.call(ops.GetLoggedModel(model_id=model_id))
    assert (model.params, model.metrics) == ({"depth": "8"}, [])
    taxi.call(ops.DeleteExperiment(experiment_id="1"))
    with pytest.raises(InvalidInputError, match="Current state is deleted"):
        create(taxi, "late")


def test_points_are_kept_by_what_they_were_measured_on(taxi: LocalBackend) -> None:
    model_id = create(taxi, "gbm")
    measure(taxi, model_id, 4.0)
    measure(taxi, model_id, 4.0)
    measure(taxi, model_id, math.nan, step=1)
    measure(taxi, model_id, 3.5, dataset_name="trips", dataset_digest="d1")
    points = taxi.call(ops.GetLoggedModel(model_id=model_id)).metrics
    assert [(point.step, point.dataset_name, str(point.value)) for point in points] == [
        (0, "", "4.0"), (0, "trips", "3.5"), (1, "", "nan"),
    ]  # fmt: skip


def test_models_are_found_by_what_is_known_of_them(taxi: LocalBackend) -> None:
    good = create(taxi, "good", model_type="gbm", source_run_id="taxi", params={"depth": "8"})
    bad = create(taxi, "bad", tags={"city": "Queens"})
    create(taxi, "elsewhere", experiment_id="0")
    measure(taxi, good, 3.0, dataset_name="trips", dataset_digest="d1")
    measure(taxi, bad, 5.0)
    taxi.call(ops.FinishLoggedModel(model_id=good, status=LoggedModelStatus.READY))
    assert found(taxi, experiment_ids=["1"], order_by=[LoggedModelOrder(field="name")]) == [
        "bad", "good",
    ]  # fmt: skip
    for filter_, names in {
        "metrics.rmse < 4": ["good"],
        "metrics.rmse > 4": ["bad"],
        "NOT metrics.rmse > 4 AND model_type != 'x'": ["elsewhere", "good"],
        "params.depth = '8'": ["good"],
        "params.depth IS NULL AND tags.city LIKE 'Qu%'": ["bad"],
        "status = 'READY'": ["good"],
        "status = 'LOGGED_MODEL_READY'": ["good"],
        f"source_run_id = 'taxi' AND model_id IN ('{good}')": ["good"],
        "name ILIKE 'GO%' OR name = 'bad'": ["bad", "good"],
        "creation_timestamp > 5 AND experiment_id = '0'": ["elsewhere"],
    }.items():
        assert sorted(found(taxi, filter_)) == names, filter_
    on_trips = [DatasetName(name="trips")]
    assert found(taxi, "metrics.rmse > 0", datasets=on_trips) == ["good"]
    other = [DatasetName(name="trips", digest="d2")]
    assert found(taxi, "metrics.rmse > 0", datasets=other) == []
    with pytest.raises(FilterError, match="source_run_id"):
        found(taxi, "nothing = 'x'")
    with pytest.raises(InvalidInputError, match="max_results"):
        found(taxi, max_results=0)


@pytest.mark.parametrize("ascending", [True, False])
def test_pages_go_by_a_metric_and_end_with_those_that_lack_it(
    taxi: LocalBackend, *, ascending: bool
) -> None:
    for index in range(5):
        model_id = create(taxi, f"m{index}")
        if index < 3:
            measure(taxi, model_id, float(index))
            measure(taxi, model_id, 10.0 - index, step=1)  # The last step counts.
    order = [LoggedModelOrder(field="metrics.rmse", ascending=ascending)]
    names: list[str] = []
    token = ""
    while True:
        page = taxi.call(ops.SearchLoggedModels(order_by=order, max_results=2, page_token=token))
        names += [model.name for model in page.models]
        token = page.next_page_token
        if not token:
            break
    best = ["m2", "m1", "m0"] if ascending else ["m0", "m1", "m2"]
    assert names[:3] == best
    assert sorted(names[3:]) == ["m3", "m4"]
    with pytest.raises(InvalidInputError, match="page token"):
        taxi.call(ops.SearchLoggedModels(max_results=2, page_token="!!"))  # noqa: S106


def test_a_run_knows_what_it_read_and_made(taxi: LocalBackend) -> None:
    uses = [
        f.LoggedModelUsed(run_id="taxi", model_id="m-far", role=ModelRole.INPUT),
        f.LoggedModelUsed(run_id="taxi", model_id="m-1", role=ModelRole.OUTPUT, step=3),
        f.LoggedModelUsed(run_id="taxi", model_id="m-1", role=ModelRole.OUTPUT, step=4),
    ]
    taxi.call(ops.RecordFacts(facts=list(uses)))
    models = taxi.call(ops.ListRunModels(run_id="taxi"))
    assert [(each.model_id, each.role, each.step) for each in models] == [
        ("m-far", "input", 0), ("m-1", "output", 4),
    ]  # fmt: skip
    with pytest.raises(NotFoundError, match="Run 'nobody' not found"):
        taxi.call(ops.ListRunModels(run_id="nobody"))


def test_a_version_has_the_files_and_numbers_of_its_model(taxi: LocalBackend) -> None:
    model_id = create(taxi, "gbm", source_run_id="taxi", params={"depth": "8"})
    add_file(taxi, model_id, "MLmodel")
    add_file(taxi, model_id, "data/model.skops")
    measure(taxi, model_id, 3.5)
    version = taxi.call(ops.RegisterVersion(name="taxifare", logged_model_id=model_id))
    add_file(taxi, model_id, "late.txt")
    assert (version.run_id, version.logged_model_id) == ("taxi", model_id)
    assert (version.metrics, version.params) == ({"rmse": 3.5}, {"model": "gbm", "depth": "8"})
    resolved = taxi.call(ops.ResolveModel(name="taxifare", version=1))
    assert [file.path for file in resolved.files] == ["MLmodel", "data/model.skops"]
    model = taxi.call(ops.GetLoggedModel(model_id=model_id))
    assert model.registrations == [("taxifare", 1)]
    files = taxi.call(ops.ListLoggedModelFiles(model_id=model_id))
    assert [(file.path, file.is_dir) for file in files] == [
        ("MLmodel", False), ("data", True), ("late.txt", False),
    ]  # fmt: skip
    taxi.call(ops.DeleteLoggedModel(model_id=model_id))
    assert len(taxi.call(ops.ResolveModel(name="taxifare", version=1)).files) == 2


def test_a_deleted_model_is_gone_and_takes_nothing_more(taxi: LocalBackend) -> None:
    model_id = create(taxi, "gbm")
    for _ in range(2):
        assert taxi.call(ops.DeleteLoggedModel(model_id=model_id)).lifecycle == "deleted"
    assert found(taxi) == []
    with pytest.raises(NotFoundError, match="not found"):
        taxi.call(ops.GetLoggedModel(model_id=model_id))
    with pytest.raises(NotFoundError, match="not found"):
        add_file(taxi, model_id, "MLmodel")
    with pytest.raises(NotFoundError, match="not found"):
        taxi.call(ops.RegisterVersion(name="taxifare", logged_model_id=model_id))
    with pytest.raises(NotFoundError, match="m-9"):
        taxi.call(ops.DeleteLoggedModel(model_id="m-9"))
