"""Logged models, as MLflow 3's clients make them, loaded and registered by our own client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sklearn.linear_model import LinearRegression

import loopline.models.sklearn as flavor
from loopline import registry
from loopline.backend.recorder import close_recorders, get_recorder, set_tracking_uri
from loopline.errors import NotFoundError
from loopline.models import load_model
from loopline.records import operations as ops
from loopline.records.facts import LoggedModelFile, LoggedModelUsed
from loopline.records.logged_models import ModelRole
from loopline.tracking import fluent
from loopline.tracking.artifacts import download

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    home = tmp_path / ".loopline"
    set_tracking_uri(home)
    fluent.set_experiment("wagoncab taxifare")
    yield home
    fluent.end_run()
    close_recorders()
    set_tracking_uri(None)


def slope_of(uri: str) -> float:
    return float(load_model(uri).coef_[0])


def logged(run_id: str, slope: float, name: str = "fare") -> str:
    """Make a logged model of a run, with the files of a model that charges so much a mile."""
    with fluent.start_run():
        kept = flavor.log_model(
            LinearRegression(fit_intercept=False).fit([[1.0]], [slope]), "scratch"
        )
    recorder = get_recorder()
    _, _, scratch = kept.model_uri.partition(":/")
    made = recorder.call(
        ops.CreateLoggedModel(
            experiment_id=fluent.get_run(run_id).experiment_id, name=name, source_run_id=run_id
        )
    )
    files = recorder.call(
        ops.ListArtifacts(run_id=scratch.split("/")[0], path="scratch", recursive=True)
    )
    facts = [
        LoggedModelFile(
            model_id=made.model_id,
            path=file.path.removeprefix("scratch/"),
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            at_ms=1,
        )
        for file in files
        if not file.is_dir
    ]
    recorder.call(ops.RecordFacts(facts=list(facts)))
    return made.model_id


@pytest.fixture
def run_id(home: Path) -> str:
    del home
    with fluent.start_run() as run:
        fluent.log_param("depth", 7)
    return run.run_id


def test_a_logged_model_loads_by_its_id(run_id: str) -> None:
    model_id = logged(run_id, 2.5)
    assert slope_of(f"models:/{model_id}") == 2.5
    assert flavor.load_model(f"models:/{model_id}").coef_[0] == 2.5


def test_the_newest_logged_model_of_a_name_is_the_runs_model(run_id: str) -> None:
    logged(run_id, 1.0, "tip")
    logged(run_id, 2.5)
    assert slope_of(f"runs:/{run_id}/fare") == 2.5
    assert slope_of(f"runs:/{run_id}/tip") == 1.0


def test_a_folder_of_the_run_comes_before_a_logged_model_of_its_name(run_id: str) -> None:
    logged(run_id, 2.5)
    with fluent.start_run(run_id=run_id):
        flavor.log_model(LinearRegression(fit_intercept=False).fit([[1.0]], [9.0]), "fare")
    assert slope_of(f"runs:/{run_id}/fare") == 9.0


def test_a_copied_run_loads_the_model_that_it_shares(run_id: str) -> None:
    model_id = logged(run_id, 2.5)
    link = LoggedModelUsed(run_id=run_id, model_id=model_id, role=ModelRole.OUTPUT)
    get_recorder().call(ops.RecordFacts(facts=[link]))
    copy = get_recorder().call(ops.CopyRun(run_id=run_id))
    assert slope_of(f"runs:/{copy.run_id}/fare") == 2.5


def test_a_version_is_made_of_a_logged_model(run_id: str) -> None:
    model_id = logged(run_id, 2.5)
    for uri in (f"models:/{model_id}", f"runs:/{run_id}/fare"):
        version = registry.register_model(uri, "taxifare_model")
        assert (version.logged_model_id, version.run_id) == (model_id, run_id)
        assert version.params == {"depth": "7"}
        assert slope_of(f"models:/taxifare_model/{version.version}") == 2.5


def test_its_files_are_fetched(run_id: str, tmp_path: Path) -> None:
    model_id = logged(run_id, 2.5)
    by_id = download(get_recorder(), f"models:/{model_id}", tmp_path / "by id")
    by_run = download(get_recorder(), f"runs:/{run_id}/fare", tmp_path / "by run")
    assert (by_id / "MLmodel").read_bytes() == (by_run / "MLmodel").read_bytes()
    one = download(get_recorder(), f"models:/{model_id}/MLmodel", tmp_path / "one")
    assert one.name == "MLmodel"


@pytest.mark.parametrize("uri", ["models:/m-0123", "runs:/{run_id}/tip", "runs:/{run_id}/it's"])
def test_one_that_is_not_there_is_told(run_id: str, uri: str) -> None:
    with pytest.raises(NotFoundError, match=r"m-0123|has no model"):
        load_model(uri.format(run_id=run_id))


def test_one_without_files_is_told(run_id: str) -> None:
    experiment_id = fluent.get_run(run_id).experiment_id
    made = get_recorder().call(ops.CreateLoggedModel(experiment_id=experiment_id, name="empty"))
    with pytest.raises(NotFoundError, match="has no files"):
        load_model(f"models:/{made.model_id}")
