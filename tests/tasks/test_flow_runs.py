"""Flows that start, await, read and cancel runs of other flows, which a real worker runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import Workshop

import loopline
from loopline import Flow, context, signals, task
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.flows import StateKind
from loopline.records.operations import GetFlowRun, GetLogs, ListFlowRuns
from loopline.tasks import (
    CancelFlowRun,
    RenameFlowRun,
    StartFlowRun,
    create_flow_run,
    get_task_run_result,
    wait_for_flow_run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECT = "wagoncab project"

CHILD = """
@task
def train(month, fails):
    print("training on", month)
    if fails:
        raise ValueError("no trips in " + month)
    return {"month": month, "rmse": 3.9}

@task
def double(number):
    return 2 * number

from loopline.flows.parameter import Parameter
with Flow("train") as flow:
    train(Parameter("month", default="2022-01"), Parameter("fails", default=False))
    double.map([1, 2])
flow.register("wagoncab project", no_url=True)
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    close_recorders()
    workshop = Workshop(tmp_path)
    workshop.register(CHILD)
    loopline.set_tracking_uri(workshop.home)
    yield workshop
    workshop.close()


@pytest.fixture
def working(workshop: Workshop) -> Workshop:
    workshop.start_worker("worker")
    return workshop


def test_a_flow_starts_another_waits_for_it_and_uses_its_results(working: Workshop) -> None:
    with Flow("parent") as flow:
        child = create_flow_run(
            flow_name="train", project_name=PROJECT, parameters={"month": "2022-02"}
        )
        ended = wait_for_flow_run(child, stream_logs=True)
        trained = get_task_run_result(child, "train-1", upstream_tasks=[ended])
        doubled = get_task_run_result(child, "double-1", upstream_tasks=[ended])
        second = get_task_run_result(child, "double-1", 1, upstream_tasks=[ended])
    state = flow.run()
    assert state.is_successful(), state.message
    assert state.result[ended].result.state is StateKind.SUCCESS
    assert state.result[trained].result == {"month": "2022-02", "rmse": 3.9}
    assert state.result[doubled].result == [2, 4]
    assert state.result[second].result == 4
    recorder = get_recorder()
    recorder.flush()
    (parent,) = recorder.backend.call(ListFlowRuns(flow_name="parent")).flow_runs
    lines = recorder.backend.call(GetLogs(flow_run_id=parent.flow_run_id))
    said = "\n".join(line.message for line in lines)
    assert "training on 2022-02" in said
    assert "train-1 is Success" in said
    del working


def test_a_flow_run_that_fails_may_fail_the_task_that_waits(working: Workshop) -> None:
    wrong = {"fails": True}
    with Flow("parent") as flow:
        child = create_flow_run(flow_name="train", parameters=wrong)
        told = wait_for_flow_run(child)
        raised = wait_for_flow_run(child, raise_final_state=True)
    state = flow.run()
    assert state.result[told].result.state is StateKind.FAILED
    assert state.result[raised].is_failed()
    with pytest.raises(NotFoundError, match="No result of 'train-1' was kept"):
        get_task_run_result.run(state.result[child].result, "train-1")
    starts = StartFlowRun("train", PROJECT, wrong, wait=True)
    assert starts.name == "Flow train"
    with pytest.raises(signals.FAIL, match="ended as Failed"):
        starts.run()
    with pytest.raises(signals.SUCCESS):
        starts.run(parameters={})
    del working


def test_an_attempt_after_a_failed_one_makes_no_second_flow_run(workshop: Workshop) -> None:
    @task(max_retries=1, retry_delay=0)
    def start() -> str:
        made: str = create_flow_run.run(flow_name="train")
        if context.task_run_count == 1:
            msg = "the answer was lost"
            raise ConnectionError(msg)
        return made

    with Flow("parent") as flow:
        child = start()
    state = flow.run()
    runs = workshop.backend.call(ListFlowRuns(flow_name="train")).flow_runs
    assert [run.flow_run_id for run in runs] == [state.result[child].result]


def test_a_flow_run_may_be_due_later_and_have_a_name(workshop: Workshop) -> None:
    flow_run_id = create_flow_run.run(
        flow_name="train", run_name="nightly", scheduled_start_time=timedelta(hours=1)
    )
    run = workshop.backend.call(GetFlowRun(flow_run_id=flow_run_id))
    later = datetime.fromtimestamp(run.scheduled_ms / 1000, UTC) - datetime.now(UTC)
    assert timedelta(minutes=58) < later < timedelta(minutes=61)
    assert run.name == "nightly"
    exactly = datetime(2030, 1, 1, tzinfo=UTC)
    flow_run_id = create_flow_run.run(flow_id=run.flow_version_id, scheduled_start_time=exactly)
    run = workshop.backend.call(GetFlowRun(flow_run_id=flow_run_id))
    assert run.scheduled_ms == exactly.timestamp() * 1000


def test_patience_with_a_flow_run_ends(workshop: Workshop) -> None:
    flow_run_id = create_flow_run.run(flow_name="train")
    with pytest.raises(signals.FAIL, match="has not ended in 0:00:00"):
        wait_for_flow_run.run(flow_run_id, max_duration=timedelta(seconds=0.3))
    assert CancelFlowRun(flow_run_id).run()
    assert not CancelFlowRun().run(flow_run_id)
    assert workshop.backend.call(GetFlowRun(flow_run_id=flow_run_id)).state is StateKind.CANCELLED


def test_what_is_not_there_or_not_said_is_an_error(workshop: Workshop) -> None:
    with pytest.raises(NotFoundError, match="No flow is called 'trian'"):
        create_flow_run.run(flow_name="trian")
    with pytest.raises(InvalidInputError, match="flow_id or flow_name"):
        create_flow_run.run()
    with pytest.raises(InvalidInputError, match="the task's slug"):
        get_task_run_result.run("some run", "")
    workshop.register(CHILD.replace("wagoncab project", "another"))
    with pytest.raises(InvalidInputError, match="another, wagoncab project"):
        create_flow_run.run(flow_name="train")
    with pytest.raises(TypeError, match="needs flow_name"):
        StartFlowRun().run()
    with pytest.raises(TypeError, match="where the task is called"):
        StartFlowRun(parameters={"month": create_flow_run})


def test_a_task_cannot_wait_for_its_own_flow_run() -> None:
    with Flow("parent") as flow:

        @task
        def me() -> str:
            return str(context.flow_run_id)

        result = get_task_run_result(me(), "me-1")
    assert "this very flow run" in flow.run().result[result].message


def test_a_flow_run_gets_another_name(workshop: Workshop) -> None:
    flow_run_id = create_flow_run.run(flow_name="train")
    assert RenameFlowRun(flow_run_name="nightly").run(flow_run_id)
    assert workshop.backend.call(GetFlowRun(flow_run_id=flow_run_id)).name == "nightly"
    with pytest.raises(TypeError, match="needs flow_run_name"):
        RenameFlowRun(flow_run_id).run()
    with pytest.raises(TypeError, match="needs flow_run_id"):
        RenameFlowRun(flow_run_name="nightly").run()


def test_a_flow_run_may_ask_for_other_workers(working: Workshop) -> None:
    flow_run_id = create_flow_run.run(flow_name="train", labels=["gpu"])
    run = working.backend.call(GetFlowRun(flow_run_id=flow_run_id))
    assert run.labels == ["gpu"]
