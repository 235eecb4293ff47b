"""Notebooks run in a real kernel, and are kept as they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

import loopline
from loopline import Flow, signals
from loopline.errors import NotFoundError
from loopline.tasks import ExecuteNotebook

if TYPE_CHECKING:
    from pathlib import Path

TRAIN = """\
import loopline
with loopline.start_run():
    loopline.log_metric("rmse", 3.9 + extra)
print("trained on", month)
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    return write(tmp_path / "train.ipynb", 'month = "2022-01"\nextra = 0', TRAIN)


def write(path: Path, parameters: str, code: str) -> Path:
    cells = [
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    return path


@pytest.mark.deep
def test_a_notebook_runs_with_parameters_and_logs_to_the_run_that_keeps_it(notebook: Path) -> None:
    with Flow("notebook") as flow:
        done = ExecuteNotebook(str(notebook), {"month": "2022-02"})(parameters={"extra": 1})
    state = flow.run()
    assert state.is_successful(), state.result[done].message
    ended = state.result[done].result
    run = loopline.get_run(ended.run_id)
    assert run.data.params == {"month": "2022-02", "extra": "1"}
    assert run.data.metrics == {"rmse": 4.9}
    kept = loopline.download_artifacts(run_id=ended.run_id, artifact_path=ended.artifact)
    cells = nbformat.read(kept, as_version=4).cells
    assert "trained on 2022-02" in cells[-1].outputs[0].text


@pytest.mark.deep
def test_a_notebook_that_fails_is_kept_up_to_there(tmp_path: Path) -> None:
    path = write(tmp_path / "broken.ipynb", "zone = 1", "print('so far')\nraise KeyError(zone)")
    loopline.set_experiment("broken notebooks")  # Another test may have left one of its own.
    with pytest.raises(signals.FAIL, match="KeyError") as failed:
        ExecuteNotebook(str(path)).run()
    (run,) = loopline.find_runs(experiment_names=["broken notebooks"])
    assert run.run_id in str(failed.value)
    assert run.status == "FAILED"
    kept = loopline.download_artifacts(run_id=run.run_id, artifact_path="broken.ipynb")
    assert any("so far" in str(cell.get("outputs")) for cell in nbformat.read(kept, 4).cells)


def test_a_notebook_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no notebook .*x\.ipynb"):
        ExecuteNotebook(str(tmp_path / "x.ipynb")).run()
