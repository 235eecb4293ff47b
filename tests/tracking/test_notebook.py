"""A notebook, executed by Jupyter's own kernel: what its cells show and which run is active."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

SOURCE = Path(__file__).parents[2] / "src"

CELLS = {
    "start": "import loopline\nrun = loopline.start_run(run_name='first <b>')",
    "log": "loopline.log_metrics({'loss': [1.0, 0.5]})\nloopline.active_run()",
    "end": "loopline.end_run()\nloopline.get_run(run.run_id)",
    "search": "loopline.find_runs()",
    "frame": "loopline.search_runs(search_all_experiments=True)",
    "experiments": "loopline.search_experiments()",
    "await": "async def train():\n"
    "    with loopline.start_run(run_name='in a task') as inner:\n"
    "        return loopline.active_run() is inner\n"
    "await train()",
    "async cell": "import asyncio\n"
    "late = loopline.start_run(run_name='late')\n"
    "await asyncio.sleep(0)",
    "next cell": "loopline.active_run() is late",
    "end late": "loopline.end_run()",
    "over": "loopline.active_run() is None",
    "bar": "from loopline.tracking.progress import progress\n"
    "with progress('Fetching <model>', 4_000_000, after_s=0.0) as advance:\n"
    "    advance(1_000_000)\n"
    "    advance(3_000_000)",
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Execute the notebook; tell what each cell put out."""
    home = tmp_path_factory.mktemp("home")
    # The kernel inherits the environment as it is when it starts.
    kept = dict(os.environ)
    os.environ |= {
        "LOOPLINE_URI": str(home),
        "LOOPLINE_NO_CAPTURE": "1",
        "PYTHONPATH": str(SOURCE),
        "JUPYTER_PLATFORM_DIRS": "1",
        "IPYTHONDIR": str(home / "ipython"),
    }
    try:
        cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
        notebook = nbformat.v4.new_notebook(cells=cells)
        client = nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3")
        client.execute()
    finally:
        os.environ.clear()
        os.environ.update(kept)
    return {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}


def html_of(outputs: list[Any]) -> str:
    return "".join(output.data["text/html"] for output in outputs if "data" in output)


def test_a_run_stays_active_from_cell_to_cell(shown: dict[str, list[Any]]) -> None:
    assert "first &lt;b&gt;" in html_of(shown["log"])
    assert shown["next cell"][0].data["text/plain"] == "True"
    assert shown["over"][0].data["text/plain"] == "True"


def test_a_run_of_a_task_is_active_in_it(shown: dict[str, list[Any]]) -> None:
    assert shown["await"][0].data["text/plain"] == "True"


def test_runs_searches_and_experiments_show_themselves(shown: dict[str, list[Any]]) -> None:
    assert "FINISHED" in html_of(shown["end"])
    assert "0.5" in html_of(shown["end"])
    assert "1 run" in html_of(shown["search"])
    assert "Default" in html_of(shown["experiments"])
    assert "metrics.loss" in html_of(shown["frame"])


def test_a_progress_bar_is_one_output_that_ends_full(shown: dict[str, list[Any]]) -> None:
    (bar,) = [output for output in shown["bar"] if output.output_type == "display_data"]
    assert 'value="4000000" max="4000000"' in bar.data["text/html"]
    assert "Fetching &lt;model&gt;" in bar.data["text/html"]
    assert bar.data["text/plain"] == "Fetching <model>: 4.0 MB of 4.0 MB"
