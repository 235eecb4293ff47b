"""One server for all attacks: at the end it must still answer, with no fault in its log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.security.target import MLFLOW, Canary, Target
from tests.server.running import ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def attacked(folder: Path, uri: str = "") -> Iterator[Target]:
    """Start a server over a new store; check at the end that it took no harm."""
    home = folder / "home" / ".loopline"
    log = folder / "server.log"
    command = [sys.executable, "-m", "loopline.cli", "server", "--port", "0", "--json"]
    with Canary() as canary, log.open("wb") as errors:
        process = subprocess.Popen(
            [*command, "--uri", uri or str(home)], stdout=subprocess.PIPE, stderr=errors, text=True,
            env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            target = Target(url, int(url.rpartition(":")[2]), home, "", canary)
            target = target._replace(run_id=_fill(target))
            yield target
            assert process.poll() is None, log.read_text()
            assert ask(url, "GET", "/health").status == 200
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert canary.heard == []
    assert "Fault" not in log.read_text()
    assert "Traceback" not in log.read_text()


def _fill(target: Target) -> str:
    run_id = str(target.made("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"])
    target.made("runs/log-parameter", {"run_id": run_id, "key": "trees", "value": "300"})
    place = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/model/MLmodel"
    assert target.send("PUT", place, b"flavors: {}", {}).status == 200
    target.made("registered-models/create", {"name": "fare"})
    source = f"runs:/{run_id}/model"
    target.made("model-versions/create", {"name": "fare", "source": source, "run_id": run_id})
    assert ask(target.url, "GET", f"{MLFLOW}runs/get?run_id={run_id}").status == 200
    return run_id


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with attacked(tmp_path_factory.mktemp("attacked")) as target:
        yield target
