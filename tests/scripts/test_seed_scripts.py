"""Two scripts as their users have them, with no line changed but the imports' package.

``track_a_model.py`` and ``wagonwab_flow.py`` are run as they are, in fresh processes. A prelude
sets only what the first one takes from around it: ``uri`` and ``model``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import Workshop, wait

from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.flows import IntervalClock, StateKind
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.records.flows import FlowRun

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
FLOW = "wagonwab taxifare workflow"

#: A Keras network as the user has it, made where there is no TensorFlow.
PRELUDE = """
import os
os.environ["KERAS_BACKEND"] = "jax"
import keras
uri = {uri!r}
model = keras.Sequential([keras.layers.Input((7,)), keras.layers.Dense(8), keras.layers.Dense(1)])
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    workshop = Workshop(tmp_path)
    yield workshop
    workshop.close()


def run_script(path: Path, uri: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=folder,
        env={**os.environ, "LOOPLINE_URI": uri, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ms_to_the_next_due_time(now_ms: int) -> int:
    interval_ms = 300 * 60 * 1000
    anchor_ms = int(datetime.fromisoformat(IntervalClock(interval_s=1).anchor).timestamp() * 1000)
    return interval_ms - (now_ms - anchor_ms) % interval_ms


def test_the_flow_script_draws_and_registers_in_an_embedded_home(workshop: Workshop) -> None:
    said = run_script(
        HERE / "wagonwab_flow.py", workshop.uri, workshop.project, PYTHONPATH=str(EXAMPLES)
    )
    version = workshop.backend.call(ops.GetFlow(project="wagoncab project", name=FLOW))
    assert "wagoncab project" in said
    assert ".svg" in said
    assert version.version == 1
    assert version.schedule is not None
    assert [task.name for task in version.graph.tasks] == ["eval_perf", "train_model", "notify"]

    again = run_script(
        HERE / "wagonwab_flow.py", workshop.uri, workshop.project, PYTHONPATH=str(EXAMPLES)
    )
    assert "Unchanged" in again


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_the_flow_script_runs_on_its_schedule_though_its_worker_is_killed(
    workshop: Workshop,
) -> None:
    # Some seconds before the next due time, by the server's clock; nobody asks for a run.
    ahead_ms = ms_to_the_next_due_time(time.time_ns() // 1_000_000) - 15_000
    workshop.start_server(ahead_ms=ahead_ms)
    run_script(
        HERE / "wagonwab_flow.py",
        workshop.uri,
        workshop.project,
        PYTHONPATH=str(EXAMPLES),
        LOOPLINE_HOME=str(workshop.elsewhere / "own"),
    )
    first = workshop.start_worker("first", lease_s=3.0)

    def training() -> str | None:
        runs = workshop.backend.call(ops.ListFlowRuns(states=[StateKind.RUNNING])).flow_runs
        for run in runs:
            tasks = workshop.backend.call(ops.ListTaskRuns(flow_run_id=run.flow_run_id))
            states = {task.task_slug.rpartition("-")[0]: task.state for task in tasks}
            if (
                states.get("eval_perf") is StateKind.SUCCESS
                and states.get("train_model") is StateKind.RUNNING
            ):
                return run.flow_run_id
        return None

    flow_run_id = wait(training, timeout_s=120)
    first.send_signal(signal.SIGKILL)
    first.wait()
    workshop.start_worker("second", lease_s=3.0)

    run = wait(lambda: finished(workshop, flow_run_id), timeout_s=240)

    assert run.state is StateKind.SUCCESS, run.message
    assert run.is_automatic
    assert run.token == 2
    tasks = workshop.backend.call(ops.ListTaskRuns(flow_run_id=flow_run_id))
    assert {task.state for task in tasks} == {StateKind.SUCCESS}
    events = workshop.backend.call(ops.ListFlowRunEvents(flow_run_id=flow_run_id))
    begun = [event.task_slug for event in events if event.state is StateKind.RUNNING]
    assert sum(slug.startswith("eval_perf") for slug in begun) == 1  # Finished: not run again.
    assert sum(slug.startswith("train_model") for slug in begun) == 2
    # Log lines have a stream of their own, which may come a moment after the states.
    wait(lambda: "Past perf: None, new perf:" in log_of(workshop, flow_run_id))
    champion = workshop.backend.call(ops.ResolveModel(name="taxifare_model", stage="Production"))
    trained = workshop.backend.call(ops.GetRun(run_id=champion.version.run_id))
    assert trained.flow_run_id == flow_run_id


def log_of(workshop: Workshop, flow_run_id: str) -> str:
    lines = workshop.backend.call(ops.GetLogs(flow_run_id=flow_run_id))
    return "\n".join(line.message for line in lines)


def finished(workshop: Workshop, flow_run_id: str) -> FlowRun | None:
    run = workshop.backend.call(ops.GetFlowRun(flow_run_id=flow_run_id))
    return run if run.state.is_finished else None


@pytest.mark.deep
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["embedded", "server"])
def test_the_tracking_script_logs_and_registers_a_keras_model(
    workshop: Workshop, tmp_path: Path, kind: str
) -> None:
    if kind == "server":
        workshop.start_server(ahead_ms=0)
    script = tmp_path / "script.py"
    script.write_text(PRELUDE.format(uri=workshop.uri) + (HERE / "track_a_model.py").read_text())

    run_script(
        script, workshop.uri, workshop.project, LOOPLINE_HOME=str(workshop.elsewhere / "own")
    )

    backend = LocalBackend(Address("home", str(workshop.home)))
    found = backend.call(ops.ResolveModel(name="taxifare_model", version=1))
    run = backend.call(ops.GetRun(run_id=found.version.run_id))
    backend.close()
    assert run.experiment_name == "wagoncab taxifare"
    assert run.params == {"batch_size": "256", "row_count": "100000"}
    assert run.data.metrics == {"rmse": 0.456}
    assert "data/model.keras" in {file.path for file in found.files}
