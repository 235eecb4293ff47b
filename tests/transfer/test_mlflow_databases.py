"""MLflow databases: written in MLflow's schema, and read in again."""

from __future__ import annotations

import math
import sqlite3
from typing import TYPE_CHECKING

import pytest
from tests.transfer.mlruns_story import Mlruns, fingerprint

from loopline.errors import AlreadyExistsError, BackendUnavailableError, InvalidInputError
from loopline.records.operations import (
    DescribeRuns,
    GetMetricHistory,
    ListExperiments,
    ListModels,
    ListVersions,
    ResolveModel,
    SearchRuns,
)
from loopline.transfer.importer import import_from
from loopline.transfer.mlflow_export import write_mlflow_database
from loopline.transfer.open_source import open_mlflow
from loopline.transfer.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopline.backend.protocol import Backend

BEST = "a" * 32
LARGEST = 1.7976931348623157e308


@pytest.fixture
def database(store: Mlruns, home: Backend, tmp_path: Path) -> Path:
    import_from(open_mlflow(str(store.root)), home)
    write_mlflow_database(Selection(home), home, tmp_path / "mlflow.db")
    return tmp_path / "mlflow.db"


def as_mlflow_keeps_it(value: float) -> float:
    return value if math.isnan(value) else max(-LARGEST, min(LARGEST, value))


def test_a_database_written_out_is_read_in_the_same(
    database: Path, home: Backend, new_home: Callable[[str], Backend]
) -> None:
    other = new_home("other")
    report = import_from(open_mlflow(str(database)), other)
    assert report.equal, report.differences
    ids = [run.run_id for run in home.call(SearchRuns(lifecycle="all")).runs]
    before = {known.run.run_id: known for known in home.call(DescribeRuns(run_ids=ids))}
    for known in other.call(DescribeRuns(run_ids=ids)):
        was = before[known.run.run_id]
        assert known.artifacts == was.artifacts
        assert known.inputs == was.inputs
        assert known.events == was.events
        assert known.run.params == was.run.params
        assert known.run.tags == was.run.tags
        for key in was.run.metrics:
            ask = GetMetricHistory(run_id=known.run.run_id, key=key)
            ours = list(map(as_mlflow_keeps_it, home.call(ask).values))
            assert repr(other.call(ask).values) == repr(ours)
    every = ListExperiments(include_deleted=True)
    assert other.call(every) == home.call(every)
    assert other.call(ListModels()) == home.call(ListModels())
    of_fare = ListVersions(name="fare")
    theirs_of, ours_of = home.call(of_fare), other.call(of_fare)
    for mine, theirs in zip(ours_of, theirs_of, strict=True):
        assert (mine.version, mine.stage, mine.tags) == (
            theirs.version,
            theirs.stage,
            theirs.tags,
        )
        assert (mine.digest, mine.artifact_path) == (theirs.digest, theirs.artifact_path)


def test_a_database_is_only_read(database: Path, new_home: Callable[[str], Backend]) -> None:
    database.chmod(0o400)
    before = fingerprint(database.parent / "mlflow-artifacts"), fingerprint(database.parent)
    other = new_home("other")
    for _ in range(2):
        assert import_from(open_mlflow(f"sqlite:///{database}"), other).equal
    after = fingerprint(database.parent / "mlflow-artifacts"), fingerprint(database.parent)
    assert before[0] == after[0]
    assert before[1]["mlflow.db"] == after[1]["mlflow.db"]
    beside = {path.name for path in database.parent.iterdir()}
    assert {name for name in beside if name.startswith("mlflow.db")} == {"mlflow.db"}


def test_infinities_of_a_database_are_told(
    database: Path, new_home: Callable[[str], Backend]
) -> None:
    report = import_from(open_mlflow(str(database)), new_home("other"))
    assert ("infinities of the source", 2) in {(n.what, n.count) for n in report.left_out}


def test_files_that_were_moved_are_asked_for_and_found(
    database: Path, new_home: Callable[[str], Backend], tmp_path: Path
) -> None:
    (tmp_path / "mlflow-artifacts").rename(tmp_path / "moved")
    other = new_home("other")
    report = import_from(open_mlflow(str(database)), other)
    assert not report.equal
    assert any("--artifacts FOLDER" in left.why for left in report.left_out)
    assert "Version 1 of model 'fare' has no files here" in report.differences[0]
    report = import_from(open_mlflow(str(database), artifacts=tmp_path / "moved"), other)
    assert report.equal, report.differences
    assert len(other.call(ResolveModel(name="fare", version=1)).files) == 2


def test_tables_of_other_versions_are_read_or_told(
    database: Path, new_home: Callable[[str], Backend]
) -> None:
    with sqlite3.connect(database) as connection:
        connection.executescript(
            """
            ALTER TABLE experiments ADD COLUMN workspace VARCHAR(63) DEFAULT 'default' NOT NULL;
            UPDATE experiments SET workspace = 'night' WHERE experiment_id = 1;
            CREATE TABLE webhooks (name TEXT);
            INSERT INTO webhooks VALUES ('one'), ('two');
            INSERT INTO trace_info VALUES ('tr-1', 1, 5, 5, 'OK');
            DROP TABLE input_tags;
            DROP TABLE registered_model_aliases;
            """
        )
    connection.close()
    other = new_home("other")
    report = import_from(open_mlflow(str(database)), other)
    assert report.equal, report.differences
    names = {experiment.name for experiment in other.call(ListExperiments())}
    assert "night/táxi fares ☂" in names
    told = {(left.what, left.count) for left in report.left_out}
    assert {("rows of table webhooks", 2), ("traces", 1)} <= told


def test_a_database_of_mlflow_1_has_what_it_had(
    tmp_path: Path, new_home: Callable[[str], Backend]
) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            CREATE TABLE alembic_version (version_num TEXT);
            INSERT INTO alembic_version VALUES ('451aebb31d03');
            CREATE TABLE experiments (experiment_id INTEGER, name TEXT, artifact_location TEXT,
                                      lifecycle_stage TEXT);
            INSERT INTO experiments VALUES (4, 'old fares', '', 'active');
            CREATE TABLE runs (run_uuid TEXT, name TEXT, user_id TEXT, status TEXT,
                start_time BIGINT, end_time BIGINT, lifecycle_stage TEXT, artifact_uri TEXT,
                experiment_id INTEGER);
            INSERT INTO runs VALUES ('aa11', '', 'ada', 'FINISHED', 5, 9, 'active', '', 4);
            CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
            INSERT INTO params VALUES ('depth', '3', 'aa11');
            CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
            INSERT INTO tags VALUES ('mlflow.runName', 'first', 'aa11');
            CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT);
            INSERT INTO metrics VALUES ('rmse', 3.5, 7, 'aa11'), ('rmse', 3.25, 8, 'aa11');
            """
        )
    connection.close()
    other = new_home("other")
    report = import_from(open_mlflow(str(path)), other)
    assert report.equal, report.differences
    (run,) = other.call(SearchRuns()).runs
    assert (run.name, run.params, run.data.metrics) == ("first", {"depth": "3"}, {"rmse": 3.25})
    assert (run.experiment_id, run.experiment_name) == ("4", "old fares")


def test_another_programs_database_is_refused(tmp_path: Path, home: Backend) -> None:
    del home
    with pytest.raises(InvalidInputError, match="is no MLflow database"):
        open_mlflow(str(tmp_path / "home" / ".loopline" / "loopline.db"))
    with pytest.raises(InvalidInputError, match="There is no"):
        open_mlflow(f"sqlite:///{tmp_path}/none.db")
    for named in ("postgresql", "postgresql+psycopg2"):  # MLflow's driver, which is not here.
        with pytest.raises(BackendUnavailableError, match="cannot be read"):
            open_mlflow(f"{named}://nobody@127.0.0.1:1/none")


def test_a_database_is_written_whole_or_not_at_all(home: Backend, tmp_path: Path) -> None:
    (tmp_path / "taken.db").write_text("mine")
    with pytest.raises(AlreadyExistsError):
        write_mlflow_database(Selection(home), home, tmp_path / "taken.db")
    assert (tmp_path / "taken.db").read_text() == "mine"
