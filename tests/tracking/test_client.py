"""The explicit client does everything by id, and experiments are made, found and changed by it."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import loopline
from loopline.errors import AlreadyExistsError, FilterError, InvalidInputError, NotFoundError
from loopline.records.tracking import RunStatus
from loopline.tracking import fluent

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def client(home: Path) -> loopline.Client:
    return loopline.Client(str(home / "team"))


def test_a_client_runs_a_run_with_no_global_state(client: loopline.Client, home: Path) -> None:
    experiment_id = client.create_experiment("night shift", tags={"team": "fares"})
    run = client.create_run(experiment_id, tags={"city": "New York"}, run_name="first")
    client.log_param(run.run_id, "model", "gbm")
    client.log_metric(run.run_id, "rmse", 3.9, 1_641_000_000_000, 7)
    client.log_metrics(run.run_id, {"loss": [0.5, 0.25]}, steps=[1, 2])
    client.set_tag(run.run_id, "shift", "night")
    client.delete_tag(run.run_id, "city")
    client.log_text(run.run_id, "fares rose", "why.txt")
    client.log_dict(run.run_id, {"a": 1}, "a.json")
    client.log_table(run.run_id, {"fare": [1.0]}, "t.json")
    client.set_terminated(run.run_id, "FAILED", end_time=run.start_ms + 5000)
    found = client.get_run(run.run_id)
    assert found.params == {"model": "gbm"}
    assert found.data.metrics == {"rmse": 3.9, "loss": 0.25}
    assert found.tags["shift"] == "night"
    assert "city" not in found.tags
    assert (found.info.status, found.info.end_time) == ("FAILED", run.start_ms + 5000)
    assert (found.experiment_name, found.info.run_name) == ("night shift", "first")
    assert [point.timestamp for point in client.get_metric_history(run.run_id, "rmse")] == [
        1_641_000_000_000
    ]
    assert loopline.active_run() is None
    assert client.tracking_uri == str(home / "team")
    with pytest.raises(NotFoundError):
        loopline.get_run(run.run_id)  # It is in the client's store, and there alone.
    assert client.load_table(experiment_id, "t.json")["fare"].tolist() == [1.0]
    at = client.download_artifacts(run.run_id, "why.txt")
    assert Path(at).read_text() == "fares rose"


def test_a_changed_param_is_refused_at_once(client: loopline.Client) -> None:
    run = client.create_run(client.create_experiment("night shift"))
    client.log_param(run.run_id, "model", "gbm")
    with pytest.raises(InvalidInputError, match="already logged with value='gbm'"):
        client.log_param(run.run_id, "model", "keras")


def test_a_batch_is_logged_whole_or_not_at_all(client: loopline.Client) -> None:
    run = client.create_run(client.create_experiment("night shift"))
    good = loopline.Metric(key="rmse", value=3.9, step=1, timestamp=5)
    bad = SimpleNamespace(key="mae", value="x", step=1, timestamp=5)
    tag = SimpleNamespace(key="city", value="New York")
    with pytest.raises(InvalidInputError, match="'mae'"):
        client.log_batch(run.run_id, [good, bad], {"model": "gbm"}, [tag])
    twice = [SimpleNamespace(key="a", value="1"), SimpleNamespace(key="a", value="2")]
    with pytest.raises(InvalidInputError, match="twice"):
        client.log_batch(run.run_id, [good], twice)
    assert client.get_run(run.run_id).metrics == {}
    pending = client.log_batch(run.run_id, [good], {"model": "gbm"}, [tag], synchronous=False)
    assert pending is not None
    pending.wait()
    found = client.get_run(run.run_id)
    assert (found.params, found.data.metrics) == ({"model": "gbm"}, {"rmse": 3.9})
    assert found.tags["city"] == "New York"


def test_a_run_is_renamed_and_goes_on(client: loopline.Client) -> None:
    run = client.create_run(client.create_experiment("night shift"))
    client.set_terminated(run.run_id)
    client.update_run(run.run_id, status="RUNNING", name="second try")
    found = client.get_run(run.run_id)
    assert (found.name, found.status) == ("second try", RunStatus.RUNNING)
    with pytest.raises(InvalidInputError, match="FINISHED, FAILED or KILLED"):
        client.update_run(run.run_id, status="DONE")


def test_an_experiment_of_a_taken_name_is_not_made_again(client: loopline.Client) -> None:
    experiment_id = client.create_experiment("night shift")
    with pytest.raises(AlreadyExistsError, match=r"already exists.*set_experiment"):
        client.create_experiment("night shift")
    client.delete_experiment(experiment_id)
    with pytest.raises(AlreadyExistsError, match="restore_experiment"):
        client.create_experiment("night shift")
    assert client.get_experiment(experiment_id).lifecycle_stage == "deleted"
    client.restore_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "active"


def test_an_experiment_is_renamed_and_tagged(client: loopline.Client) -> None:
    experiment_id = client.create_experiment("night shift")
    client.create_experiment("day shift")
    run = client.create_run(experiment_id)
    client.rename_experiment(experiment_id, "late shift")
    client.set_experiment_tag(experiment_id, "team", "fares")
    client.set_experiment_tags(experiment_id, {"team": "tips", "long": "x" * 20_000})
    found = client.get_experiment(experiment_id)
    assert (found.name, found.tags["team"]) == ("late shift", "tips")
    assert client.get_run(run.run_id).experiment_name == "late shift"
    client.delete_experiment_tag(experiment_id, "long")
    assert client.get_experiment(experiment_id).tags == {"team": "tips"}
    with pytest.raises(AlreadyExistsError):
        client.rename_experiment(experiment_id, "day shift")
    with pytest.raises(NotFoundError, match="Did you mean 'team'"):
        client.delete_experiment_tag(experiment_id, "teams")
    with pytest.raises(InvalidInputError, match="20,001 characters"):
        client.set_experiment_tag(experiment_id, "long", "x" * 20_001)
    client.delete_experiment(experiment_id)
    changes: list[Callable[[], None]] = [
        lambda: client.rename_experiment(experiment_id, "x"),
        lambda: client.set_experiment_tag(experiment_id, "a", 1),
        lambda: client.delete_experiment_tag(experiment_id, "team"),
    ]
    for change in changes:
        with pytest.raises(InvalidInputError, match="restore_experiment"):
            change()


@pytest.fixture
def shifts(client: loopline.Client) -> loopline.Client:
    for name, tags in (
        ("night shift", {"team": "fares"}),
        ("day shift", {"team": "tips"}),
        ("Day_off", {}),
        ("old", {}),
    ):
        client.create_experiment(name, tags=tags)
    client.delete_experiment("4" if client.get_experiment("4").name == "old" else "5")
    return client


@pytest.mark.parametrize(
    ("filter_string", "names"),
    [
        ("", ["Day_off", "day shift", "night shift"]),
        ("name = 'day shift'", ["day shift"]),
        ("attribute.name != 'day shift'", ["Day_off", "night shift"]),
        ("name LIKE '%shift'", ["day shift", "night shift"]),
        ("name LIKE 'day%'", ["day shift"]),
        ("name ILIKE 'day%'", ["Day_off", "day shift"]),
        ("name LIKE 'Day_off'", ["Day_off"]),
        ("tags.team = 'fares'", ["night shift"]),
        ("tags.team IS NULL", ["Day_off"]),
        ("tags.team IS NOT NULL AND NOT name = 'day shift'", ["night shift"]),
        ("tags.`team` = 'tips' OR name = 'Day_off'", ["Day_off", "day shift"]),
        ("name IN ('old', 'day shift')", ["day shift"]),
        ("creation_time > 0 AND last_update_time >= 0", ["Day_off", "day shift", "night shift"]),
        ("creation_time < 1", []),
        ("tags.team != 'fares'", ["day shift"]),
    ],
)
def test_experiments_are_found_by_filter(
    shifts: loopline.Client, filter_string: str, names: list[str]
) -> None:
    found = shifts.search_experiments(filter_string=filter_string, order_by=["name ASC"])
    assert [one.name for one in found if one.name != "Default"] == names


def test_experiments_are_ordered_and_paged(shifts: loopline.Client) -> None:
    def names(**arguments: Any) -> list[str]:  # noqa: ANN401
        return [one.name for one in shifts.search_experiments(**arguments)]

    assert names(order_by=["name DESC"])[0] == "night shift"
    assert names(order_by=["experiment_id ASC"]) == names(order_by=["creation_time ASC", "id"])
    assert names(order_by=["tags.team ASC"])[:2] == ["night shift", "day shift"]
    assert names(view_type=2) == ["old"]
    assert "old" in names(view_type=3)
    page = shifts.search_experiments(max_results=2, order_by=["name"])
    rest = shifts.search_experiments(max_results=9, order_by=["name"], page_token=page.token)
    assert [one.name for one in [*page, *rest]] == names(order_by=["name"])
    assert not rest.token
    with pytest.raises(InvalidInputError, match="page token"):
        shifts.search_experiments(page_token="!!")  # noqa: S106 - where a page begins
    with pytest.raises(InvalidInputError, match="twice"):
        shifts.search_experiments(order_by=["name", "name DESC"])


@pytest.mark.parametrize(
    ("filter_string", "said"),
    [
        ("metrics.rmse < 4", "character 1 .*\n"),
        ("name = 'a' AND params.x = '1'", "character 16 "),
        ("nome = 'a'", "name, experiment_id, creation_time"),
        ("name < 'a'", "character 6"),
        ("creation_time = 'a'", "a number without quotes"),
        ("name = 'a' AND", "character 15"),
    ],
)
def test_a_filter_that_cannot_be_says_where(
    shifts: loopline.Client, filter_string: str, said: str
) -> None:
    with pytest.raises(FilterError, match=said):
        shifts.search_experiments(filter_string=filter_string)


def test_runs_are_searched_by_pages_and_views(client: loopline.Client) -> None:
    experiment_id = client.create_experiment("night shift")
    runs = [
        client.create_run(experiment_id, start_time=ms, run_name=f"r{ms}") for ms in range(1, 8)
    ]
    for run in runs[:3]:
        client.delete_run(run.run_id)
    page = client.search_runs([experiment_id], max_results=3)
    rest = client.search_runs([experiment_id], max_results=3, page_token=page.token)
    assert [run.name for run in [*page, *rest]] == ["r7", "r6", "r5", "r4"]
    assert [run.name for run in client.search_runs([experiment_id], "", 2)] == ["r3", "r2", "r1"]
    assert len(client.search_runs([experiment_id], "", 3)) == 7
    assert [run.name for run in client.search_runs([experiment_id], "", 2, 2)] == ["r3", "r2"]
    for search in (
        lambda: client.search_runs(order_by="metrics.rmse"),
        lambda: client.search_run_table(order_by="metrics.rmse"),
        lambda: client.search_experiments(order_by="metrics.rmse"),
        lambda: loopline.find_runs(order_by="metrics.rmse"),
    ):
        with pytest.raises(InvalidInputError, match=r"as a list, .*\['metrics.rmse'\]"):
            search()
    with pytest.raises(InvalidInputError, match="as a list"):
        client.search_runs(experiment_id)
    with pytest.raises(InvalidInputError, match="view"):
        client.search_runs([experiment_id], "", 4)


def test_the_fluent_functions_change_the_experiment_that_is_set(home: Path) -> None:
    assert home.is_dir()
    loopline.set_experiment_tags({"team": "fares", "city": "New York"})
    loopline.delete_experiment_tag("city")
    loopline.set_experiment_tag("shift", "night")
    handle = loopline.set_experiment("wagoncab taxifare")
    assert handle.tags == {"team": "fares", "shift": "night"}
    assert handle.lifecycle_stage == "active"
    assert handle.creation_time <= handle.last_update_time
    loopline.rename_experiment(handle.experiment_id, "taxi")
    assert [one.name for one in loopline.search_experiments(filter_string="name = 'taxi'")] == [
        "taxi"
    ]
    loopline.delete_experiment(loopline.set_experiment("taxi").experiment_id)
    assert "taxi" not in [one.name for one in loopline.search_experiments()]
    assert "taxi" in [one.name for one in loopline.search_experiments(include_deleted=True)]
    loopline.restore_experiment(loopline.search_experiments(view_type=2)[0].experiment_id)


def test_metrics_remember_what_they_were_measured_on_and_with(home: Path) -> None:
    assert home.is_dir()
    trips = loopline.dataset(pd.DataFrame({"fare": [1.0, 2.0]}), name="trips")
    with loopline.start_run() as run:
        for step in range(3):
            loopline.log_metric("rmse", 3.9, step=step, dataset=trips, model_id="m-1")
        loopline.log_metrics({"mae": 1.0, "loss": [1.0, 0.5]}, dataset=trips)
    found = loopline.get_run(run.run_id)
    assert found.tags["loopline.model.rmse"] == "m-1"
    inputs = loopline.Client().list_inputs(run.run_id)
    assert sorted(one.context for one in inputs) == ["metric loss", "metric mae", "metric rmse"]
    assert {one.dataset.digest for one in inputs} == {trips.digest}


def test_inputs_are_taken_as_people_pass_them(home: Path) -> None:
    assert home.is_dir()
    theirs = SimpleNamespace(  # The attributes that a dataset of MLflow's has.
        name="trips",
        digest="abc123",
        source=SimpleNamespace(uri="s3://bucket/trips.parquet"),
        schema=None,
        profile={"num_rows": 3},
    )
    with loopline.start_run() as run:
        loopline.log_inputs(
            [theirs, pd.DataFrame({"fare": [1.0]})],
            contexts=["training", None],
            tags_list=[None, {"mlflow.data.context": "evaluation", "part": 2}],
        )
        with pytest.raises(InvalidInputError, match="Of contexts there are 1, of datasets 2"):
            loopline.log_inputs([theirs, theirs], contexts=["a"])
    read = loopline.Client().list_inputs(run.run_id)
    inputs = {one.context: one.dataset for one in read}
    assert set(inputs) == {"training", "evaluation"}
    assert inputs["training"].source == "s3://bucket/trips.parquet"
    assert (inputs["training"].digest, inputs["training"].rows) == ("abc123", 3)
    assert {one.context: one.tags for one in read} == {"training": {}, "evaluation": {"part": "2"}}


def test_a_client_logs_inputs_with_contexts_and_tags(client: loopline.Client) -> None:
    run = client.create_run(client.create_experiment("night shift"))
    theirs = SimpleNamespace(  # MLflow's DatasetInput.
        dataset=SimpleNamespace(name="trips", digest="abc123", source="", schema=None, profile={}),
        tags=[loopline.RunTag("mlflow.data.context", "training"), loopline.RunTag("part", "1")],
    )
    frame = pd.DataFrame({"dataset": ["a"], "tags": ["b"], "context": ["c"]})
    client.log_inputs(run.run_id, [theirs, frame])
    client.log_inputs(
        run.run_id, [theirs, frame], contexts=[None, "test"], tags_list=[{"part": 2}, None]
    )
    client.log_input(run.run_id, frame, "again", name="columns of any name")
    found = client.list_inputs(run.run_id)
    assert sorted((one.context, one.dataset.name) for one in found) == [
        ("", "dataset"),
        ("again", "columns of any name"),
        ("test", "dataset"),
        ("training", "trips"),
    ]
    assert [one.tags for one in found if one.context == "training"] == [{"part": "2"}]
    with pytest.raises(InvalidInputError, match="Of tags_list there are 1, of datasets 2"):
        client.log_inputs(run.run_id, [theirs, frame], tags_list=[None])


def test_a_batch_takes_records_as_mlflow_users_write_them(client: loopline.Client) -> None:
    run = client.create_run(client.create_experiment("night shift"))
    client.log_batch(
        run.run_id,
        metrics=[loopline.Metric("rmse", 3.9, 1_641_000_000_000, 7)],
        params=[loopline.Param("model", "gbm")],
        tags=[loopline.RunTag("shift", "night")],
    )
    found = client.get_run(run.run_id)
    assert (found.params, found.tags["shift"]) == ({"model": "gbm"}, "night")
    (point,) = client.get_metric_history(run.run_id, "rmse")
    assert point == loopline.Metric("rmse", 3.9, 1_641_000_000_000, 7)
    with pytest.raises(InvalidInputError, match=r"params.*'model', a str.*loopline.Param"):
        client.log_batch(run.run_id, params=["model"])


@pytest.mark.parametrize(
    "name",
    [name for name in fluent.__all__ if name.startswith(("log_", "set_tag", "delete_tag"))],
)
def test_a_client_has_all_that_the_fluent_functions_log(name: str) -> None:
    taken = inspect.signature(getattr(loopline.Client, name)).parameters
    assert set(inspect.signature(getattr(fluent, name)).parameters) <= {*taken, "run_id"}


def test_a_client_logs_sounds_and_videos(client: loopline.Client) -> None:
    run = client.create_run(client.create_experiment("night shift"))
    client.log_audio(run.run_id, np.zeros(8), "horn.wav", 8000)
    client.log_video(run.run_id, np.zeros((2, 3, 4)), "drive.png")
    assert [file.path for file in client.list_artifacts(run.run_id)] == ["drive.png", "horn.wav"]


def test_files_are_listed_by_mlflows_arguments_and_by_address(home: Path) -> None:
    with loopline.start_run() as run:
        loopline.log_text("a", "model/data/weights.txt")
        loopline.log_text("b", "model/MLmodel")
    expected = ["model/MLmodel", "model/data"]
    for listed in (
        loopline.list_artifacts(run.run_id, "model"),
        loopline.list_artifacts(run_id=run.run_id, artifact_path="model"),
        loopline.list_artifacts(f"runs:/{run.run_id}/model"),
        loopline.list_artifacts(artifact_uri=f"runs:/{run.run_id}/model", tracking_uri=str(home)),
    ):
        assert [file.path for file in listed] == expected
    with pytest.raises(InvalidInputError, match="either run_id"):
        loopline.list_artifacts()
    with pytest.raises(InvalidInputError, match="is no address of a run's files"):
        loopline.list_artifacts("file:/tmp")


def test_another_run_is_written_to_by_its_id(home: Path) -> None:
    assert home.is_dir()
    with loopline.start_run() as other:
        pass
    with loopline.start_run() as run:
        loopline.log_metric("rmse", 1.0, run_id=other.run_id)
        loopline.log_metrics({"mae": 1.0}, run_id=other.run_id)
        loopline.log_params({"model": "gbm"}, run_id=other.run_id)
        loopline.log_text("x", "x.txt", run_id=other.run_id)
        waiting = loopline.log_metric("mine", 1.0, synchronous=False)
        assert waiting is not None
        waiting.wait()
        loopline.flush_async_logging()
    found = loopline.get_run(other.run_id)
    assert (set(found.metrics), found.params) == ({"rmse", "mae"}, {"model": "gbm"})
    assert set(loopline.get_run(run.run_id).metrics) == {"mine"}
    loopline.rename_run(other.run_id, "other")
    assert loopline.get_run(other.run_id).name == "other"


def test_a_history_is_read_by_place_as_a_list_is(home: Path) -> None:
    loopline.set_tracking_uri(home)
    with loopline.start_run() as run:
        for step in range(5):
            loopline.log_metric("rmse", 4 - step / 10, step=step)

    history = loopline.get_metric_history(run.run_id, "rmse")

    assert (history[0].value, history[-1].step) == (4.0, 4)
    assert [point.step for point in history[1:3]] == [1, 2]
    with pytest.raises(IndexError):
        history[5]


@pytest.mark.parametrize("wrong", [5, None, "", "../../taxi", "x" * 300])
def test_a_run_id_that_cannot_be_is_refused_where_it_is_given(
    client: loopline.Client,
    wrong: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(InvalidInputError, match="run id"):
        client.log_metric(wrong, "rmse", 1.0)
    with pytest.raises(InvalidInputError, match="run id"):
        client.set_tag(wrong, "city", "New York")
    with pytest.raises(InvalidInputError, match="run id"):
        client.set_terminated(wrong)
    with pytest.raises(InvalidInputError, match="run id"):
        client.update_run(wrong, status="RUNNING")


def test_a_name_that_is_no_text_is_refused_and_what_follows_arrives(
    client: loopline.Client,
) -> None:
    experiment = client.create_experiment("fares")
    with pytest.raises(InvalidInputError, match="cannot be recorded"):
        client.create_run(experiment, run_name=object())  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="parent run id is a text, not int"):
        client.create_run(experiment, parent_run_id=5)  # type: ignore[arg-type]
    run = client.create_run(experiment)
    client.log_metric(run.run_id, "rmse", 4.0)
    assert client.get_run(run.run_id).metrics["rmse"].value == 4.0


def test_what_the_store_refuses_is_told_once(client: loopline.Client) -> None:
    run = client.create_run(client.create_experiment("fares"))
    client.log_param(run.run_id, "model", "gbm")
    client.flush()
    other = loopline.Client(client.tracking_uri)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(3):
            other.run(run.run_id)._params.clear()  # As another process would, who knows of none.
            other.log_param(run.run_id, "model", "net")
            other.flush()
    assert ["Changing param values is not allowed" in str(each.message) for each in told] == [True]
    assert client.get_run(run.run_id).params == {"model": "gbm"}


def test_a_run_in_a_deleted_experiment_brings_it_back(client: loopline.Client) -> None:
    experiment = client.create_experiment("fares")
    old = client.create_run(experiment)
    client.flush()
    client.delete_experiment(experiment)
    loopline.set_tracking_uri(client.tracking_uri)
    loopline.set_experiment("fares")
    with loopline.start_run() as run:
        pass
    assert client.get_experiment(experiment).lifecycle_stage == "active"
    assert client.get_run(run.run_id).experiment_id == experiment
    assert client.get_run(old.run_id).lifecycle_stage == "deleted"


def test_runs_are_counted_without_being_read(client: loopline.Client) -> None:
    experiment = client.create_experiment("fares")
    runs = [client.create_run(experiment) for _ in range(5)]
    for index, run in enumerate(runs):
        client.log_param(run.run_id, "model", "gbm" if index % 2 else "net")
    client.delete_run(runs[0].run_id)
    assert client.count_runs([experiment]) == 4
    assert client.count_runs([experiment], "params.model = 'gbm'") == 2
    assert client.count_runs([experiment], run_view_type=2) == 1
    assert client.count_runs(experiment_names=["fares"], run_view_type=3) == 5
    loopline.set_tracking_uri(client.tracking_uri)
    assert loopline.count_runs("params.model = 'net'") == 2
    with pytest.raises(FilterError):
        client.count_runs(filter_string="params.model =")
