"""Real MLflow clients track on this server with not a line changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.peers import python_of
from tests.server.running import running

from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

pytestmark = [pytest.mark.deep, pytest.mark.timeout(300)]

HERE = Path(__file__).parent


def session(
    program: str, python: str, url: str, folder: Path, *arguments: str, **environment: str
) -> dict[str, Any]:
    """Let a client have its session; return what it saw."""
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    # A server's fault shows at once, and is not tried for minutes.
    quiet |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
    done = subprocess.run(
        [python, HERE / program, url, *arguments],
        env={**os.environ, **quiet, **environment}, cwd=folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


#: Environments with clients: the first and the last of MLflow's majors, and one without NumPy.
CLIENTS = ["mlflow-1", "mlflow-2-9", "mlflow-2", "mlflow-3", "mlflow-skinny"]


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    if request.param == "SQLite":
        return Address("home", str(tmp_path / "home"))
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new()


def test_a_session_sees_what_it_would_see_at_home(
    client: str, address: Address, tmp_path: Path
) -> None:
    with running(address) as url:
        seen = session("mlflow_session.py", python_of(client), url, tmp_path)
    run_id = seen["run_id"]
    assert (seen["status"], seen["name"]) == ("FINISHED", "first")
    assert seen["params"] == {"model": "gbm", "trees": "300", "lr": "0.1"}
    expected = {"rmse": "4.05", "mae": "3.0", "nan": "nan", "inf": "inf", "async": "1.0"}
    assert seen["metrics"] == expected
    assert seen["tags"] == {"city": "New York", "kept": "yes", "gone": None}
    assert seen["history"] == [[step, 4 + 1 / (step + 1)] for step in range(20)]
    assert seen["files"] == ["d.json", "notes"]
    assert seen["below"] == [["notes/hello.txt", 5]]
    assert seen["text"] == "hello"
    if client not in {"mlflow-1", "mlflow-skinny"}:  # They know no datasets.
        assert seen["dataset"] == ["trips", seen["digest"], "training"]
        assert seen["frame"]
    assert seen["parent"] == run_id
    assert seen["searched"] == [run_id]
    assert seen["newest first"]
    assert seen["experiments"] == ["Default", "wagoncab taxifare"]
    assert seen["listed"] == (seen["experiments"] if client == "mlflow-1" else None)
    assert seen["pages"] == 2
    assert seen["renamed"] == ["taxi fares", "fares"]
    assert seen["gone"] == "deleted"
    assert seen["deleted"] == [run_id]
    for what, code, words in (
        ("changed param", "INVALID_PARAMETER_VALUE", "Changing param values is not allowed"),
        ("no run", "RESOURCE_DOES_NOT_EXIST", "not found"),
        ("name taken", "RESOURCE_ALREADY_EXISTS", "already exists"),
        ("own place", "INVALID_PARAMETER_VALUE", "says itself where files lie"),
        ("logged to deleted", "INVALID_PARAMETER_VALUE", "must be in the 'active' state"),
    ):
        assert seen[what][0] == code
        assert words in seen[what][1]
    backend = LocalBackend(address, home=tmp_path / "home")
    run = backend.call(ops.GetRun(run_id=run_id))
    backend.close()
    assert run.metrics["rmse"].count == 20  # The same run, natively.
    assert run.duration_ms is None or run.duration_ms >= 0


def test_the_registry_is_that_of_mlflow(client: str, address: Address, tmp_path: Path) -> None:
    if client == "mlflow-skinny":
        pytest.skip("It has no models to register.")
    with running(address) as url:
        seen = session("mlflow_registry_session.py", python_of(client), url, tmp_path)
    first, second = seen["runs"]
    assert seen["description"] == ["fares of New York", "better at night"]
    assert seen["tags"] == [{"team": "fares"}, {"checked": "yes"}]
    assert {str(k): v for k, v in seen["stages"].items()} == {"1": "Archived", "2": "Production"}
    assert seen["run"] == second
    assert [str(v) for v in seen["latest"]] == ["2"]
    if client != "mlflow-1":  # It has no aliases, and copies nothing.
        assert (str(seen["alias"]), seen["best"]) == ("2", 30.0)
        assert seen["no alias"][0] == "INVALID_PARAMETER_VALUE"
        assert "alias none not found" in seen["no alias"][1]
        assert [str(each) for each in seen["copied"]] == ["another_model", "1"]
        assert seen["left"] == ["another_model"]
    assert seen["predicted"] == [20.0, 30.0]
    assert seen["pyfunc"] == 30.0
    assert seen["file"] != "changed"  # What the run has now; the version stays as it was.
    assert seen.get("log_model", [["model", "second"], 40.0]) == [["model", "second"], 40.0]
    assert ("log_model" in seen) == (client != "mlflow-3")
    assert seen["found"] == ["taxifare_model"]
    assert seen["listed"] == (["taxifare_model"] if client == "mlflow-1" else None)
    assert [str(v) for v in seen["by run"]] == ["1"]
    assert first != second
    assert str(seen["number after a deletion"]) == "3"
    assert sorted(map(str, seen["renamed"])) == ["1", "3"]
    for what, code, words in (
        ("name taken", "RESOURCE_ALREADY_EXISTS", "already exists"),
        ("no model", "RESOURCE_DOES_NOT_EXIST", "not found"),
        ("own place", "INVALID_PARAMETER_VALUE", "Invalid model version source"),
        ("wrong stage", "INVALID_PARAMETER_VALUE", "Invalid Model Version stage"),
    ):
        assert seen[what][0] == code
        assert words in seen[what][1]


def test_models_are_entities_of_their_own(address: Address, tmp_path: Path) -> None:
    with running(address) as url:
        seen = session("mlflow_models_session.py", python_of("mlflow-3"), url, tmp_path)
    assert seen["fares"] == [23.0] * 6
    assert seen["native"] == 23.0
    assert seen["model"] == ["model", "READY", {"depth": "8"}, "New York"]
    assert seen["source"]
    assert seen["points"] == [["rmse", 3.0, "trips"], ["rmse", 4.0, ""]]
    assert seen["outputs"] == [True]
    assert {"MLmodel", "input_example.json", "model.skops"} <= set(seen["files"])
    assert seen["best"] == [True]
    assert seen["ordered"] == seen["on trips"] == ["model"]
    assert seen["frame"] == 2
    assert seen["tagged"] == ["yes", None]
    assert seen["gone"] == "RESOURCE_DOES_NOT_EXIST"
    assert seen["version stays"] == 23.0


@pytest.mark.parametrize("client", [each for each in CLIENTS if each != "mlflow-skinny"])
def test_clients_log_by_themselves(client: str, tmp_path: Path) -> None:
    with running(Address("home", str(tmp_path / "home"))) as url:
        seen = session("mlflow_autolog_session.py", python_of(client), url, tmp_path)
    assert (seen["param"], seen["metric"], seen["predicts"]) == ("5", True, 3)
    assert seen["models"] == (1 if client == "mlflow-3" else 0)
    if client != "mlflow-1":
        assert seen["evaluated"] == seen["logged"] == 0.0
        assert seen["datasets"] == ["dataset"]
        assert (seen["system"], seen["child"]) == (True, True)


#: What the script takes from around it, and what is asked afterwards.
AROUND = """
import sys
import tensorflow
layers = tensorflow.keras.layers
model = tensorflow.keras.Sequential([layers.Input((7,)), layers.Dense(8), layers.Dense(1)])
uri, experiment = sys.argv[1], "wagoncab taxifare"
{script}
import json
import numpy
import mlflow
row = numpy.ones((1, 7))
loaded = mlflow.pyfunc.load_model("models:/taxifare_model/1").predict(row)
print(json.dumps({{"same": bool(numpy.allclose(loaded, model.predict(row)))}}))
"""


def test_a_script_for_mlflow_1_runs_as_it_is(tmp_path: Path) -> None:
    """``track_a_model.py`` with MLflow in Loopline's place: a Keras model that is registered."""
    script = (HERE.parent / "scripts" / "track_a_model.py").read_text()
    program = tmp_path / "script.py"
    program.write_text(AROUND.format(script=script.replace("loopline", "mlflow")))
    home = Address("home", str(tmp_path / "home"))
    with running(home) as url:
        seen = session(str(program), python_of("mlflow-1"), url, tmp_path)
    assert seen["same"]
    backend = LocalBackend(home, home=tmp_path / "home")
    (version,) = backend.call(ops.ListVersions(name="taxifare_model"))
    backend.close()
    assert version.metrics == {"rmse": 0.456}
    assert version.params == {"batch_size": "256", "row_count": "100000"}


def integrated(library: str, folder: Path) -> dict[str, Any]:
    """Train with a library of our own environment, to which the skinny client is lent."""
    (packages,) = (Path(python_of("mlflow-skinny")).parents[1] / "lib").glob("*/site-packages")
    with running(Address("home", str(folder / "home"))) as url:
        return session(
            "mlflow_integrations.py", sys.executable, url, folder, library,
            PYTHONPATH=str(packages),
        )  # fmt: skip


def test_keras_reports_by_the_callback_of_mlflow(tmp_path: Path) -> None:
    seen = integrated("keras", tmp_path)
    assert (seen["status"], seen["points"]) == ("FINISHED", {"loss": 3})
    assert seen["params"]["optimizer_name"] == "adam"
    assert "model_summary.txt" in seen["files"]


def test_lightning_reports_by_its_own_logger(tmp_path: Path) -> None:
    seen = integrated("lightning", tmp_path)
    assert (seen["status"], seen["points"]) == ("FINISHED", {"loss": 8, "epoch": 8})
    assert seen["params"] == {"lr": "0.1"}
    assert seen["files"] == ["epoch=1-step=8"]  # Its checkpoint.


def test_optuna_reports_by_the_callback_for_mlflow(tmp_path: Path) -> None:
    seen = integrated("optuna", tmp_path)
    assert (seen["status"], seen["points"]) == ("FINISHED", {"loss": 3, "rmse": 1})
    assert set(seen["params"]) == {"depth"}


def test_transformers_reports_by_its_trainer(tmp_path: Path) -> None:
    seen = integrated("transformers", tmp_path)
    assert seen["status"] == "FINISHED"
    assert seen["points"]["loss"] == 4
    assert len(seen["params"]) > 100  # More than one batch takes.
