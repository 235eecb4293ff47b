"""Real MLflow clients sign in by their own environment variables, and do what they may."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.peers import python_of
from tests.server.team import PASSWORD, Team, team_at

from loopline.records import facts as f
from loopline.records import operations as ops

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.deep, pytest.mark.timeout(300)]

PROGRAM = Path(__file__).parent / "mlflow_signed_session.py"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}


@pytest.fixture(params=["mlflow-1", "mlflow-2", "mlflow-3"])
def python(request: pytest.FixtureRequest) -> str:
    return python_of(str(request.param))


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with team_at(tmp_path) as team:
        for name, number in (("day shift", 1), ("night shift", 2)):
            made = team.owner.call(ops.CreateExperiment(name=name))
            run = f.RunStarted(
                run_id=f"{number:032x}", experiment_id=made.experiment_id, start_ms=1
            )
            team.owner.call(ops.RecordFacts(facts=[run]))
        yield team


def session(team: Team, python: str, folder: Path, **environment: str) -> dict[str, Any]:
    """Let a client look, log and register; return what it was let to."""
    done = subprocess.run(
        [python, PROGRAM, team.url, "1", "2"],
        env={**os.environ, **QUIET, **environment}, cwd=folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_an_editor_does_everything_with_a_token(team: Team, python: str, tmp_path: Path) -> None:
    token = team.member("ana", "editor", scope="write")
    seen = session(team, python, tmp_path, MLFLOW_TRACKING_TOKEN=token)
    assert seen["experiments"] == ["Default", "day shift", "night shift"]
    done = ("own", "other", "makes experiments", "makes models", "logs")
    assert {key: seen[key] for key in done} == dict.fromkeys(done, "done")
    assert seen["by name"]
    assert seen["runs"] == 3


def test_who_has_a_role_on_one_experiment_works_there_by_password(
    team: Team, python: str, tmp_path: Path
) -> None:
    team.user("bea", password=True)
    team.grant("bea", "experiment", "1", "editor")
    seen = session(
        team, python, tmp_path, MLFLOW_TRACKING_USERNAME="bea", MLFLOW_TRACKING_PASSWORD=PASSWORD
    )
    assert seen == {
        "experiments": ["day shift"],
        "own": "done",
        "other": "RESOURCE_DOES_NOT_EXIST",
        "by name": False,
        "makes experiments": "PERMISSION_DENIED",
        "makes models": "PERMISSION_DENIED",
        "logs": "done",
        "runs": 2,
    }


def test_nobody_is_told_to_sign_in(team: Team, python: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [python, PROGRAM, team.url, "1", "2"],
        env={**os.environ, **QUIET}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "MLFLOW_TRACKING_TOKEN" in done.stderr
