"""Workers killed at random moments: nothing that finished runs again (R8)."""

from __future__ import annotations

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

TASKS = 60

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
@pytest.mark.parametrize("seed", range(10))
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


def finished(workshop: Workshop, flow_run_id: str) -> int:
    tasks = workshop.backend.call(ListTaskRuns(flow_run_id=flow_run_id))
    return sum(task.state is StateKind.SUCCESS for task in tasks)
