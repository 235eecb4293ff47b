"""Logged models of an MLflow store, and of ours: carried whole, and only once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from tests.transfer.mlruns_story import BEGAN_MS, Mlruns

from loopline.records.base import Lifecycle
from loopline.records.logged_models import LoggedModelPoint, LoggedModelStatus, ModelRole, RunModel
from loopline.records.operations import (
    DeleteLoggedModel,
    DescribeLoggedModels,
    DescribeRuns,
    GetLoggedModel,
    ListArtifacts,
    ListExperiments,
    ListLoggedModelFiles,
    ResolveModel,
    SearchLoggedModels,
    SetLoggedModelTags,
)
from loopline.transfer.archive_read import ArchiveSource
from loopline.transfer.archive_write import write_archive
from loopline.transfer.importer import Options, import_from
from loopline.transfer.mlflow_export import write_mlflow_database
from loopline.transfer.mlruns import MlrunsSource
from loopline.transfer.open_source import open_mlflow
from loopline.transfer.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopline.backend.protocol import Backend
    from loopline.records.transfer import Report

BEST, CHILD = "a" * 32, "b" * 32
FARE, TIP, LOOSE, GONE, CUT = (f"m-{number * 32}" for number in "12345")
MLMODEL = {"MLmodel": "flavors: {}\n", "data/model.bin": "bytes"}


@pytest.fixture
def logged(store: Mlruns) -> Mlruns:
    fares = store.root / "1"
    best, child = fares / BEST, fares / CHILD
    store.logged_model(
        fares,
        FARE,
        run_id=BEST,
        params={"depth": "7", "多": "a\nb"},
        tags={"team": "cabs"},
        metrics={
            "rmse": f"5 3.5 0 {BEST}\n6 3.25 1 {BEST} green 2022 f7d6\n6 3.0 1 {CHILD} red r0\n",
            "odd": f"7 nan 0 {BEST}\n8 -inf 1 {BEST}\nhalf a li",
        },
        files=MLMODEL,
    )
    store.logged_model(fares, TIP, name="tip", run_id=BEST, files={"MLmodel": "flavors: {}\n# tip"})
    store.logged_model(fares, LOOSE, name="loose", files={"MLmodel": "flavors: {}\n# loose"})
    store.logged_model(fares, GONE, name="gone", run_id=BEST, stage="deleted", files=MLMODEL)
    store.logged_model(fares, CUT, name="cut", run_id=CHILD, status="PENDING")
    store.used(best, FARE, step=3)
    store.used(best, TIP, step=0)
    store.used(child, FARE)
    for number, model_id, run in ((5, FARE, best), (6, LOOSE, None), (7, GONE, best)):
        store.meta(
            store.root / "models" / "fare" / f"version-{number}",
            creation_timestamp=BEGAN_MS + number,
            current_stage="None",
            last_updated_timestamp=BEGAN_MS + number,
            model_id=model_id,
            name="fare",
            run_id=run.name if run else None,
            source=f"models:/{model_id}",
            status="READY",
            version=number,
        )
    return store


def bring(store: Mlruns, backend: Backend, **options: Any) -> Report:  # noqa: ANN401
    return import_from(MlrunsSource(store.root), backend, Options(**options))


def everything(backend: Backend) -> list[Any]:
    asked = DescribeLoggedModels(model_ids=[FARE, TIP, LOOSE, GONE, CUT])
    found = backend.call(asked)
    # Points of NaN are unequal to themselves, so they are told in words.
    return sorted((repr(one.model), one.files) for one in found)


def new_of(report: Report) -> dict[str, int]:
    return {row.what: row.new for row in report.rows if row.new}


def test_a_logged_model_comes_whole(logged: Mlruns, home: Backend) -> None:
    report = bring(logged, home)
    assert report.equal, report.differences
    model = home.call(GetLoggedModel(model_id=FARE))
    assert (model.name, model.model_type, model.source_run_id) == ("fare", "regressor", BEST)
    assert (model.status, model.created_ms) == (LoggedModelStatus.READY, BEGAN_MS + 11)
    assert model.updated_ms == BEGAN_MS + 12
    assert model.params == {"depth": "7", "多": "a\nb"}
    assert model.tags == {"team": "cabs"}
    assert model.registrations == [("fare", 5)]
    odd = [point for point in model.metrics if point.key == "odd"]
    assert [repr(point.value) for point in odd] == ["nan", "-inf"]
    at: dict[str, Any] = {"model_id": FARE, "key": "rmse", "timestamp_ms": 6, "step": 1}
    assert [point for point in model.metrics if point.step == 1 and point.key == "rmse"] == [
        LoggedModelPoint(
            **at, value=3.25, run_id=BEST, dataset_name="green 2022", dataset_digest="f7d6"
        ),
        LoggedModelPoint(**at, value=3.0, run_id=CHILD, dataset_name="red", dataset_digest="r0"),
    ]
    files = home.call(ListLoggedModelFiles(model_id=FARE, recursive=True))
    assert [file.path for file in files] == ["MLmodel", "data/model.bin"]
    assert b"".join(home.read_blob(files[1].sha256)) == b"bytes"
    assert home.call(GetLoggedModel(model_id=CUT)).status == LoggedModelStatus.PENDING
    (gone,) = home.call(DescribeLoggedModels(model_ids=[GONE]))
    assert gone.model.lifecycle == Lifecycle.DELETED
    assert [left.what for left in report.left_out if "model" in left.what] == [
        "unreadable lines of metrics of logged models"
    ]


def test_its_files_are_not_those_of_its_run(logged: Mlruns, home: Backend) -> None:
    bring(logged, home)
    files = home.call(ListArtifacts(run_id=BEST, path="", recursive=True))
    assert [file.path for file in files if not file.is_dir] == [
        "model/MLmodel",
        "model/model.bin",
        "wörds.txt",
    ]


def test_runs_keep_what_they_read_and_made(logged: Mlruns, home: Backend) -> None:
    bring(logged, home)
    best, child = home.call(DescribeRuns(run_ids=[BEST, CHILD]))
    assert best.models == [
        RunModel(model_id=TIP, role=ModelRole.OUTPUT, step=0),
        RunModel(model_id=FARE, role=ModelRole.OUTPUT, step=3),
    ]
    assert child.models == [RunModel(model_id=FARE, role=ModelRole.INPUT)]


@pytest.mark.parametrize(("number", "run_id", "files"), [(5, BEST, 2), (6, "", 1), (7, BEST, 2)])
def test_a_version_made_from_one_has_its_files(
    logged: Mlruns, home: Backend, number: int, run_id: str, files: int
) -> None:
    bring(logged, home)
    resolved = home.call(ResolveModel(name="fare", version=number))
    assert resolved.version.logged_model_id == {5: FARE, 6: LOOSE, 7: GONE}[number]
    assert resolved.version.run_id == run_id
    assert len(resolved.files) == files
    if number == 5:
        assert resolved.version.params["depth"] == "7"
        assert resolved.version.metrics["rmse"] == 3.0


def test_again_adds_nothing_and_later_only_what_is_new(logged: Mlruns, home: Backend) -> None:
    bring(logged, home)
    before = everything(home)
    again = bring(logged, home)
    assert again.equal, again.differences
    assert new_of(again) == {}
    assert everything(home) == before

    fares = logged.root / "1"
    logged.logged_model(fares, CUT, name="cut", run_id=CHILD, files={"MLmodel": "flavors: {}\n"})
    logged.texts(fares / "models" / FARE / "tags", {"shift": "night"})
    logged.texts(fares / "models" / TIP / "metrics", {"mae": f"9 1.5 0 {BEST}\n"})
    later = bring(logged, home)
    assert later.equal, later.differences
    assert new_of(later) == {
        "logged model tags": 1,
        "logged model points": 1,
        "files": 1,
        "file bytes": 12,
    }
    assert home.call(GetLoggedModel(model_id=CUT)).status == LoggedModelStatus.READY


def test_what_was_changed_here_stays_until_the_sources_word_is_taken(
    logged: Mlruns, home: Backend
) -> None:
    bring(logged, home)
    home.call(SetLoggedModelTags(model_id=FARE, tags={"team": "buses", "ours": "too"}))
    home.call(DeleteLoggedModel(model_id=TIP))
    report = bring(logged, home)
    assert not report.equal
    assert home.call(GetLoggedModel(model_id=FARE)).tags == {"team": "buses", "ours": "too"}
    told = "\n".join(report.differences)
    assert "tag 'team' is 'buses' here and 'cabs' in the source" in told
    assert f"Logged model {TIP}: its lifecycle" in told

    report = bring(logged, home, update=True)
    assert report.equal, report.differences
    assert home.call(GetLoggedModel(model_id=FARE)).tags == {"team": "cabs", "ours": "too"}
    assert home.call(GetLoggedModel(model_id=TIP)).name == "tip"


def test_a_deletion_in_the_source_is_followed(logged: Mlruns, home: Backend) -> None:
    bring(logged, home)
    logged.logged_model(logged.root / "1", TIP, name="tip", run_id=BEST, stage="deleted")
    report = bring(logged, home)
    assert report.equal, report.differences
    (tip,) = home.call(DescribeLoggedModels(model_ids=[TIP]))
    assert tip.model.lifecycle == Lifecycle.DELETED


def test_a_dry_run_counts_them_and_makes_none(logged: Mlruns, home: Backend) -> None:
    report = bring(logged, home, dry_run=True)
    assert new_of(report)["logged models"] == 5
    assert new_of(report)["links to logged models"] == 3
    assert home.call(SearchLoggedModels(lifecycle="all")).models == []


def test_another_model_of_the_id_is_left_alone(logged: Mlruns, home: Backend) -> None:
    bring(logged, home)
    meta = logged.root / "1" / "models" / FARE / "meta.yaml"
    meta.write_text(meta.read_text().replace(str(BEGAN_MS + 11), "5"))
    report = bring(logged, home)
    assert not report.equal
    assert f"Logged model {FARE} is another one here" in "\n".join(report.differences)


def test_what_no_store_takes_is_told(logged: Mlruns, home: Backend) -> None:
    logged.texts(logged.root / "1" / "models" / FARE / "params", {"long": "x" * 100_000})
    report = bring(logged, home)
    assert not report.equal
    assert f"Logged model {FARE}: " in report.differences[0]
    assert home.call(GetLoggedModel(model_id=FARE)).params.keys() == {"depth", "多"}


def test_only_those_of_an_experiment_that_was_asked_for_come(logged: Mlruns, home: Backend) -> None:
    tips = logged.experiment("7", "tips")
    logged.logged_model(tips, "m-" + "9" * 32, name="tip")
    report = bring(logged, home, experiments=["tips"])
    assert report.equal, report.differences
    found = home.call(SearchLoggedModels(lifecycle="all")).models
    assert [model.model_id for model in found] == ["m-" + "9" * 32]
    (place,) = [one for one in home.call(ListExperiments()) if one.name == "tips"]
    assert found[0].experiment_id == place.experiment_id


def test_an_archive_carries_them_whole(
    logged: Mlruns, home: Backend, new_home: Callable[[str], Backend], tmp_path: Path
) -> None:
    bring(logged, home)
    manifest = write_archive(Selection(home), home, tmp_path / "archive")
    assert manifest.counts["logged models"] == 5
    other = new_home("other")
    report = import_from(ArchiveSource(tmp_path / "archive"), other)
    assert report.equal, report.differences
    assert everything(other) == everything(home)
    ids = [BEST, CHILD]
    was, now = (backend.call(DescribeRuns(run_ids=ids)) for backend in (home, other))
    assert [one.models for one in was] == [one.models for one in now]
    version = other.call(ResolveModel(name="fare", version=6))
    assert version == home.call(ResolveModel(name="fare", version=6))
    assert math.isnan(other.call(GetLoggedModel(model_id=FARE)).metrics[0].value)

    write_archive(Selection(other), other, tmp_path / "again")
    for name in ("logged_models.jsonl", "runs.jsonl", "models.jsonl"):
        lines = [(tmp_path / folder / name).read_text() for folder in ("archive", "again")]
        assert lines[0] == lines[1]


def test_a_run_that_is_exported_takes_the_models_along_that_it_made(
    logged: Mlruns, home: Backend, new_home: Callable[[str], Backend], tmp_path: Path
) -> None:
    bring(logged, home)
    write_archive(Selection(home, [CHILD]), home, tmp_path / "archive")
    other = new_home("other")
    assert import_from(ArchiveSource(tmp_path / "archive"), other).equal
    found = other.call(SearchLoggedModels(lifecycle="all")).models
    assert [model.model_id for model in found] == [CUT]


def test_a_database_of_mlflow_3_carries_them_whole(
    logged: Mlruns, home: Backend, new_home: Callable[[str], Backend], tmp_path: Path
) -> None:
    bring(logged, home)
    exported = write_mlflow_database(Selection(home), home, tmp_path / "mlflow.db")
    assert exported.mlflow_version == "3.0"
    assert exported.counts["logged_models"] == 5
    other = new_home("other")
    report = import_from(open_mlflow(str(tmp_path / "mlflow.db")), other)
    assert report.equal, report.differences
    assert everything(other) == everything(home)
    ids = [BEST, CHILD]
    was, now = (backend.call(DescribeRuns(run_ids=ids)) for backend in (home, other))
    assert [one.models for one in was] == [one.models for one in now]
    for number in (5, 6, 7):
        before, after = (b.call(ResolveModel(name="fare", version=number)) for b in (home, other))
        assert after.files == before.files
        assert after.version.logged_model_id == before.version.logged_model_id
        assert after.version.run_id == before.version.run_id


def test_what_mlflow_has_no_room_for_is_told(logged: Mlruns, home: Backend, tmp_path: Path) -> None:
    fares = logged.root / "1" / "models" / CUT / "metrics"
    lines = [f"5 3.5 0 {CHILD}", f"5 3.25 0 {CHILD} green g0", f"5 3.0 0 {BEST}"]
    logged.texts(fares, {"mae": "\n".join(lines)})
    bring(logged, home)
    write = write_mlflow_database(Selection(home, [CHILD]), home, tmp_path / "mlflow.db")
    assert write.left_out["points of logged models by runs that are not exported"] == 1
    assert write.left_out["second data versions on which a model was measured at a moment"] == 1
    write = write_mlflow_database(Selection(home, ["2"]), home, tmp_path / "gone.db")
    assert write.mlflow_version == "2.22"
