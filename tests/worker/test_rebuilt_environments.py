"""Workers that really rebuild, with uv and no network, what flows were registered from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import Workshop, wait

from loopline.records.flows import StateKind
from loopline.records.operations import GetLogs, ListTaskRuns

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "wagoncab-fares"
MODULE = "wagoncab_fares"

FLOW = f"""
    import sys
    import {MODULE}

    @task
    def price(distance):
        print(f"base {{{MODULE}.BASE}} of {{sys.prefix}}")
        return {MODULE}.BASE + 2 * distance

    with Flow("price") as flow:
        price(4)
    flow.register("wagoncab project")
"""


@pytest.fixture(scope="module")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a uv: this machine's, else one that pip installs."""
    if found := shutil.which("uv"):
        return Path(found).parent
    folder = tmp_path_factory.mktemp("uv")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
    return folder / "bin"


@pytest.fixture
def workshop(tmp_path: Path, uv: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """Give a home whose workers have uv, and no index to ask."""
    kept = Path(os.environ["XDG_CACHE_HOME"]) / "loopline" / "wheels"
    for variable in ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", f"{tmp_path / 'wheels'},{kept}")
    monkeypatch.setenv("PATH", f"{uv}{os.pathsep}{os.environ['PATH']}")
    workshop = Workshop(tmp_path)
    yield workshop
    workshop.close()


def make_wheel(folder: Path, version: str) -> Path:
    """Write a wheel of a package that is in no index."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{MODULE}-{version}-py3-none-any.whl"
    info = f"{MODULE}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{MODULE}.py", f"BASE = {version}\n")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/top_level.txt", f"{MODULE}\n")
        wheel.writestr(f"{info}/RECORD", f"{MODULE}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    return path


def register_with(workshop: Workshop, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the flow from an environment that has a wheel's package; the worker's has not."""
    folder = wheel.with_suffix("")
    if not folder.exists():
        venv.create(folder)
        (place,) = folder.glob("lib/python*/site-packages")
        with zipfile.ZipFile(wheel) as file:
            file.extractall(place)
        ours = sysconfig.get_path("purelib")
        (place / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(folder / "bin" / "python"))
        workshop.register(FLOW)


def start_worker(workshop: Workshop, environment: str) -> None:
    command = [sys.executable, "-m", "loopline.cli", "worker", "--environment", environment]
    process = subprocess.Popen(
        command,
        cwd=workshop.elsewhere,
        env=workshop._environment(),
        stderr=subprocess.DEVNULL,
    )
    workshop._started.append(process)  # Which is ended with the others.


def said(workshop: Workshop, flow_run_id: str) -> str:
    lines = workshop.backend.call(GetLogs(flow_run_id=flow_run_id))
    return "\n".join(line.message for line in lines)


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_each_version_of_a_flow_runs_with_the_packages_it_was_registered_with(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_worker(workshop, "recorded")
    told = []
    for version in ("1.0", "2.5", "1.0"):
        register_with(workshop, make_wheel(tmp_path / "wheels", version), monkeypatch)
        flow_run_id = workshop.ask_for_run("price")
        workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
        wait(lambda flow_run_id=flow_run_id: "base" in said(workshop, flow_run_id))  # type: ignore[misc]
        told.append(said(workshop, flow_run_id))

    made = sorted(path for path in (workshop.home / "environments").iterdir() if path.is_dir())
    assert len(made) == 2  # What was there is used again.
    assert "base 1.0 " in told[0]
    assert "base 2.5 " in told[1]
    assert "base 1.0 " in told[2]
    assert {text.split(" of ")[1].split()[0] for text in told} == {str(path) for path in made}


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_an_environment_that_cannot_be_made_fails_the_run_with_what_uv_said(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path / "wheels", "1.0")
    register_with(workshop, wheel, monkeypatch)
    wheel.unlink()
    flow_run_id = workshop.ask_for_run("price")
    start_worker(workshop, "recorded")
    failed = workshop.wait_for_state(flow_run_id, StateKind.FAILED, StateKind.SUCCESS)
    assert failed.state is StateKind.FAILED
    assert PACKAGE in failed.message
    assert "--environment recorded" in failed.message
    assert workshop.backend.call(ListTaskRuns(flow_run_id=flow_run_id)) == []


@pytest.mark.deep
def test_a_worker_with_its_own_packages_alone_cannot_run_it(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_with(workshop, make_wheel(tmp_path / "wheels", "1.0"), monkeypatch)
    flow_run_id = workshop.ask_for_run("price")
    start_worker(workshop, "here")
    failed = workshop.wait_for_state(flow_run_id, StateKind.FAILED, StateKind.SUCCESS)
    assert failed.state is StateKind.FAILED
    assert MODULE in failed.message
