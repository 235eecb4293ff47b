"""Workers killed at random moments: nothing that finished runs again (R8)."""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import wait

from loopline.records.flows import StateKind
from loopline.records.operations import ListFlowRunEvents, ListTaskRuns

if TYPE_CHECKING:
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


def finished(workshop: Workshop, flow_run_id: str) -> int:
    tasks = workshop.backend.call(ListTaskRuns(flow_run_id=flow_run_id))
    return sum(task.state is StateKind.SUCCESS for task in tasks)
