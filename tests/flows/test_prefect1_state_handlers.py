"""State handlers of tasks and flows, as Prefect 1 has them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.flows.recording import ListRecorder

from loopline.errors import FlowBuildError
from loopline.executors import Executor, LocalDaskExecutor, LocalExecutor
from loopline.flows import Flow, Parameter, Task, signals, task
from loopline.flows.running.engine import run_flow
from loopline.flows.running.handlers import StateHandler, callback_factory
from loopline.flows.states import Failed, Paused, Retrying, Running, Skipped, State, Success
from loopline.records.flows import StateKind

EXECUTORS = [LocalExecutor(), LocalDaskExecutor(num_workers=2)]
EVERYWHERE = pytest.mark.parametrize("executor", EXECUTORS, ids=["local", "threads"])

Heard = list[tuple[str, str, str]]


@pytest.fixture
def recorder() -> ListRecorder:
    return ListRecorder()


@pytest.fixture
def heard() -> Heard:
    return []


class Nothing(Task):
    def run(self) -> None:
        """Do nothing."""


def listening(heard: Heard) -> StateHandler:
    def handler(tracked: Any, old: State, new: State) -> State:  # noqa: ANN401 - task or flow
        heard.append((tracked.name, old.kind.value, new.kind.value))
        return new

    return handler


def test_handlers_hear_of_every_change(recorder: ListRecorder, heard: Heard) -> None:
    handlers = [listening(heard)]
    calls: list[int] = []

    @task(state_handlers=handlers, max_retries=1)
    def flaky(_: list[int]) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError

    @task(state_handlers=handlers)
    def clean(month: int) -> int:
        return month

    @task(state_handlers=handlers)
    def loop() -> None:
        if len(heard) < 12:
            raise signals.LOOP

    with Flow("handlers", state_handlers=handlers) as flow:
        loop(upstream_tasks=[flaky(clean.map([1]))])
    assert run_flow(flow, recorder=recorder).is_successful()
    assert heard == [
        ("handlers", "Scheduled", "Running"),
        ("clean", "Pending", "Mapped"),
        ("clean", "Pending", "Running"),
        ("clean", "Running", "Success"),
        ("flaky", "Pending", "Running"),
        ("flaky", "Running", "Failed"),
        ("flaky", "Failed", "Retrying"),
        ("flaky", "Retrying", "Running"),
        ("flaky", "Running", "Success"),
        ("loop", "Pending", "Running"),
        ("loop", "Running", "Looped"),
        ("loop", "Pending", "Running"),
        ("loop", "Running", "Success"),
        ("handlers", "Running", "Success"),
    ]


def test_handlers_hear_of_tasks_that_do_not_run(recorder: ListRecorder, heard: Heard) -> None:
    handlers = [listening(heard)]

    @task
    def fail() -> None:
        raise ValueError

    @task
    def skip() -> None:
        raise signals.SKIP

    with Flow("not run") as flow:
        Nothing("failing", state_handlers=handlers)(upstream_tasks=[fail()])
        Nothing("skipping", state_handlers=handlers)(upstream_tasks=[skip()])
    run_flow(flow, recorder=recorder)
    assert sorted(heard) == [
        ("failing", "Pending", "TriggerFailed"), ("skipping", "Pending", "Skipped"),
    ]  # fmt: skip


def answering(on: type[State], answer: Any) -> StateHandler:  # noqa: ANN401 - see below
    """Answer with a state, raise an exception, or say nothing, for a kind of state."""

    def handler(_: object, __: State, new: State) -> State | None:
        if not isinstance(new, on):
            return new
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return] # a state or None

    return handler


@EVERYWHERE
@pytest.mark.parametrize(
    ("handler", "kind", "result", "runs"),
    [
        (answering(Failed, Success("fixed", 7)), StateKind.SUCCESS, 7, 1),
        (answering(Running, signals.SKIP("no need")), StateKind.SKIPPED, None, 0),
        (answering(Running, Success("known", 3)), StateKind.SUCCESS, 3, 0),
        (answering(Running, None), StateKind.FAILED, "ValueError()", 1),
        (answering(Failed, ZeroDivisionError("h")), StateKind.FAILED, "ZeroDivisionError('h')", 1),
        (answering(Failed, Running()), StateKind.FAILED, "<Running>", 1),
        (answering(Failed, Paused("look at it")), StateKind.PAUSED, None, 1),
    ],
    ids=["fixed", "signal", "known", "nothing", "raises", "no end", "paused"],
)
def test_a_handler_may_change_the_state(
    recorder: ListRecorder,
    executor: Executor,
    handler: StateHandler,
    kind: StateKind,
    result: object,
    runs: int,
) -> None:
    calls: list[int] = []

    @task(state_handlers=[handler])
    def fail() -> None:
        calls.append(1)
        raise ValueError

    with Flow("changed") as flow:
        failed = fail()
    state = run_flow(flow, recorder=recorder, executor=executor).result[failed]
    assert state.kind is kind
    assert (repr(state.result) if isinstance(result, str) else state.result) == result
    assert len(calls) == runs
    assert recorder.task_facts("fail-1")[-1].state is kind


def test_a_handler_may_have_a_task_run_again(recorder: ListRecorder) -> None:
    calls: list[int] = []

    def again(_: object, __: State, new: State) -> State:
        return Retrying("not yet") if new.is_successful() and len(calls) < 3 else new

    @task(state_handlers=[again])
    def poll() -> int:
        calls.append(1)
        return len(calls)

    with Flow("poll") as flow:
        polled = poll()
    assert run_flow(flow, recorder=recorder).result[polled].result == 3


def test_a_handler_may_rescue_a_task_whose_trigger_failed(recorder: ListRecorder) -> None:
    @task
    def fail() -> None:
        raise ValueError

    def rescue(_: object, __: State, new: State) -> State:
        return Success("as before", 41) if new.is_failed() else new

    @task
    def add(one: int) -> int:
        return one + 1

    with Flow("rescue") as flow:
        rescued = Nothing("rescued", state_handlers=[rescue])(upstream_tasks=[fail()])
        added = add(rescued)
    assert run_flow(flow, recorder=recorder).result[added].result == 42


@EVERYWHERE
def test_handlers_hear_of_a_task_that_was_late(
    recorder: ListRecorder, heard: Heard, executor: Executor
) -> None:
    @task(timeout=0.05, state_handlers=[listening(heard)])
    def sleep() -> None:
        for _ in range(100):
            time.sleep(0.01)

    with Flow("late") as flow:
        sleep()
    run_flow(flow, recorder=recorder, executor=executor)
    assert heard == [("sleep", "Pending", "Running"), ("sleep", "Running", "TimedOut")]


def test_on_failure_is_called_for_each_failed_attempt(recorder: ListRecorder) -> None:
    told: list[tuple[str, str]] = []

    def tell(tracked: Any, state: State) -> None:  # noqa: ANN401 - a task or a flow
        told.append((tracked.name, state.message))

    @task(max_retries=1, on_failure=tell)
    def fail() -> None:
        raise ValueError("no trips")

    with Flow("failing", on_failure=tell) as flow:
        fail()
    run_flow(flow, recorder=recorder)
    assert told == [
        ("fail", "ValueError: no trips"),
        ("fail", "ValueError: no trips"),
        ("failing", "1 task failed: fail-1."),
    ]


def test_callback_factory_calls_back_for_the_states_it_is_for(recorder: ListRecorder) -> None:
    told: list[State] = []
    handler = callback_factory(lambda _, state: told.append(state), check=State.is_finished)
    with Flow("done") as flow:
        Nothing("nothing", state_handlers=[handler])()
    run_flow(flow, recorder=recorder)
    assert told == [Success()]


def test_a_flows_handler_may_change_how_its_run_ends(recorder: ListRecorder) -> None:
    with Flow("judged", state_handlers=[answering(Success, Failed("not good enough"))]) as flow:
        done = Nothing("done")()
    state = run_flow(flow, recorder=recorder)
    assert (state.kind, state.message) == (StateKind.FAILED, "not good enough")
    assert state.result[done].is_successful()
    assert recorder.flow_facts()[-1].state is StateKind.FAILED


@pytest.mark.parametrize("answer", [Skipped("closed"), signals.SKIP("closed")])
def test_a_flows_handler_may_keep_it_from_running(recorder: ListRecorder, answer: object) -> None:
    with Flow("holiday", state_handlers=[answering(Running, answer)]) as flow:
        Parameter("month", default="2022-03")()
    state = run_flow(flow, recorder=recorder)
    assert (state.kind, state.message) == (StateKind.SKIPPED, "closed")
    assert [fact.state for fact in recorder.flow_facts()] == [StateKind.RUNNING, StateKind.SKIPPED]
    assert recorder.task_runs() == []


def test_handlers_are_given_as_a_list() -> None:
    with pytest.raises(FlowBuildError, match="must be a list"):
        Task("x", state_handlers=answering(Failed, None))  # type: ignore[arg-type]
