"""Budgets that fail the build: what an import and an install cost, and how long a module is.

The deep tests make real environments, and run the installed wheel on every newer Python found.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "src" / "loopline").rglob("*.py"))
NO_NEWER_PYTHON = "no-newer-python-found"

#: Logs one point and leaves; what the command line then shows must come from the disk.
LOG_ONE_FARE_ERROR = """
import loopline

loopline.set_experiment(experiment_name="taxifare")
with loopline.start_run():
    loopline.log_metrics({"rmse": 3.8125})
"""
RUN_ONE_TASK = """
from loopline import Flow, task

@task
def one():
    return 1

with Flow("one") as flow:
    one()
assert flow.run().is_successful()
"""
#: What no script imports that only records.
HEAVY = {"asyncio", "dask", "numpy", "obstore", "pandas", "sqlalchemy", "starlette"}


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a program; return what it wrote, or fail with all that it said."""
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def core_environment(folder: Path, *, python: str = sys.executable) -> Path:
    """Make an environment with the core lock only; return its Python."""
    bootstrap = ROOT / "tools" / "bootstrap.py"
    run(python, bootstrap, "--venv", folder, "--no-project", "core")
    return folder / "bin" / "python"


def newer_pythons() -> dict[str, str]:
    """Find newer Pythons on PATH and beside the one that runs, as version managers place them."""
    found = {}
    for minor in range(sys.version_info.minor + 1, sys.version_info.minor + 5):
        name = f"python3.{minor}"
        beside = sorted(Path(sys.base_prefix).parent.glob(f"*/bin/{name}"))
        for candidate in [*map(str, beside), shutil.which(name)]:
            # Asked, not trusted: a version manager lists Pythons that it does not run.
            if candidate and not subprocess.call(
                [candidate, "-c", "import venv, ensurepip"], stderr=subprocess.DEVNULL
            ):
                found[name] = candidate
                break
    return found


def test_importing_loopline_is_light() -> None:
    script = (
        "import json, sys; before = set(sys.modules); import loopline; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    new = json.loads(run(sys.executable, "-c", script))
    assert HEAVY.isdisjoint(new)
    assert len(new) <= 60, new


@pytest.mark.parametrize(("script", "most"), [(LOG_ONE_FARE_ERROR, 260), (RUN_ONE_TASK, 260)])
def test_a_short_script_is_light(script: str, most: int, tmp_path: Path) -> None:
    env = os.environ | {"LOOPLINE_URI": str(tmp_path / "home"), "LOOPLINE_NO_CAPTURE": "1"}
    run(sys.executable, "-c", script, env=env)  # The first process of a home makes the store.
    told = (
        "import atexit, json, sys; before = set(sys.modules)\n"
        "atexit.register(lambda: print(json.dumps(sorted(set(sys.modules) - before))))\n"
    )
    new = json.loads(run(sys.executable, "-c", told + script, env=env).splitlines()[-1])
    assert HEAVY.isdisjoint(new)
    assert len(new) <= most, new


def test_the_core_has_at_most_ten_direct_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert len(project["dependencies"]) <= 10


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_or_says_why_not(module: Path) -> None:
    text = module.read_text()
    docstring = " ".join((ast.get_docstring(ast.parse(text)) or "").split())
    assert len(text.splitlines()) <= 500 or "Longer than 500 lines because" in docstring


@pytest.mark.deep
@pytest.mark.timeout(600)  # May download the core's packages.
def test_the_core_install_is_small(tmp_path: Path) -> None:
    python = core_environment(tmp_path / "core")
    ours = json.loads(
        run(python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check")
    )
    names = {package["name"].lower() for package in ours} - {"pip", "setuptools"}
    assert len(names) + 1 <= 30, names  # One more for Loopline itself.
    assert names.isdisjoint({"pandas", "pyarrow", "scikit-learn"})

    (site,) = (tmp_path / "core" / "lib").glob("python3*/site-packages")
    size_bytes = sum(
        path.stat().st_size
        for folder in [*site.iterdir(), ROOT / "src" / "loopline"]
        if not folder.name.startswith(("pip", "setuptools", "_distutils_hack", "pkg_resources"))
        for path in [folder, *folder.rglob("*")]
        if path.is_file()
    )
    assert size_bytes <= 100e6


@pytest.mark.deep
@pytest.mark.timeout(600)  # As above.
@pytest.mark.parametrize("name", sorted(newer_pythons()) or [NO_NEWER_PYTHON])
def test_the_wheel_works_on_a_newer_python(name: str, tmp_path: Path) -> None:
    if name == NO_NEWER_PYTHON:
        print("No Python newer than this one is on the machine: nothing is claimed for it.")
        return
    wheels = tmp_path / "wheels"
    build = ["-m", "pip", "wheel", "--no-index", "--no-build-isolation", "--no-deps"]
    run(sys.executable, *build, "--wheel-dir", wheels, ROOT)
    (wheel,) = wheels.glob("loopline-*.whl")
    python = core_environment(tmp_path / "core", python=newer_pythons()[name])
    run(python, "-m", "pip", "install", "--no-index", "--no-deps", wheel)
    loopline = python.with_name("loopline")
    env = {key: value for key, value in os.environ.items() if not key.startswith("LOOPLINE_")}
    env |= {"HOME": str(tmp_path), "LOOPLINE_HOME": str(tmp_path / "home")}

    assert "Usage" in run(loopline, "--help", env=env, cwd=tmp_path)
    run(python, "-c", LOG_ONE_FARE_ERROR, env=env, cwd=tmp_path)
    assert "3.8125" in run(loopline, "runs", "list", "--json", env=env, cwd=tmp_path)
    examples = run(python, "-m", "zipfile", "-l", wheel)
    assert "loopline/_examples/taxifare/" in examples
