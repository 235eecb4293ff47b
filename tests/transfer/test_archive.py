"""Archives: what is written out on one machine is read in on another, the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from loopline.errors import AlreadyExistsError, IntegrityError, InvalidInputError, NotFoundError
from loopline.records.facts import Batch, Fact, RunEnded, RunStarted
from loopline.records.operations import (
    CreateModel,
    DeleteVersion,
    DescribeRuns,
    GetModel,
    GetRun,
    ListExperiments,
    ListModels,
    RegisterVersion,
    RenameModel,
    SearchRuns,
    TransitionStage,
)
from loopline.records.tracking import RunStatus
from loopline.transfer.archive_read import ArchiveSource
from loopline.transfer.archive_write import write_archive
from loopline.transfer.importer import import_from
from loopline.transfer.open_source import open_mlflow
from loopline.transfer.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.transfer.mlruns_story import Mlruns

    from loopline.backend.protocol import Backend

BEST, CHILD = "a" * 32, "b" * 32


@pytest.fixture
def filled(store: Mlruns, home: Backend) -> Backend:
    """A home with imported runs, and with what only Loopline's own runs have."""
    import_from(open_mlflow(str(store.root)), home)
    facts: list[Fact] = [
        RunStarted(
            run_id="7" * 32, experiment="own", name="own", start_ms=5, user="ada",
            flow_run_id="8" * 32, task_slug="train-1",
        ),
        RunEnded(
            run_id="7" * 32, status=RunStatus.FAILED, end_ms=90, duration_ms=70,
            reason="process died",
        ),
    ]  # fmt: skip
    home.send(Batch(writer="6" * 32, start=0, end=2, facts=facts))
    home.call(TransitionStage(name="fare", version=1, stage="Production", actor="ada", reason="!"))
    home.call(CreateModel(name="own", tags={"team": "cabs"}, actor="ada"))
    for number in (1, 2):
        home.call(
            RegisterVersion(
                name="own",
                source=f"s3://bucket/{number}",
                logged_model_id="m-1",
                run_link="https://runs.example/7",
                tags={"task": "fares"},
                allow_empty=True,
            )
        )
    home.call(DeleteVersion(name="own", version=1, actor="ada"))
    home.call(RenameModel(name="own", new_name="ours", actor="ada"))
    return home


def tree(folder: Path) -> dict[str, bytes]:
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    manifest = json.loads(files.pop("manifest.json"))
    del manifest["created_ms"]
    return {**files, "manifest": json.dumps(manifest).encode()}


def test_an_archive_read_in_elsewhere_gives_the_same_archive(
    filled: Backend, new_home: Callable[[str], Backend], tmp_path: Path
) -> None:
    write_archive(Selection(filled), filled, tmp_path / "one")
    other = new_home("other")
    report = import_from(ArchiveSource(tmp_path / "one"), other)
    assert report.equal, report.differences
    write_archive(Selection(other), other, tmp_path / "two")
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    for name in ("experiments", "models"):
        call = {"experiments": ListExperiments(include_deleted=True), "models": ListModels()}[name]
        assert other.call(call) == filled.call(call)  # type: ignore[arg-type]
    ids = [run.run_id for run in filled.call(SearchRuns(lifecycle="all")).runs]
    described = {known.run.run_id: known for known in filled.call(DescribeRuns(run_ids=ids))}
    for known in other.call(DescribeRuns(run_ids=ids)):
        before = described[known.run.run_id]
        assert (known.inputs, known.artifacts, known.events) == (
            before.inputs,
            before.artifacts,
            before.events,
        )
    assert import_from(ArchiveSource(tmp_path / "one"), other).equal


def test_a_run_takes_those_nested_in_it_and_its_versions_along(
    filled: Backend, new_home: Callable[[str], Backend], tmp_path: Path
) -> None:
    write_archive(Selection(filled, [BEST]), filled, tmp_path / "one")
    other = new_home("other")
    assert import_from(ArchiveSource(tmp_path / "one"), other).equal
    runs = other.call(SearchRuns(lifecycle="all")).runs
    assert {run.run_id for run in runs} == {BEST, CHILD}
    assert other.call(GetModel(name="fare")).champions == {"Production": 1}


def test_an_experiment_goes_by_name_or_id(filled: Backend, tmp_path: Path) -> None:
    by_name = write_archive(Selection(filled, ["own"]), filled, tmp_path / "one")
    assert (by_name.counts["runs"], by_name.counts.get("registered models")) == (1, None)
    by_id = write_archive(Selection(filled, ["1"]), filled, tmp_path / "two")
    assert by_id.counts["runs"] == 5
    with pytest.raises(NotFoundError, match="no run and no experiment 'nothing'"):
        Selection(filled, ["nothing"])


def test_a_damaged_archive_is_refused_before_anything_is_read_in(
    filled: Backend, new_home: Callable[[str], Backend], tmp_path: Path
) -> None:
    write_archive(Selection(filled), filled, tmp_path / "one")
    runs = tmp_path / "one" / "runs.jsonl"
    runs.write_bytes(runs.read_bytes().replace(b"gbm", b"gbn"))
    with pytest.raises(IntegrityError, match=r"runs\.jsonl is damaged"):
        ArchiveSource(tmp_path / "one")
    (tmp_path / "one" / "manifest.json").write_text("{}")
    with pytest.raises((InvalidInputError, IntegrityError)):
        ArchiveSource(tmp_path / "one")
    with pytest.raises(InvalidInputError, match="is no archive"):
        ArchiveSource(tmp_path)
    del new_home


def test_a_file_with_a_flipped_bit_is_refused(
    filled: Backend, new_home: Callable[[str], Backend], tmp_path: Path
) -> None:
    write_archive(Selection(filled), filled, tmp_path / "one")
    (blob, *_) = sorted((tmp_path / "one" / "blobs").rglob("*/*"))
    blob.write_bytes(b"?" + blob.read_bytes()[1:])
    with pytest.raises(IntegrityError, match="is damaged"):
        import_from(ArchiveSource(tmp_path / "one"), new_home("other"))


def test_nothing_is_left_of_an_archive_that_could_not_be_written(
    filled: Backend, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(AlreadyExistsError):
        write_archive(Selection(filled), filled, tmp_path / "full")
    for blob in (tmp_path / "home" / ".loopline" / "blobs").glob("*/*"):
        blob.unlink()
    with pytest.raises(NotFoundError):
        write_archive(Selection(filled), filled, tmp_path / "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "home", "mlruns"]
    assert filled.call(GetRun(run_id=BEST)).name == "párent"
