"""Stores made by the real MLflow: both clients must show the same counts and values."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from tests.peers import python_of
from tests.server.running import running

from loopline.backend.recorder import close_recorders
from loopline.models import load_model
from loopline.records.base import Lifecycle
from loopline.records.operations import GetModel, ListModels, SearchLoggedModels
from loopline.transfer.importer import import_from
from loopline.transfer.mlflow_export import write_mlflow_database
from loopline.transfer.open_source import open_mlflow
from loopline.transfer.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.postgres import PostgresServer

    from loopline.backend.protocol import Backend
    from loopline.records.transfer import LoggedModelDescription, Report, RunDescription

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
#: More than is read from a database at a time, and more than a server gives at a time.
POINTS = 60_000
SERVED_POINTS = 30_000
OURS = {"PYTHONPATH", "LOOPLINE_URI", "MLFLOW_TRACKING_URI"}


@pytest.fixture(params=["mlflow-2", "mlflow-3"])
def python(request: pytest.FixtureRequest) -> str:
    """Give a Python that has MLflow."""
    return python_of(request.param)


def environment(**more: str) -> dict[str, str]:
    """Make the environment of a process that uses MLflow and not Loopline."""
    kept = {key: value for key, value in os.environ.items() if key not in OURS}
    quiet = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return {**kept, **quiet, "GIT_PYTHON_REFRESH": "quiet", **more}


def run(python: str, script: str, *arguments: object, cwd: Path) -> None:
    done = subprocess.run(
        [python, HERE / script, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def shown_by_mlflow(python: str, uri: str, folder: Path) -> dict[str, Any]:
    target = folder / f"shown-{time.monotonic_ns()}.json"
    run(python, "mlflow_dump.py", uri, target, cwd=folder)
    shown: dict[str, Any] = json.loads(target.read_text())
    return shown


@contextmanager
def mlflow_server(python: str, folder: Path) -> Iterator[str]:
    """Run MLflow's own server with files behind its proxy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [python, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder}/server.db",
             "--artifacts-destination", str(folder / "behind")],
            cwd=folder,
            env=environment(PATH=f"{Path(python).parent}:{os.environ['PATH']}"),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        for _ in range(600):
            assert server.poll() is None, (folder / "server.log").read_text()
            try:
                with urlopen(f"{url}/health", timeout=1):  # noqa: S310 - of this machine
                    break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def shown_by_loopline(backend: Backend) -> dict[str, Any]:
    """Write down a store as ``mlflow_dump.py`` does, through Loopline's own backend."""
    selection = Selection(backend)
    experiments = selection.experiments()
    names = {experiment.experiment_id: experiment.name for experiment in experiments}
    return {
        "experiments": {
            experiment.name: {
                "lifecycle": experiment.lifecycle.value,
                "tags": experiment.tags,
                "created": experiment.created_ms,
                "updated": experiment.updated_ms,
            }
            for experiment in experiments
        },
        "runs": {known.run.run_id: run_of(selection, known, names) for known in selection.runs()},
        "logged models": {
            one.model.model_id: logged_model_of(one, names)
            for one in selection.logged_models()
            if one.model.lifecycle == Lifecycle.ACTIVE
        },
        "models": {
            chosen.model.name: {
                "description": chosen.model.description,
                "tags": chosen.model.tags,
                "aliases": {key: str(number) for key, number in chosen.model.aliases.items()},
                "created": chosen.model.created_ms,
                "updated": chosen.model.updated_ms,
                "versions": {
                    str(one.version.version): {
                        "stage": one.version.stage,
                        "description": one.version.description,
                        "run": one.version.run_id,
                        "tags": one.version.tags,
                        "created": one.version.created_ms,
                        "updated": one.version.updated_ms,
                        "files": sorted([file.path, file.size_bytes] for file in one.files),
                    }
                    for one in chosen.versions
                },
            }
            for chosen in selection.models(set(), set())
        },
    }


def logged_model_of(one: LoggedModelDescription, names: dict[str, str]) -> dict[str, Any]:
    model = one.model
    points: dict[tuple[str, str, str], tuple[int, int, str, str]] = {}
    for point in model.metrics:
        key = (point.key, point.dataset_name, point.dataset_digest)
        last = (point.step, point.timestamp_ms, repr(point.value), point.run_id)
        points[key] = max(last, points.get(key, last))
    return {
        "experiment": names[model.experiment_id],
        "name": model.name,
        "type": model.model_type,
        "status": model.status.value,
        "source run": model.source_run_id,
        "created": model.created_ms,
        "updated": model.updated_ms,
        "params": model.params,
        "tags": {k: v for k, v in model.tags.items() if k != "mlflow.modelVersions"},
        "points": sorted([*key, *last] for key, last in points.items()),
        "files": sorted([file.path, file.size_bytes] for file in one.files),
    }


def run_of(selection: Selection, known: RunDescription, names: dict[str, str]) -> dict[str, Any]:
    its = known.run
    return {
        "experiment": names[its.experiment_id],
        "name": its.name,
        "status": its.status.value,
        "lifecycle": its.lifecycle.value,
        "start": its.start_ms,
        "end": its.end_ms,
        "user": its.user,
        "params": its.params,
        "tags": its.tags,
        "metrics": {key: repr(value) for key, value in its.data.metrics.items()},
        "histories": {
            key: sorted(
                [step, timestamp_ms, repr(value)]
                for step, timestamp_ms, value in selection.points(its, key).rows()
            )
            for key in its.metrics
        },
        "inputs": sorted(
            [
                one.dataset.name,
                one.dataset.digest,
                *(
                    one.dataset.mlflow[key]
                    for key in ("source_type", "source", "schema", "profile")
                ),
                one.context,
            ]
            for one in known.inputs
        ),
        "models": sorted([one.role.value, one.model_id, one.step] for one in known.models),
        "files": sorted([file.path, file.size_bytes] for file in known.artifacts),
    }


def assert_same(mlflows: dict[str, Any], ours: dict[str, Any]) -> None:
    """Compare part by part, so that pytest shows the one that differs."""
    for what in ("experiments", "models", "logged models"):
        assert ours[what] == mlflows[what]
    assert ours["runs"].keys() == mlflows["runs"].keys()
    for run_id, theirs in mlflows["runs"].items():
        assert ours["runs"][run_id] == theirs


def import_all(source: str, backend: Backend) -> Report:
    """Import twice; the second time must add nothing."""
    with closing(open_mlflow(source)) as opened:
        first = import_from(opened, backend)
    assert first.equal, first.differences
    with closing(open_mlflow(source)) as opened:
        again = import_from(opened, backend)
    assert again.equal, again.differences
    assert {row.what: row.new for row in again.rows if row.new} == {}
    return first


def test_a_folder_made_by_mlflow_is_the_same_here(
    python: str, tmp_path: Path, home: Backend
) -> None:
    run(python, "mlflow_make.py", f"file://{tmp_path}/mlruns", 2000, cwd=tmp_path)
    import_all(str(tmp_path / "mlruns"), home)
    theirs = shown_by_mlflow(python, f"file://{tmp_path}/mlruns", tmp_path)
    assert_same(theirs, shown_by_loopline(home))


def test_a_database_made_by_mlflow_is_the_same_here_and_when_written_back(
    python: str, tmp_path: Path, home: Backend, new_home: Callable[[str], Backend]
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    run(python, "mlflow_make.py", uri, POINTS, cwd=tmp_path)
    report = import_all(str(tmp_path / "mlflow.db"), home)
    counts = {row.what: row.source for row in report.rows}
    assert counts["metric points"] > POINTS
    theirs = shown_by_mlflow(python, uri, tmp_path)
    ours = shown_by_loopline(home)
    assert_same(json.loads(json.dumps(theirs)), json.loads(json.dumps(ours)))
    assert home.call(GetModel(name="fare")).latest_version == 3

    write_mlflow_database(Selection(home), home, tmp_path / "back.db")
    back = shown_by_mlflow(python, f"sqlite:///{tmp_path}/back.db", tmp_path)
    assert back == theirs
    assert import_from(open_mlflow(str(tmp_path / "back.db")), new_home("third")).equal


def test_what_an_mlflow_server_has_is_the_same_here(
    python: str, tmp_path: Path, home: Backend
) -> None:
    with mlflow_server(python, tmp_path) as url:
        run(python, "mlflow_make.py", url, SERVED_POINTS, cwd=tmp_path)
        import_all(url, home)
        assert_same(shown_by_mlflow(python, url, tmp_path), shown_by_loopline(home))


def test_a_postgresql_database_made_by_mlflow_is_the_same_here(
    python: str, tmp_path: Path, home: Backend, postgres: PostgresServer
) -> None:
    # Its driver is named: SQLAlchemy 2.1 takes another one by itself.
    uri = postgres.new_empty().text.replace("postgresql://", "postgresql+psycopg2://")
    run(python, "mlflow_make.py", uri, 2000, cwd=tmp_path)
    import_all(uri, home)
    assert_same(shown_by_mlflow(python, uri, tmp_path), shown_by_loopline(home))
    assert home.call(ListModels())


#: Loads the models of a run and a version through a server, as MLflow 3's users do.
LOADING = """
import sys
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
for uri in sys.argv[2:]:
    model = mlflow.sklearn.load_model(uri)
    assert len(model.coef_) == 2, uri
"""


def test_models_that_were_imported_load_in_both_clients(
    tmp_path: Path, home: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = python_of("mlflow-3")
    run(python, "mlflow_make.py", f"sqlite:///{tmp_path}/mlflow.db", 10, cwd=tmp_path)
    import_all(str(tmp_path / "mlflow.db"), home)
    found = home.call(SearchLoggedModels(filter="name = 'measured'")).models
    uris = [
        f"models:/{found[0].model_id}",
        f"runs:/{found[0].source_run_id}/measured",
        "models:/fare/1",
        "models:/fare@champion",
    ]
    with running(home.address) as url:
        (tmp_path / "loading.py").write_text(LOADING)
        run(python, str(tmp_path / "loading.py"), url, *uris, cwd=tmp_path)
        monkeypatch.setenv("LOOPLINE_URI", url)
        for uri in uris:
            assert len(load_model(uri, allow_pickle=True).coef_) == 2
        close_recorders()
