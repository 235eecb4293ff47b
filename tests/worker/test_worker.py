"""Workers that run flows, die, take over, cancel and hand back."""

from __future__ import annotations

import logging
import os
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import TAXIFARE, wait

from loopline.backend.local import LocalBackend
from loopline.records.flows import FlowCode, FlowGraph, IntervalClock, ScheduleSpec, StateKind
from loopline.records.operations import (
    CancelFlowRun,
    GetLogs,
    ListFlowRuns,
    ListTaskRuns,
    MaterialiseSchedules,
    RegisterFlow,
)
from loopline.rules.timetable import next_times

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worker.workshop import Workshop

    from loopline.records.flows import LogLine

WAGONWAB = """
    from taxifare.interface.main import preprocess, train, evaluate

    @task
    def eval_perf(next_row):
        note(f"evaluating in {os.getcwd()}")
        past_perf = evaluate(next_row)
        return past_perf

    @task
    def train_model(next_row):
        note(f"pid {os.getpid()}")
        note("training")
        wait_for("data")
        preprocess(first_row=next_row)
        new_perf = train(first_row=next_row, stage="Production")
        return new_perf

    @task
    def notify(past_perf, new_perf):
        print(f"Past perf: {past_perf}, new perf: {new_perf}")

    with Flow(name="wagonwab taxifare workflow") as flow:
        notify(eval_perf(0), train_model(0))
    flow.schedule = IntervalSchedule(interval=datetime.timedelta(minutes=300))
    flow.executor = LocalDaskExecutor()
    flow.register("wagoncab project")
"""

WAITING = """
    @task
    def train():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        note(f"child {child.pid}")
        note("training")
        wait_for("data")

    with Flow("retrain") as flow:
        train()
    flow.register("wagoncab project")
"""


def finished_tasks(workshop: Workshop) -> set[str]:
    held = [StateKind.SUBMITTED, StateKind.RUNNING]
    (run,) = workshop.backend.call(ListFlowRuns(states=held)).flow_runs
    tasks = workshop.backend.call(ListTaskRuns(flow_run_id=run.flow_run_id))
    return {task.task_slug for task in tasks if task.state.is_successful}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - a zombie is dead
        return file.read().rpartition(")")[2].split()[0] != "Z"


def logged(workshop: Workshop, flow_run_id: str, until: str) -> list[LogLine]:
    """Wait for a line of the log, and return each of these there are."""

    def found() -> list[LogLine]:
        lines = workshop.backend.call(GetLogs(flow_run_id=flow_run_id))
        return [line for line in lines if line.message == until]

    return wait(found)


def noted(workshop: Workshop, what: str) -> list[str]:
    return [note.partition(" ")[2] for note in workshop.notes() if note.startswith(what + " ")]


@pytest.mark.parametrize("through", ["the home", "a server"])
def test_a_scheduled_run_survives_the_kill_of_its_worker_and_succeeds_once(
    workshop: Workshop, through: str
) -> None:
    every_5_hours = ScheduleSpec(clocks=[IntervalClock(interval_s=18_000)])
    (due,) = next_times(every_5_hours, datetime.now(UTC), 1)
    due_ms = int(due.at.timestamp() * 1000)
    ahead_ms = due_ms - time.time_ns() // 1_000_000
    workshop.write(TAXIFARE)
    if through == "a server":
        workshop.start_server(ahead_ms=ahead_ms - 60_000)
    workshop.register(WAGONWAB)
    before = LocalBackend(workshop.backend.address, clock=lambda: due_ms - 60_000)
    before.call(MaterialiseSchedules(ahead_s=3600))
    before.close()
    if through == "a server":
        workshop.start_server(ahead_ms=ahead_ms)

    first = workshop.start_worker("first", lease_s=2, ahead_ms=ahead_ms)
    workshop.wait_for_note("training")
    wait(lambda: finished_tasks(workshop) == {"eval_perf-1"})
    (pid,) = noted(workshop, "pid")
    first.kill()
    wait(lambda: not is_alive(int(pid)))
    workshop.start_worker("second", lease_s=2, ahead_ms=ahead_ms)
    workshop.allow("data")
    wait(lambda: workshop.backend.call(ListFlowRuns(states=[StateKind.SUCCESS])).flow_runs)

    runs = workshop.backend.call(ListFlowRuns()).flow_runs
    (run,) = [run for run in runs if run.scheduled_ms == due_ms]
    assert (run.state, run.is_automatic, run.worker) == (StateKind.SUCCESS, True, "second")
    assert noted(workshop, "evaluating") == [f"in {workshop.elsewhere}"]
    assert len(noted(workshop, "pid")) == 2
    printed = logged(workshop, run.flow_run_id, until="Past perf: 5.81, new perf: 4.46")
    assert [line.task_slug for line in printed] == ["notify-1"]
    wait(lambda: not list(workshop.temporary.glob("loopline-run-*")))


def test_a_killed_process_fails_its_run_with_the_reason(workshop: Workshop) -> None:
    workshop.register(
        """
        @task
        def train():
            print("allocating all there is")
            os.kill(os.getpid(), 9)

        with Flow("retrain") as flow:
            train()
        flow.register("wagoncab project")
        """
    )
    workshop.start_worker("only")
    run = workshop.wait_for_state(workshop.ask_for_run("retrain"), StateKind.FAILED)
    assert "ended by SIGKILL" in run.message
    (task,) = workshop.backend.call(ListTaskRuns(flow_run_id=run.flow_run_id))
    assert (task.state, task.attempt) == (StateKind.FAILED, 1)
    assert logged(workshop, run.flow_run_id, until="allocating all there is")


def test_a_cancelled_run_is_stopped_with_all_it_started(workshop: Workshop) -> None:
    workshop.register(WAITING)
    workshop.start_worker("only", lease_s=1)
    flow_run_id = workshop.ask_for_run("retrain")
    workshop.wait_for_note("training")
    (pid,) = noted(workshop, "child")
    workshop.backend.call(CancelFlowRun(flow_run_id=flow_run_id))
    workshop.wait_for_state(flow_run_id, StateKind.CANCELLED)
    assert not is_alive(int(pid))
    (task,) = workshop.backend.call(ListTaskRuns(flow_run_id=flow_run_id))
    assert task.state is StateKind.CANCELLED


@pytest.mark.deep
def test_a_thread_that_a_task_left_behind_holds_no_run_up(workshop: Workshop) -> None:
    workshop.register("""
    @task
    def train():
        threading.Thread(target=time.sleep, args=(600,)).start()

    with Flow("retrain") as flow:
        train()
    flow.register("wagoncab project")
""")
    workshop.start_worker("only")
    first, second = (workshop.ask_for_run("retrain") for _ in range(2))
    workshop.wait_for_state(first, StateKind.SUCCESS)
    workshop.wait_for_state(second, StateKind.SUCCESS)
    assert logged(
        workshop, first, until="A task left a thread running; it was ended with its process."
    )


def test_a_worker_told_to_stop_finishes_and_told_twice_hands_back(workshop: Workshop) -> None:
    workshop.register(WAITING)
    worker = workshop.start_worker("only")
    flow_run_id = workshop.ask_for_run("retrain")
    workshop.wait_for_note("training")
    worker.send_signal(signal.SIGTERM)
    wait(lambda: "interrupt again" in workshop.worker_log("only"))
    worker.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    assert worker.wait(30) == 0
    assert time.monotonic() - begun < 5
    run = workshop.wait_for_state(flow_run_id, StateKind.SCHEDULED)
    assert "handed back by only" in run.message

    after = workshop.start_worker("after")
    wait(lambda: workshop.notes().count("training") == 2)
    after.send_signal(signal.SIGINT)
    workshop.allow("data")
    assert after.wait(30) == 0
    workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)


def test_a_flow_that_cannot_be_loaded_fails_with_the_reason(workshop: Workshop) -> None:
    workshop.backend.call(
        RegisterFlow(
            project="wagoncab project",
            name="retrain",
            fingerprint="0",
            graph=FlowGraph(),
            code=FlowCode(kind="pickle", blob="0" * 64, python="2.7"),
        )
    )
    workshop.start_worker("only")
    run = workshop.wait_for_state(workshop.ask_for_run("retrain"), StateKind.FAILED)
    assert "registered by value from Python 2.7" in run.message


@pytest.mark.parametrize("log_stdout", [True, False])
def test_what_a_task_prints_is_in_the_log_once(workshop: Workshop, log_stdout: bool) -> None:  # noqa: FBT001
    workshop.register(
        f"""
        @task(log_stdout={log_stdout})
        def train():
            print("epoch 1 of 1")
            sys.stderr.write("a warning\\n")

        with Flow("retrain") as flow:
            train()
        flow.register("wagoncab project")
        """
    )
    workshop.start_worker("only")
    run = workshop.wait_for_state(workshop.ask_for_run("retrain"), StateKind.SUCCESS)
    (line,) = logged(workshop, run.flow_run_id, until="a warning")
    assert line.level == logging.WARNING
    (line,) = logged(workshop, run.flow_run_id, until="epoch 1 of 1")
    assert (line.level, line.task_slug) == (logging.INFO, "train-1")


def test_a_worker_makes_the_runs_that_schedules_ask_for(workshop: Workshop) -> None:
    workshop.register(
        """
        @task
        def train():
            note("training")

        with Flow("retrain") as flow:
            train()
        flow.schedule = IntervalSchedule(interval=datetime.timedelta(seconds=1))
        flow.register("wagoncab project")
        """
    )
    workshop.start_worker("only")
    wait(lambda: workshop.notes().count("training") >= 2)
    runs = workshop.backend.call(ListFlowRuns(states=[StateKind.SUCCESS, StateKind.RUNNING]))
    assert all(run.is_automatic and run.scheduled_ms % 1000 == 0 for run in runs.flow_runs)


RUN_CONFIG = """
    from loopline.run_configs import LocalRun

    @task
    def look():
        note(f"city {os.environ.get('CITY')}")
        note(f"folder {os.getcwd()}")

    with Flow("configured") as flow:
        look()
    flow.run_config = LocalRun(env={"CITY": "New York"}, working_dir=%r, labels=["taxi"])
    flow.register("wagoncab project", labels=["fares"])
"""


def test_a_run_config_says_variables_folder_and_labels_of_a_run(
    workshop: Workshop, tmp_path: Path
) -> None:
    told = workshop.register(RUN_CONFIG % str(tmp_path))
    assert "--label fares --label taxi" in told
    assert "Unchanged" in workshop.register(RUN_CONFIG % str(tmp_path))
    assert "version 2" in workshop.register(RUN_CONFIG % str(tmp_path.parent))
    workshop.register(RUN_CONFIG % str(tmp_path))
    run = workshop.ask_for_run("configured")

    workshop.start_worker("with labels", labels=("taxi", "fares"))
    workshop.wait_for_state(run, StateKind.SUCCESS)
    assert noted(workshop, "city") == ["New York"]
    assert noted(workshop, "folder") == [str(tmp_path)]
    assert "CITY" not in os.environ


def test_a_run_whose_folder_is_not_there_has_failed_and_says_so(workshop: Workshop) -> None:
    workshop.register(RUN_CONFIG % "/no/such/folder")
    run = workshop.ask_for_run("configured")
    workshop.start_worker("with labels", labels=("taxi", "fares"))
    ended = workshop.wait_for_state(run, StateKind.FAILED)
    assert "/no/such/folder" in ended.message
