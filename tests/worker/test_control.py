"""What people want of running flow runs reaches their processes: pause, retry, limits, stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import wait

from loopline.records.flows import StateKind
from loopline.records.operations import (
    CreateFlowRun,
    GetFlowRun,
    ListFlowRunEvents,
    ListTaskRuns,
    ListWorkers,
    PauseFlowRun,
    RerunFlowRun,
    ResumeFlowRun,
    RetryFlowRun,
    SetTagLimit,
)

if TYPE_CHECKING:
    from tests.worker.workshop import Workshop

THREE = """
    @task
    def extract():
        note("extracting")
        wait_for("data")
        return 1

    @task
    def train(rows):
        note("training")
        if not (HERE / "mended").exists():
            raise ValueError("the month has 31 days")
        return rows + 1

    @task
    def publish(model):
        note(f"publishing {model}")

    with Flow("retrain") as flow:
        publish(train(extract()))
    flow.register("wagoncab project")
"""

TAGGED = """
    @task(tags=["warehouse"])
    def query():
        note("begin")
        time.sleep(0.3)
        note("end")

    with Flow("retrain") as flow:
        query()
    flow.register("wagoncab project")
"""


def states(workshop: Workshop, flow_run_id: str) -> dict[str, StateKind]:
    runs = workshop.backend.call(ListTaskRuns(flow_run_id=flow_run_id))
    return {run.task_slug: run.state for run in runs}


def test_a_paused_run_ends_what_runs_and_goes_on_when_asked(workshop: Workshop) -> None:
    workshop.register(THREE)
    workshop.start_worker("only")
    workshop.allow("mended")
    flow_run_id = workshop.ask_for_run("retrain")
    workshop.wait_for_note("extracting")
    workshop.backend.call(PauseFlowRun(flow_run_id=flow_run_id))
    time.sleep(1.0)
    workshop.allow("data")
    workshop.wait_for_state(flow_run_id, StateKind.PAUSED)
    assert states(workshop, flow_run_id) == {"extract-1": StateKind.SUCCESS}
    workshop.backend.call(ResumeFlowRun(flow_run_id=flow_run_id))
    workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
    assert workshop.notes() == ["extracting", "training", "publishing 2"]


def test_a_failed_run_is_retried_from_its_finished_tasks_and_run_again_from_one(
    workshop: Workshop,
) -> None:
    workshop.register(THREE)
    workshop.start_worker("only")
    workshop.allow("data")
    flow_run_id = workshop.ask_for_run("retrain")
    workshop.wait_for_state(flow_run_id, StateKind.FAILED)
    assert states(workshop, flow_run_id)["publish-1"] is StateKind.TRIGGER_FAILED
    workshop.allow("mended")
    workshop.backend.call(RetryFlowRun(flow_run_id=flow_run_id))
    workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
    assert workshop.notes() == ["extracting", "training", "training", "publishing 2"]
    workshop.backend.call(RerunFlowRun(flow_run_id=flow_run_id, from_tasks=["publish"]))
    wait(lambda: workshop.notes().count("publishing 2") == 2)
    workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
    assert workshop.notes().count("training") == 2


@pytest.mark.deep
def test_tasks_with_a_limited_tag_run_one_at_a_time_in_all_runs(workshop: Workshop) -> None:
    workshop.register(TAGGED)
    workshop.backend.call(SetTagLimit(tag="warehouse", most=1))
    for name in ("first", "second"):
        workshop.start_worker(name)
    runs = [workshop.ask_for_run("retrain") for _ in range(4)]
    for run in runs:
        workshop.wait_for_state(run, StateKind.SUCCESS)
    assert workshop.notes() == ["begin", "end"] * 4
    queued = [
        event.message
        for run in runs
        for event in workshop.backend.call(ListFlowRunEvents(flow_run_id=run))
        if event.state is StateKind.QUEUED
    ]
    assert queued
    assert set(queued) == {"Waits for others to end: 1 of 1 with tag 'warehouse' run now."}


def test_a_worker_is_listed_takes_only_what_fits_and_says_when_it_stops(
    workshop: Workshop,
) -> None:
    workshop.register(THREE)
    worker = workshop.start_worker("plain")
    workshop.allow("data")
    workshop.allow("mended")
    asked = CreateFlowRun(project="wagoncab project", name="retrain", labels=["gpu"])
    waiting = workshop.backend.call(asked).flow_run_id
    workshop.wait_for_state(workshop.ask_for_run("retrain"), StateKind.SUCCESS)
    (info,) = workshop.backend.call(ListWorkers())
    assert (info.name, info.pid, info.status) == ("plain", worker.pid, "working")
    run = workshop.backend.call(GetFlowRun(flow_run_id=waiting))
    assert run.waits_for == "a worker with the label gpu: those here have no labels"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert [each.status for each in workshop.backend.call(ListWorkers())] == ["stopped"]


@pytest.mark.deep
def test_the_death_of_the_process_that_forks_costs_no_run(workshop: Workshop) -> None:
    workshop.register(THREE)
    worker = workshop.start_worker("only")
    flow_run_id = workshop.ask_for_run("retrain")
    workshop.wait_for_note("extracting")
    (zygote,) = children_of(worker.pid)
    os.kill(zygote, signal.SIGKILL)
    workshop.allow("data")
    workshop.allow("mended")
    workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
    workshop.wait_for_state(workshop.ask_for_run("retrain"), StateKind.SUCCESS)
    assert children_of(worker.pid) not in ([], [zygote])


def children_of(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123 - no real file
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - no real folder
        found = file.read().split()
    for thread in threads:
        with open(f"/proc/{pid}/task/{thread}/children") as file:  # noqa: PTH123
            found += file.read().split()
    return sorted({int(each) for each in found})


APPROVED = """
    from loopline import triggers
    from loopline.flows.signals import PAUSE
    from loopline.flows.context import context

    @task
    def evaluate():
        note("evaluating")
        return 3.5

    @task(trigger=triggers.manual_only)
    def promote(mae):
        note(f"promoting at {mae}")

    @task
    def ask():
        if not context.get("resume"):
            note("asking")
            raise PAUSE("is 3.5 good?")
        note("answered")
        return "yes"

    with Flow("retrain") as flow:
        mae = evaluate()
        promote(mae)
        ask(upstream_tasks=[mae])
    flow.register("wagoncab project")
"""


def test_what_waits_for_approval_goes_on_when_somebody_resumes_the_run(workshop: Workshop) -> None:
    workshop.register(APPROVED)
    first = workshop.start_worker("first")
    flow_run_id = workshop.ask_for_run("retrain")
    workshop.wait_for_state(flow_run_id, StateKind.PAUSED)
    assert states(workshop, flow_run_id) == {
        "evaluate-1": StateKind.SUCCESS,
        "promote-1": StateKind.PAUSED,
        "ask-1": StateKind.PAUSED,
    }
    first.kill()  # Nothing of a paused run is in a process.
    first.wait()
    workshop.start_worker("second")
    done = subprocess.run(
        [sys.executable, "-m", "loopline.cli", "flow-runs", "resume", flow_run_id],
        env={**os.environ, "LOOPLINE_URI": workshop.uri},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" goes on.\n")
    workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
    assert sorted(workshop.notes()) == ["answered", "asking", "evaluating", "promoting at 3.5"]
