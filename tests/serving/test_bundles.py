"""A bundle serves a model where neither the store nor Loopline is."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.serving.serving import invoke, predictions

from loopline.errors import AlreadyExistsError, ConflictError, UnsupportedError
from loopline.serving.bundle import build_bundle, build_image, exact_requirements

if TYPE_CHECKING:
    from pathlib import Path


def test_a_bundle_serves_its_version_with_its_own_sources(fares: str, tmp_path: Path) -> None:
    folder = build_bundle(fares, tmp_path / "served")
    command = [sys.executable, "-S", str(folder / "serve.py"), "--port", "0", "--json"]
    # Without site-packages' own hooks an installed Loopline is not found, only its libraries.
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    environment = {**os.environ, "PYTHONPATH": packages}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split('"url"')[1].split('"')[1]
        answer = invoke(url, (folder / "model" / "serving_input_example.json").read_bytes())
        assert predictions(answer) == pytest.approx([3, 5])
        assert answer.headers["X-Loopline-Model-Version"] == "1"
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    with pytest.raises(AlreadyExistsError):
        build_bundle(fares, folder)


def test_requirements_are_exact_and_the_models_own_come_first() -> None:
    lines = exact_requirements(["scikit-learn==1.2.3", "loopline==0.1.0"])
    assert "scikit-learn==1.2.3" in lines
    names = {line.partition("==")[0] for line in lines}
    assert {"joblib", "msgspec", "numpy", "pandas", "starlette", "uvicorn"} <= names
    assert "loopline" not in names
    assert all("==" in line for line in lines)


def test_where_there_is_no_docker_the_bundle_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match="docker build -t fares"):
        build_image(tmp_path, "fares")
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho no daemon >&2\nexit 1\n", encoding="utf-8")
    docker.chmod(0o755)
    with pytest.raises(ConflictError, match="no daemon"):
        build_image(tmp_path, "fares")
