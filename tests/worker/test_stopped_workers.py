"""Workers that are stopped, by somebody or with their machine: it is no fault of what they ran."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import wait

from loopline.records.flows import StateKind
from loopline.records.operations import ListTaskRuns

if TYPE_CHECKING:
    import subprocess

    from tests.worker.workshop import Workshop

RUNNING = (StateKind.RUNNING, 1)

WAITING = """
    @task
    def extract():
        note("extracting")
        return 1

    @task
    def train(rows):
        note("training")
        wait_for("data")
        return rows

    with Flow("retrain") as flow:
        train(extract())
    flow.register("wagoncab project")
"""


def attempts(workshop: Workshop, flow_run_id: str) -> dict[str, tuple[StateKind, int]]:
    tasks = workshop.backend.call(ListTaskRuns(flow_run_id=flow_run_id))
    return {task.task_slug: (task.state, task.attempt) for task in tasks}


def stop(worker: subprocess.Popen[bytes]) -> None:
    """Tell a worker twice, as somebody in a hurry does."""
    worker.send_signal(signal.SIGTERM)
    wait(lambda: is_told(worker))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def is_told(worker: subprocess.Popen[bytes]) -> bool:
    """Tell whether a process has taken its SIGTERM: it is no longer among the pending ones."""
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    pending = next(line.split()[1] for line in lines if line.startswith("ShdPnd"))
    return not int(pending, 16) & 1 << (signal.SIGTERM - 1)


@pytest.mark.deep
def test_a_task_handed_back_again_and_again_is_not_given_up(workshop: Workshop) -> None:
    workshop.register(WAITING)
    flow_run_id = workshop.ask_for_run("retrain")
    for life in range(1, 5):
        worker = workshop.start_worker(f"worker-{life}")
        wait(lambda life=life: workshop.notes().count("training") == life)  # type: ignore[misc]
        wait(lambda: attempts(workshop, flow_run_id).get("train-1") == RUNNING)
        stop(worker)
        workshop.wait_for_state(flow_run_id, StateKind.SCHEDULED)
        assert attempts(workshop, flow_run_id)["train-1"] == (StateKind.PENDING, 0)
    workshop.allow("data")
    workshop.start_worker("last")
    workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
    assert workshop.notes().count("extracting") == 1


def test_a_flow_run_that_is_told_to_stop_with_its_worker_is_handed_back(
    workshop: Workshop,
) -> None:
    # Service managers tell every process of a service, and a machine that goes down all it has.
    workshop.register(WAITING)
    flow_run_id = workshop.ask_for_run("retrain")
    worker = workshop.start_worker("first")
    workshop.wait_for_note("training")
    for pid in [*offspring(worker.pid), worker.pid]:
        os.kill(pid, signal.SIGTERM)
    assert worker.wait(30) == 0
    run = workshop.wait_for_state(flow_run_id, StateKind.SCHEDULED, StateKind.FAILED)
    assert (run.state, run.message) == (StateKind.SCHEDULED, "handed back by first, which stops")

    workshop.allow("data")
    workshop.start_worker("second")
    workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
    assert workshop.notes().count("extracting") == 1


def offspring(pid: int) -> list[int]:
    """List the processes that a process has started, and those that they have."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            found += [*offspring(child), child]
    return found
