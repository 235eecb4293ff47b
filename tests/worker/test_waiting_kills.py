"""Workers killed while a task waits for a time: another one waits on, and goes on at that time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import wait

from loopline.records.flows import StateKind
from loopline.records.operations import ListFlowRunEvents, ListTaskRuns

if TYPE_CHECKING:
    from tests.worker.workshop import Workshop

    from loopline.records.flows import TaskRun

WAITING = """
    from loopline import context
    from loopline.flows.signals import PAUSE

    @task
    def extract():
        note("extract")
        return 4.46

    @task
    def publish(rmse):
        if not context.get("resume"):
            raise PAUSE("not before the morning", after=datetime.timedelta(seconds=6))
        note("publish")
        return rmse

    @task(max_retries=1, retry_delay=datetime.timedelta(seconds=6))
    def fetch(rmse):
        if context.task_run_count == 1:
            raise ValueError("the source is down")
        note("fetch")

    with Flow("retrain") as flow:
        rmse = extract()
        publish(rmse)
        fetch(rmse)
    flow.executor = LocalDaskExecutor(num_workers=2)
    flow.register("wagoncab project")
"""


@pytest.mark.deep
def test_what_waits_for_a_time_goes_on_then_whoever_was_killed(workshop: Workshop) -> None:
    workshop.register(WAITING)
    flow_run_id = workshop.ask_for_run("retrain")

    def tasks() -> dict[str, TaskRun]:
        runs = workshop.backend.call(ListTaskRuns(flow_run_id=flow_run_id))
        return {run.task_slug: run for run in runs}

    def waiting() -> dict[str, TaskRun] | None:
        found = {slug: run for slug, run in tasks().items() if run.until_ms}
        return found if len(found) == 2 else None

    first = workshop.start_worker("first", lease_s=1)
    before = wait(waiting)
    first.kill()
    assert (before["publish-1"].state, before["fetch-1"].state) == (
        StateKind.PAUSED,
        StateKind.RETRYING,
    )

    workshop.start_worker("second", lease_s=1)
    run = workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
    assert (run.worker, run.token) == ("second", 2)
    assert sorted((workshop.project / "notes").read_text().split()) == [
        "extract", "fetch", "publish",
    ]  # fmt: skip
    began = {
        event.task_slug: event.at_ms
        for event in workshop.backend.call(ListFlowRunEvents(flow_run_id=flow_run_id))
        if event.state is StateKind.RUNNING
    }
    for slug, earlier in before.items():
        assert began[slug] >= earlier.until_ms
        assert tasks()[slug].until_ms == 0
        assert tasks()[slug].attempt == 2
