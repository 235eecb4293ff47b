"""``mlflow.set_tracking_uri("loopline:")``: a real MLflow on a home, without a server."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sysconfig
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.peers import python_of

from loopline import registry
from loopline.backend.local import LocalBackend
from loopline.backend.recorder import close_recorders, set_tracking_uri
from loopline.models import load_model
from loopline.records import operations as ops
from loopline.settings import Address, parse_address

SESSION = Path(__file__).parent / "mlflow_plugin_session.py"
#: Loopline and what it needs, behind MLflow's own packages.
SITE = sysconfig.get_paths()["purelib"]

deep = pytest.mark.deep
#: All but MLflow 1, which needs another SQLAlchemy.
PEERS = ["mlflow-2-9", "mlflow-2", "mlflow-3"]


def session(peer: str, folder: Path, command: str, address: str) -> Any:  # noqa: ANN401
    """Have a session in a process of its own, in a folder."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "LOOPLINE_"))}
    done = subprocess.run(
        [python_of(peer), str(SESSION), command, address],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**kept, "LOOPLINE_TEST_SITE": SITE, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert ".invalid" not in done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@deep
@pytest.mark.timeout(300)
@pytest.mark.parametrize("peer", PEERS)
def test_a_whole_session_of_mlflow_is_in_the_home(
    peer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".loopline").mkdir()
    said = session(peer, tmp_path, "run", "loopline:")
    run_id = said.pop("run_id")
    files = ["large.bin", "notes"] if peer == "mlflow-3" else ["large.bin", "model", "notes"]
    assert said == {
        "artifact_uri": "loopline:",
        "params": {"model": "linear", "note": "of mlflow-artifacts:/x"},
        "metrics": {"rmse": 2.0, "late": 1.0},
        "history": [2.0, 3.0, 4.0],
        "files": files,
        "whole": True,
        "facts": {"a": [1, 2]},
        "found": 2,
        "children": 1,
        "refused": "INVALID_PARAMETER_VALUE",
        "fares": [5.0] * 4,
    }
    # Another process of MLflow, with the address in full, and Loopline itself.
    again = session(peer, tmp_path, "load", f"loopline://{tmp_path}/.loopline")
    assert again == {"fares": [5.0] * 3}
    backend = LocalBackend(Address("home", str(tmp_path / ".loopline")))
    run = backend.call(ops.GetRun(run_id=run_id))
    assert run.params["model"] == "linear"
    backend.close()
    monkeypatch.chdir(tmp_path)
    set_tracking_uri(tmp_path / ".loopline")
    try:
        version = registry.get_production("taxifare")
        assert version is not None
        assert version.run_id == run_id
        if peer != "mlflow-2-9":  # It pickles with a scikit-learn that is not ours.
            model = load_model("models:/taxifare/Production", allow_pickle=True)
            assert model.predict([[2.0]])[0] == pytest.approx(5.0)
    finally:
        close_recorders()
        set_tracking_uri(None)


@deep
@pytest.mark.parametrize("peer", PEERS)
def test_a_forked_child_opens_the_store_anew(peer: str, tmp_path: Path) -> None:
    said = session(peer, tmp_path, "fork", f"loopline://{tmp_path}/home")
    assert said == {"status": 0, "metrics": {"parent": 1.0, "child": 2.0, "after": 3.0}}


@deep
@pytest.mark.parametrize("peer", ["mlflow-2", "mlflow-3"])
def test_mlflows_own_database_is_never_written(peer: str, tmp_path: Path) -> None:
    making = (
        "import sys, mlflow; mlflow.set_tracking_uri('sqlite:///mlflow.db'); "
        "mlflow.create_experiment('theirs')"
    )
    subprocess.run([python_of(peer), "-c", making], check=True, cwd=tmp_path, capture_output=True)
    (tmp_path / "home").mkdir()
    shutil.copyfile(tmp_path / "mlflow.db", tmp_path / "home" / "loopline.db")
    before = {path: digest(path) for path in tmp_path.rglob("*.db")}
    for place in (f"loopline:sqlite:///{tmp_path}/mlflow.db", f"loopline://{tmp_path}/home"):
        said = session(peer, tmp_path, "error", place)
        assert "loopline import mlflow" in said["error"]
    assert {path: digest(path) for path in tmp_path.rglob("*.db")} == before


@deep
def test_mlflow_1_is_told_what_to_do(tmp_path: Path) -> None:
    said = session("mlflow-1", tmp_path, "error", f"loopline://{tmp_path}/home")
    assert "needs SQLAlchemy below 2" in said["error"]
    assert "loopline server" in said["error"]
    assert not (tmp_path / "home").exists()


def digest(path: Path) -> str:
    with sqlite3.connect(path) as database:
        return sha256("\n".join(database.iterdump()).encode()).hexdigest()


def test_an_address_for_mlflow_is_read_as_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".loopline").mkdir()
    home = Address("home", str(tmp_path / ".loopline"))
    assert parse_address("loopline:") == home
    assert parse_address(f"loopline://{tmp_path}/.loopline") == home
    assert parse_address(f"loopline:{tmp_path}/.loopline") == home
    assert parse_address("loopline:///a%20b") == Address("home", "/a b")
    database = Address("database", "postgresql://ada@db/runs")
    assert parse_address("loopline:postgresql://ada@db/runs") == database
