"""Signals, triggers, loops and pauses, as Prefect 1 has them."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.flows.recording import ListRecorder

from loopline.errors import InvalidInputError
from loopline.executors import Executor, LocalDaskExecutor, LocalExecutor
from loopline.flows import Flow, context, signals, states, task, triggers
from loopline.flows.debug import raise_on_exception
from loopline.flows.pausing import pause_task
from loopline.flows.running.engine import run_flow
from loopline.records.flows import StateKind

EXECUTORS = [
    LocalExecutor(), LocalDaskExecutor(num_workers=2), LocalDaskExecutor("processes", num_workers=1)
]  # fmt: skip
EVERYWHERE = pytest.mark.parametrize("executor", EXECUTORS, ids=["local", "threads", "processes"])


@pytest.fixture
def recorder() -> ListRecorder:
    return ListRecorder()


@task
def end(name: str) -> None:
    if name == "ENDRUN":
        raise signals.ENDRUN(states.Failed("ended", result=7))
    raise getattr(signals, name)("because", result=5)


@pytest.mark.parametrize(
    ("name", "kind", "result"),
    [
        ("SUCCESS", StateKind.SUCCESS, 5),
        ("SKIP", StateKind.SKIPPED, 5),
        ("FAIL", StateKind.FAILED, 5),
        ("TRIGGERFAIL", StateKind.TRIGGER_FAILED, 5),
        ("VALIDATIONFAIL", StateKind.VALIDATION_FAILED, 5),
        ("ENDRUN", StateKind.FAILED, 7),
    ],
)
@EVERYWHERE
def test_a_signal_ends_a_task_in_its_state(
    recorder: ListRecorder, executor: Executor, name: str, kind: StateKind, result: int
) -> None:
    with Flow("signals") as flow:
        ended = end(name)
    state = run_flow(flow, recorder=recorder, executor=executor).result[ended]
    assert (state.kind, state.result) == (kind, result)
    assert recorder.states("end-1") == [StateKind.RUNNING, kind]


def test_signals_and_states_belong_together() -> None:
    assert signals.signal_from_state(states.Failed()) is signals.FAIL
    assert signals.signal_from_state(states.Paused()) is signals.PAUSE
    with pytest.raises(InvalidInputError, match="ENDRUN"):
        signals.signal_from_state(states.Running())
    looped = signals.LOOP("again", 3, loop_count=2).state
    assert isinstance(looped, states.Looped)
    assert looped.loop_count == 2
    at = datetime(2022, 3, 1, tzinfo=UTC)
    copied = copy.deepcopy(signals.RETRY("later", start_time=at))
    assert copied.state.start_time == at
    assert copy.deepcopy(signals.ENDRUN(states.Success("x", 1))).state.result == 1


@task
def count_to(most: int) -> int:
    number = context.get("task_loop_count", 1)
    total = context.get("task_loop_result", 0) + number
    if number < most:
        raise signals.LOOP(f"round {number}", result=total)
    return int(total)


@EVERYWHERE
def test_loop_runs_a_task_again_with_what_it_came_to(
    recorder: ListRecorder, executor: Executor
) -> None:
    with Flow("loop") as flow:
        one, each = count_to(4), count_to.map([1, 2, 3])
    state = run_flow(flow, recorder=recorder, executor=executor)
    assert state.result[one].result == 10
    assert state.result[each].result == [1, 3, 6]
    assert recorder.states("count_to-1") == [
        *[StateKind.RUNNING, StateKind.LOOPED] * 3, StateKind.RUNNING, StateKind.SUCCESS
    ]  # fmt: skip


def test_each_round_has_all_retries(recorder: ListRecorder) -> None:
    tried: list[tuple[int, int]] = []

    @task(max_retries=1)
    def flaky() -> None:
        number = context.get("task_loop_count", 1)
        tried.append((number, context.task_run_count))
        if context.task_run_count == 1:
            raise ValueError("first try of a round")
        if number < 3:
            raise signals.LOOP

    with Flow("loop") as flow:
        ended = flaky()
    assert run_flow(flow, recorder=recorder).result[ended].is_successful()
    assert tried == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]


def test_another_holder_goes_on_in_the_round_that_was_running(recorder: ListRecorder) -> None:
    rounds: list[int] = []

    @task
    def train() -> int:
        number = context.get("task_loop_count", 1)
        rounds.append(number)
        if len(rounds) == 3:
            raise KeyboardInterrupt
        if number < 4:
            raise signals.LOOP(result=number * 10)
        return int(context.task_loop_result)

    with Flow("loop") as flow:
        trained = train()
    with pytest.raises(KeyboardInterrupt):
        run_flow(flow, recorder=recorder)
    (looped,) = [run for run in recorder.task_runs() if run.task_slug == "train-1"]
    looped = recorder.looped(looped)
    state = run_flow(flow, recorder=recorder, initial=[looped])
    assert rounds == [1, 2, 3, 3, 4]
    assert state.result[trained].result == 30


# --- pauses --------------------------------------------------------------------------------------


@task
def train() -> str:
    return "model"


@task(trigger=triggers.manual_only)
def promote(model: str) -> str:
    return f"{model} in production"


def approval() -> Flow:
    with Flow("approval") as flow:
        promote(train())
    return flow


def test_a_task_with_manual_only_waits_until_somebody_says_yes(recorder: ListRecorder) -> None:
    flow = approval()
    asked: list[str] = []

    def yes(name: str) -> bool:
        asked.append(name)
        return True

    state = run_flow(flow, recorder=recorder, may_resume=yes)
    assert asked == ["promote-1"]
    assert state.is_successful()
    assert recorder.states("promote-1") == [
        StateKind.PAUSED, StateKind.RESUME, StateKind.RUNNING, StateKind.SUCCESS
    ]  # fmt: skip


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_nobody_resumes_is_paused_and_goes_on_from_there(
    recorder: ListRecorder, *, resume: bool
) -> None:
    flow = approval()
    state = run_flow(flow, recorder=recorder)
    assert (state.kind, state.message) == (
        StateKind.PAUSED, "Waits for promote-1 to be resumed.",
    )  # fmt: skip
    assert recorder.flow_facts()[-1].state is StateKind.PAUSED
    initial = recorder.task_runs()
    if resume:
        initial = recorder.resumed(initial)
    state = run_flow(flow, recorder=recorder, initial=initial)
    assert state.is_successful() is resume
    assert recorder.states("train-1") == [StateKind.RUNNING, StateKind.SUCCESS]


@EVERYWHERE
def test_pause_task_waits_in_the_middle_of_a_task(
    recorder: ListRecorder, executor: Executor
) -> None:
    @task
    def deploy() -> str:
        pause_task("Is it good enough?")
        return "deployed"

    with Flow("deploy") as flow:
        deployed = deploy()
    state = run_flow(flow, recorder=recorder, executor=executor, may_resume=lambda _: True)
    assert state.result[deployed].result == "deployed"
    assert recorder.task_facts("deploy-1")[1].message == "Is it good enough?"


def test_a_pause_can_end_by_itself(recorder: ListRecorder) -> None:
    @task
    def deploy() -> str:
        if not context.get("resume"):
            raise signals.PAUSE("a moment", after=timedelta(milliseconds=20))
        return "deployed"

    with Flow("deploy") as flow:
        deployed = deploy()
    assert run_flow(flow, recorder=recorder).result[deployed].result == "deployed"


def test_what_a_paused_task_does_not_hold_up_goes_on(recorder: ListRecorder) -> None:
    with Flow("approval") as flow:
        model = train()
        promoted = promote(model)
        told = train(upstream_tasks=[model])
    state = run_flow(flow, recorder=recorder)
    assert state.result[told].is_successful()
    assert state.result[promoted].kind is StateKind.PAUSED


# --- triggers ------------------------------------------------------------------------------------


@task
def part(fails: str) -> None:
    if fails == "fail":
        raise ValueError(fails)
    if fails == "skip":
        raise signals.SKIP


@pytest.mark.parametrize(
    ("trigger", "ends", "expected"),
    [
        (triggers.some_successful(at_least=2), "ok ok fail", StateKind.SUCCESS),
        (triggers.some_successful(at_least=3), "ok ok fail", StateKind.TRIGGER_FAILED),
        (triggers.some_successful(at_least=0.5), "ok fail", StateKind.SUCCESS),
        (triggers.some_successful(at_least=0.6), "ok fail", StateKind.TRIGGER_FAILED),
        (triggers.some_successful(at_most=1), "ok ok fail", StateKind.TRIGGER_FAILED),
        (triggers.some_failed(at_least=1, at_most=2), "ok fail fail", StateKind.SUCCESS),
        (triggers.some_failed(at_most=0.5), "fail fail ok", StateKind.TRIGGER_FAILED),
        (triggers.some_failed(at_least=1), "ok ok", StateKind.TRIGGER_FAILED),
        (triggers.not_all_skipped, "ok skip", StateKind.SUCCESS),
        (triggers.not_all_skipped, "skip skip", StateKind.SKIPPED),
        (triggers.not_all_skipped, "ok fail", StateKind.TRIGGER_FAILED),
        (triggers.always_run, "fail fail", StateKind.SUCCESS),
        (triggers.any_failed, "fail ok", StateKind.SUCCESS),
        (triggers.all_failed, "fail fail", StateKind.SUCCESS),
        (triggers.any_successful, "fail ok", StateKind.SUCCESS),
    ],
)
def test_triggers_decide_by_how_the_tasks_before_ended(
    recorder: ListRecorder, trigger: Any, ends: str, expected: StateKind  # noqa: ANN401
) -> None:  # fmt: skip
    @task(trigger=trigger, skip_on_upstream_skip=False)
    def after() -> None:
        pass

    with Flow("triggers") as flow:
        last = after(upstream_tasks=[part(each) for each in ends.split()])
    assert run_flow(flow, recorder=recorder).result[last].kind is expected


def test_an_own_trigger_is_asked_of_a_task_with_nothing_before_it(recorder: ListRecorder) -> None:
    def never(upstream_states: dict[Any, states.State]) -> bool:
        return bool(upstream_states)

    @task(trigger=never)
    def first() -> None:
        pass

    with Flow("first") as flow:
        only = first()
    assert run_flow(flow, recorder=recorder).result[only].kind is StateKind.TRIGGER_FAILED


# --- retries -------------------------------------------------------------------------------------


def test_retries_back_off_by_a_list_or_a_function_and_jitter(recorder: ListRecorder) -> None:
    @task(retry_delay=[0.001, timedelta(milliseconds=2)], retry_jitter=0.5)
    def listed() -> None:
        raise ValueError

    @task(max_retries=3, retry_delay=lambda number: 0.001 * 2**number)
    def doubled() -> None:
        raise ValueError

    assert listed.retry_delays_s == [0.001, 0.002]
    assert doubled.retry_delays_s == [0.002, 0.004, 0.008]
    with Flow("retries") as flow:
        listed(), doubled()
    run_flow(flow, recorder=recorder)
    assert recorder.states("listed-1").count(StateKind.RUNNING) == 3
    assert recorder.states("doubled-1").count(StateKind.RUNNING) == 4


def test_raise_on_exception_lets_a_tasks_exception_out(recorder: ListRecorder) -> None:
    with Flow("debug") as flow:
        part("fail")
    with raise_on_exception(), pytest.raises(ValueError, match="fail"):
        run_flow(flow, recorder=recorder)
    assert recorder.flow_facts()[-1].state is StateKind.FAILED
