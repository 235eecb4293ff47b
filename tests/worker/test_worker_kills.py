"""Workers killed at random moments: nothing that finished runs again (R8)."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.reliability.serving import ServerProcess
from tests.worker.workshop import wait

from loopline.errors import ConflictError
from loopline.flows.running.results import load_reference
from loopline.records.flows import StateKind
from loopline.records.operations import (
    GetFlowRun,
    ListFlowRunEvents,
    ListTaskRuns,
    RetryFlowRun,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worker.workshop import Workshop

TASKS = 100
#: 100 of them are the whole promise: LOOPLINE_KILL_TRIALS=100.
TRIALS = int(os.environ.get("LOOPLINE_KILL_TRIALS", "10"))

CHAIN = f"""
    @task
    def add(total):
        time.sleep(0.02)
        return total + 1

    with Flow("retrain") as flow:
        total = 0
        for _ in range({TASKS}):
            total = add(total)
    flow.register("wagoncab project")
"""


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(TRIALS))
def test_no_finished_task_runs_again_wherever_the_worker_is_killed(
    workshop: Workshop, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    workshop.register(CHAIN)
    flow_run_id = workshop.ask_for_run("retrain")
    hits = 0
    for life in range(3):
        worker = workshop.start_worker(f"worker-{life}", lease_s=1)
        before = finished(workshop, flow_run_id)
        wait(lambda before=before: finished(workshop, flow_run_id) > before)  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.4))
        worker.kill()
        hits += before < finished(workshop, flow_run_id) < TASKS
    workshop.start_worker("last", lease_s=1)
    workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)

    assert hits
    events = defaultdict(list)
    for event in workshop.backend.call(ListFlowRunEvents(flow_run_id=flow_run_id)):
        events[event.task_slug].append(event.state)
    del events[""]
    assert len(events) == TASKS
    for states in events.values():
        assert states.count(StateKind.SUCCESS) == 1
        assert states[-1] is StateKind.SUCCESS
    assert outcome(workshop, flow_run_id) == TASKS


MANY = """
    from loopline.executors import DaskExecutor, ProcessExecutor, ThreadExecutor

    @task
    def price(number):
        time.sleep(0.02)
        return number * 2

    @task
    def total(prices):
        return sum(prices)

    with Flow("retrain") as flow:
        total(price.map(list(range(99))))
    flow.executor = {executor}
    flow.register("wagoncab project")
"""
CLUSTER = "{'n_workers': 2, 'threads_per_worker': 1, 'dashboard_address': ':0'}"


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "executor",
    ["ThreadExecutor(4)", "ProcessExecutor(2)", f"DaskExecutor(cluster_kwargs={CLUSTER})"],
    ids=["threads", "processes", "Dask"],
)
def test_no_finished_task_runs_again_on_any_executor(
    workshop: Workshop, executor: str, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    workshop.register(MANY.format(executor=executor))
    flow_run_id = workshop.ask_for_run("retrain")
    worker = workshop.start_worker("first", lease_s=1)
    wait(lambda: finished(workshop, flow_run_id) > 0)
    time.sleep(chance.uniform(0.0, 0.3))
    worker.kill()
    before = finished(workshop, flow_run_id)
    workshop.start_worker("last", lease_s=1)
    workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)

    assert 0 < before < 100
    succeeded: dict[tuple[str, int], int] = defaultdict(int)
    for event in workshop.backend.call(ListFlowRunEvents(flow_run_id=flow_run_id)):
        if event.state is StateKind.SUCCESS and event.task_slug:
            succeeded[event.task_slug, event.map_index] += 1
    assert len(succeeded) == 100
    assert set(succeeded.values()) == {1}


NOTING_ITS_PROCESS = CHAIN.replace(
    "time.sleep(0.02)", '(HERE / "pid").write_text(str(os.getpid())); time.sleep(0.08)'
)


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(TRIALS // 2))
def test_no_finished_task_runs_again_whatever_is_killed_in_whichever_order(
    workshop: Workshop, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    home = tmp_path / "server"
    server = ServerProcess(str(workshop.home), home, LOOPLINE_HOME=str(home / ".loopline"))
    with server:
        workshop.uri = server.url
        workshop.register(NOTING_ITS_PROCESS)
        flow_run_id = workshop.ask_for_run("retrain")
        worker = workshop.start_worker("worker-0", lease_s=2)
        hits = 0
        for turn, victim in enumerate(chance.sample(["worker", "server", "process"], 3), start=1):
            before = finished(workshop, flow_run_id)
            wait_for_progress(workshop, flow_run_id)
            time.sleep(chance.uniform(0.0, 0.4))
            if victim == "worker":
                worker.kill()
                worker = workshop.start_worker(f"worker-{turn}", lease_s=2)
            elif victim == "server":
                server.kill()
                time.sleep(chance.uniform(0.0, 1.0))
                server.start()
            else:
                kill_process(workshop)
                goes_on_or_retry(workshop, flow_run_id)
            hits += before < finished(workshop, flow_run_id) < TASKS
        workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)

        assert hits
        succeeded: dict[str, int] = defaultdict(int)
        for event in workshop.backend.call(ListFlowRunEvents(flow_run_id=flow_run_id)):
            if event.state is StateKind.SUCCESS and event.task_slug:
                succeeded[event.task_slug] += 1
        assert len(succeeded) == TASKS
        assert set(succeeded.values()) == {1}
        assert outcome(workshop, flow_run_id) == TASKS


def wait_for_progress(workshop: Workshop, flow_run_id: str) -> None:
    before = finished(workshop, flow_run_id)
    wait(lambda: before < finished(workshop, flow_run_id) or before == TASKS)


def kill_process(workshop: Workshop) -> None:
    """Kill the process that ran the newest task, as soon as there is one that lives."""

    def is_killed() -> bool:
        try:
            os.kill(int((workshop.project / "pid").read_text()), signal.SIGKILL)
        except (ProcessLookupError, ValueError):  # A worker took it along; or it is being written.
            return False
        return True

    wait(is_killed)


def goes_on_or_retry(workshop: Workshop, flow_run_id: str) -> None:
    """Retry a run whose process was killed; that of a dead worker is taken over by itself."""
    before = finished(workshop, flow_run_id)

    def goes_on() -> bool:
        state = workshop.backend.call(GetFlowRun(flow_run_id=flow_run_id)).state
        if state is StateKind.FAILED:
            with suppress(ConflictError):  # It was lost, and has just been taken over.
                workshop.backend.call(RetryFlowRun(flow_run_id=flow_run_id))
        return finished(workshop, flow_run_id) > before or state is StateKind.SUCCESS

    wait(goes_on)


def outcome(workshop: Workshop, flow_run_id: str) -> object:
    """Read the result of the chain's last task."""
    tasks = workshop.backend.call(ListTaskRuns(flow_run_id=flow_run_id))
    (last,) = [task for task in tasks if task.task_slug == f"add-{TASKS}"]
    return load_reference(last.result, workshop.backend.open_blob)


def finished(workshop: Workshop, flow_run_id: str) -> int:
    tasks = workshop.backend.call(ListTaskRuns(flow_run_id=flow_run_id))
    return sum(task.state is StateKind.SUCCESS for task in tasks)
