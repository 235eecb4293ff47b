"""The guide for MLflow's users, run by a real client against a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from tests.docs.test_guides import blocks_of, commands_of
from tests.peers import python_of
from tests.server.running import running
from tests.transfer.mlruns_story import taxi_fares

from loopline.settings import Address

GUIDE = "docs/moving-from-mlflow.md"
#: Sources that are not there, and commands that go on until they are stopped.
NOT_HERE = ("mlflow.db", "postgresql://", "mlflow.example", "loopline server", "loopline up")


@pytest.mark.deep
def test_the_guide_for_users_of_mlflow_can_be_typed_as_it_stands(tmp_path: Path) -> None:
    taxi_fares(tmp_path / "mlruns")
    script = tmp_path / "guide.py"
    with running(Address("home", str(tmp_path / ".loopline"))) as url:
        text = "\n".join(map(dedent, blocks_of(GUIDE))).replace("http://127.0.0.1:5050", url)
        script.write_text(text)
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
        ran = subprocess.run(
            [python_of("mlflow-3"), script],
            cwd=tmp_path, env={**os.environ, **quiet}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr[-4000:]
        assert ran.stdout.splitlines()[-1].startswith("[3.")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        typed = [each for each in commands_of(GUIDE) if not any(no in each for no in NOT_HERE)]
        assert len(typed) == 4
        for command in typed:
            done = subprocess.run(
                ["/bin/sh", "-c", command.replace("http://127.0.0.1:5050", url)],
                cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
