"""Scripts that a worker elsewhere runs, with the modules they import."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import Workshop

from loopline import signals
from loopline.records.operations import SearchRuns
from loopline.tasks import ScriptTask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRIPT = {
    "train.py": """
        import sys
        from prices import START
        import loopline

        if __name__ == "__main__":
            print("training with", *sys.argv[1:])
            with loopline.start_run():
                loopline.log_metric("fare", START + float(sys.argv[2]))
    """,
    "prices.py": "from more.extra import START\n",
    "more/__init__.py": "",
    "more/extra.py": "START = 2.5\n",
}


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    workshop = Workshop(tmp_path)
    workshop.write(SCRIPT)
    yield workshop
    workshop.close()


def loopline_run(workshop: Workshop, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "loopline.cli", "run", *arguments],
        cwd=workshop.elsewhere,
        env=workshop._environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.deep
def test_a_script_runs_on_a_worker_and_its_log_comes_back(workshop: Workshop) -> None:
    workshop.start_worker("worker")
    done = loopline_run(workshop, str(workshop.project / "train.py"), "--fare", "7")
    assert done.returncode == 0, done.stderr
    assert "training with --fare 7" in done.stdout
    (run,) = workshop.backend.call(SearchRuns(experiment_ids=["0"])).runs
    assert {key: metric.value for key, metric in run.metrics.items()} == {"fare": 9.5}


def test_a_script_that_exits_badly_fails_the_task() -> None:
    ScriptTask("import sys; sys.exit(0)").run()
    with pytest.raises(signals.FAIL, match=r"train\.py ended by sys\.exit\('no trips'\)"):
        ScriptTask("import sys; sys.exit('no trips')", file_name="train.py").run()
    with pytest.raises(KeyError):
        ScriptTask("raise KeyError(1)").run()


def test_a_machine_needs_a_size(workshop: Workshop) -> None:
    done = loopline_run(workshop, "--on", "vm", str(workshop.project / "train.py"))
    assert done.returncode == 2
    assert "needs --size" in done.stderr
