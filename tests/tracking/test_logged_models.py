"""Logged models through our own client: searched, looked at, tagged and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import loopline
from loopline.backend.recorder import close_recorders, get_recorder, set_tracking_uri
from loopline.errors import FilterError, InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.facts import LoggedModelMeasured
from loopline.records.logged_models import LoggedModelPoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Three models of an experiment, by name, each measured on two data versions; one elsewhere."""
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    set_tracking_uri(tmp_path / ".loopline")
    loopline.set_experiment("taxifare")
    with loopline.start_run() as run:
        pass
    made: dict[str, str] = {}
    recorder = get_recorder()
    here = loopline.get_run(run.run_id).experiment_id
    there = loopline.create_experiment("elsewhere")
    for number, name in enumerate(("gbm", "keras", "linear", "other")):
        model = recorder.call(
            ops.CreateLoggedModel(
                experiment_id=there if name == "other" else here,
                name=name,
                source_run_id=run.run_id,
                params={"number": str(number)},
            )
        )
        made[name] = model.model_id
        points = [
            LoggedModelPoint(
                model_id=model.model_id,
                key="rmse",
                value=value,
                step=step,
                timestamp_ms=step,
                run_id=run.run_id,
                dataset_name=data,
            )
            for step, (value, data) in enumerate([(3.0 - number, "may"), (1.0 + number, "june")])
        ]
        recorder.call(ops.RecordFacts(facts=[LoggedModelMeasured(points=points)]))
    yield made
    close_recorders()
    set_tracking_uri(None)


def names(*arguments: Any, **more: Any) -> list[str]:  # noqa: ANN401
    more["output_format"] = "list"
    found = loopline.search_logged_models(*arguments, **more)
    return [model.name for model in found]


def test_logged_models_of_the_experiment_set_are_found(models: dict[str, str]) -> None:
    assert sorted(names()) == ["gbm", "keras", "linear"]
    assert names(filter_string="params.number = '1'") == ["keras"]
    everywhere = loopline.Client().search_logged_models()
    assert {model.name for model in everywhere} == set(models)
    loopline.set_experiment("nothing yet")
    assert names() == []


def test_they_are_ordered_by_what_was_measured_on_a_data_version(models: dict[str, str]) -> None:
    del models
    assert names(order_by=["metrics.rmse DESC"]) == ["linear", "keras", "gbm"]
    on_may = {"field_name": "metrics.rmse", "ascending": False, "dataset_name": "may"}
    assert names(order_by=[on_may]) == ["gbm", "keras", "linear"]
    assert names(order_by=["name"]) == ["gbm", "keras", "linear"]
    assert names(None, "metrics.rmse > 2", [{"dataset_name": "may"}]) == ["gbm"]
    assert names(max_results=2, order_by=["name DESC"]) == ["linear", "keras"]


def test_pages_follow_each_other(models: dict[str, str]) -> None:
    client = loopline.Client()
    first = client.search_logged_models(max_results=3, order_by=["name"])
    rest = client.search_logged_models(max_results=3, order_by=["name"], page_token=first.token)
    assert [model.name for model in [*first, *rest]] == sorted(models)
    assert rest.token == ""


def test_a_search_is_a_frame_where_pandas_is(models: dict[str, str]) -> None:
    frame = loopline.search_logged_models(order_by=["name"])
    assert frame["model_id"].tolist() == [models[name] for name in ("gbm", "keras", "linear")]
    assert frame["metrics"][0] == {"rmse": 1.0}
    assert frame["model_uri"][0] == f"models:/{models['gbm']}"


def test_one_is_looked_at_tagged_and_deleted(models: dict[str, str]) -> None:
    client, model_id = loopline.Client(), models["gbm"]
    client.set_logged_model_tags(model_id, {"team": "fares", "year": 2023})
    client.delete_logged_model_tag(model_id, "team")
    assert loopline.get_logged_model(model_id).tags == {"year": "2023"}
    client.delete_logged_model(model_id)
    with pytest.raises(NotFoundError, match=model_id):
        loopline.get_logged_model(model_id)
    assert sorted(names()) == ["keras", "linear"]


def test_what_is_no_search_is_refused(models: dict[str, str]) -> None:
    del models
    with pytest.raises(FilterError):
        names(filter_string="metrics.rmse >")
    with pytest.raises(InvalidInputError, match="dataset_name"):
        names(datasets=[{"name": "may"}])
    with pytest.raises(InvalidInputError, match="is no order"):
        names(order_by=[{"field": "name"}])
    with pytest.raises(InvalidInputError, match="as a list"):
        names(order_by="name")
    with pytest.raises(InvalidInputError, match="as a list"):
        loopline.Client().search_logged_models("1")
    with pytest.raises(InvalidInputError, match="output_format"):
        loopline.search_logged_models(output_format="csv")
