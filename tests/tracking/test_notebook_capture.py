"""In a notebook a run keeps the cells that were run, up to the one that ended it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

import loopline
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.tracking.environment.notebook import as_script, cells_so_far, is_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CELLS = """
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    for cell in (
        "API_KEY = 'canary-cell'\\n%env HF_TOKEN canary-magic",
        "import loopline",
        "run = loopline.start_run()",
        "loopline.log_metric('rmse', 3.9)",
        "loopline.end_run()",
        "print(run.run_id)",
    ):
        shell.run_cell(cell, store_history=True).raise_error()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    loopline.set_tracking_uri(tmp_path / "home")
    yield tmp_path / "home"
    close_recorders()
    loopline.set_tracking_uri(None)


def test_cells_are_written_as_a_script_with_marks_between_them() -> None:
    assert as_script(["", "x = 1\n", "x + 1"]) == "# %% In [1]\nx = 1\n\n# %% In [2]\nx + 1\n"


def test_outside_a_notebook_there_are_no_cells() -> None:
    assert cells_so_far() is None
    assert not is_kernel()


def test_a_run_keeps_its_cells_without_their_secrets(tmp_path: Path, home: Path) -> None:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("LOOPLINE_")
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CELLS)],
        env={**environment, "LOOPLINE_URI": str(home), "IPYTHONDIR": str(tmp_path / "ipython")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.split()[-1]
    assert loopline.get_run(run_id).tags["mlflow.source.type"] == "NOTEBOOK"
    files = {one.path: one.sha256 for one in loopline.list_artifacts(run_id, "loopline")}
    text = b"".join(get_recorder().backend.read_blob(files["loopline/cells.py"])).decode()
    assert "# %% In [3]\nrun = loopline.start_run()" in text
    assert text.rstrip().endswith("# %% In [5]\nloopline.end_run()")
    assert "canary" not in text
