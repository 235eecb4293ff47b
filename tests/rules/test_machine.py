"""The flow machine, by example."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest

from loopline.errors import FlowBuildError
from loopline.records.flows import FlowGraph, GraphEdge, GraphTask, StateKind, TaskRun
from loopline.rules.machine import (
    AskTrigger,
    AwaitResume,
    CancelRun,
    EnterState,
    Expanded,
    ExpandTask,
    FinishRun,
    Machine,
    StartTask,
    TaskEnded,
    TriggerAnswered,
)

PREPARE_THEN_TRAIN = FlowGraph(
    tasks=[
        GraphTask(slug="prepare", name="prepare"),
        GraphTask(slug="train", name="train", retry_delays_s=[30.0]),
    ],
    edges=[GraphEdge(upstream="prepare", downstream="train", key="trips")],
)

TRAIN_EACH_MONTH = FlowGraph(
    tasks=[
        GraphTask(slug="months", name="months"),
        GraphTask(slug="clean", name="clean", is_mapped=True),
        GraphTask(slug="train", name="train", is_mapped=True),
        GraphTask(slug="compare", name="compare"),
    ],
    edges=[
        GraphEdge(upstream="months", downstream="clean", key="month", is_mapped=True),
        GraphEdge(upstream="clean", downstream="train", key="trips", is_mapped=True),
        GraphEdge(upstream="train", downstream="compare", key="models"),
    ],
)


def trigger_graph(trigger: str) -> FlowGraph:
    return FlowGraph(
        tasks=[
            GraphTask(slug="evaluate", name="evaluate"),
            GraphTask(slug="train", name="train"),
            GraphTask(slug="notify", name="notify", trigger=trigger),
        ],
        edges=[
            GraphEdge(upstream="evaluate", downstream="notify"),
            GraphEdge(upstream="train", downstream="notify"),
        ],
    )


def test_a_task_starts_once_the_tasks_before_it_have_finished() -> None:
    machine = Machine(PREPARE_THEN_TRAIN)
    assert machine.begin() == [StartTask("prepare")]
    assert machine.advance(TaskEnded("prepare")) == [
        EnterState("prepare", state=StateKind.SUCCESS, attempt=1),
        StartTask("train"),
    ]


def test_a_failed_task_waits_its_delay_and_then_gives_up() -> None:
    machine = Machine(PREPARE_THEN_TRAIN)
    machine.begin()
    machine.advance(TaskEnded("prepare"))

    first = machine.advance(TaskEnded("train", state=StateKind.FAILED, message="no memory"))
    assert first == [
        EnterState("train", -1, StateKind.RETRYING, "no memory", 1, after_s=30.0),
        StartTask("train", attempt=2, after_s=30.0),
    ]

    second = machine.advance(TaskEnded("train", state=StateKind.FAILED, message="no memory"))
    assert second == [
        EnterState("train", state=StateKind.FAILED, message="no memory", attempt=2),
        FinishRun(StateKind.FAILED, "1 task failed: train."),
    ]


def test_a_failure_that_is_final_is_not_retried() -> None:
    machine = Machine(PREPARE_THEN_TRAIN)
    machine.begin()
    machine.advance(TaskEnded("prepare"))
    machine.advance(TaskEnded("train", state=StateKind.FAILED, final=True))
    assert machine.state("train") is StateKind.FAILED


def test_a_task_may_ask_to_be_tried_again_without_having_retries() -> None:
    machine = Machine(PREPARE_THEN_TRAIN)
    machine.begin()
    commands = machine.advance(TaskEnded("prepare", state=StateKind.RETRYING, retry_after_s=5.0))
    assert commands[-1] == StartTask("prepare", attempt=2, after_s=5.0)


@pytest.mark.parametrize(
    ("trigger", "evaluate", "train", "runs"),
    [
        ("all_successful", StateKind.SUCCESS, StateKind.SUCCESS, True),
        ("all_successful", StateKind.SUCCESS, StateKind.FAILED, False),
        ("all_failed", StateKind.FAILED, StateKind.TIMED_OUT, True),
        ("all_failed", StateKind.FAILED, StateKind.SUCCESS, False),
        ("any_successful", StateKind.FAILED, StateKind.SUCCESS, True),
        ("any_successful", StateKind.FAILED, StateKind.FAILED, False),
        ("any_failed", StateKind.FAILED, StateKind.SUCCESS, True),
        ("any_failed", StateKind.SUCCESS, StateKind.SUCCESS, False),
        ("all_finished", StateKind.FAILED, StateKind.FAILED, True),
    ],
)
def test_a_trigger_looks_at_how_the_tasks_before_ended(
    trigger: str, evaluate: StateKind, train: StateKind, *, runs: bool
) -> None:
    machine = Machine(trigger_graph(trigger))
    machine.begin()
    machine.advance(TaskEnded("evaluate", state=evaluate))
    commands = machine.advance(TaskEnded("train", state=train))
    assert (StartTask("notify") in commands) is runs
    assert (machine.state("notify") is StateKind.TRIGGER_FAILED) is not runs


def test_a_trigger_of_the_users_own_is_asked_for() -> None:
    machine = Machine(trigger_graph("on_workdays"))
    machine.begin()
    machine.advance(TaskEnded("evaluate"))
    assert machine.advance(TaskEnded("train"))[-1] == AskTrigger("notify")
    assert machine.advance(TriggerAnswered("notify")) == [StartTask("notify")]


def test_a_trigger_that_says_no_ends_the_task() -> None:
    machine = Machine(trigger_graph("on_workdays"))
    machine.begin()
    machine.advance(TaskEnded("evaluate"))
    machine.advance(TaskEnded("train"))
    commands = machine.advance(TriggerAnswered("notify", state=StateKind.SKIPPED, message="Sunday"))
    assert commands == [
        EnterState("notify", state=StateKind.SKIPPED, message="Sunday"),
        FinishRun(StateKind.SUCCESS, "3 tasks finished."),
    ]


def test_what_comes_after_a_skipped_task_is_skipped_unless_it_says_otherwise() -> None:
    graph = FlowGraph(
        tasks=[
            GraphTask(slug="check", name="check"),
            GraphTask(slug="train", name="train"),
            GraphTask(slug="notify", name="notify", skip_on_upstream_skip=False),
        ],
        edges=[
            GraphEdge(upstream="check", downstream="train"),
            GraphEdge(upstream="train", downstream="notify"),
        ],
    )
    machine = Machine(graph)
    machine.begin()
    commands = machine.advance(TaskEnded("check", state=StateKind.SKIPPED))
    assert machine.state("train") is StateKind.SKIPPED
    assert commands[-1] == StartTask("notify")


def test_a_row_of_mapped_tasks_goes_ahead_of_the_others() -> None:
    machine = Machine(TRAIN_EACH_MONTH)
    machine.begin()
    assert machine.advance(TaskEnded("months"))[-1] == ExpandTask("clean")
    commands = machine.advance(Expanded("clean", width=2))
    assert commands[1:] == [StartTask("clean", 0), StartTask("clean", 1), ExpandTask("train")]
    machine.advance(Expanded("train", width=2))

    assert machine.advance(TaskEnded("clean", 1))[-1] == StartTask("train", 1)


def test_a_failed_child_stops_only_its_own_row_and_what_needs_them_all() -> None:
    machine = Machine(TRAIN_EACH_MONTH)
    machine.begin()
    machine.advance(TaskEnded("months"))
    machine.advance(Expanded("clean", width=2))
    machine.advance(Expanded("train", width=2))
    machine.advance(TaskEnded("clean", 0, state=StateKind.FAILED))
    machine.advance(TaskEnded("clean", 1))
    commands = machine.advance(TaskEnded("train", 1))
    assert machine.state("train", 0) is StateKind.TRIGGER_FAILED
    assert machine.state("train", 1) is StateKind.SUCCESS
    assert machine.state("compare") is StateKind.TRIGGER_FAILED
    assert commands[-1] == FinishRun(StateKind.FAILED, "1 task failed: clean[0].")


def test_mapping_over_nothing_is_done_at_once() -> None:
    machine = Machine(TRAIN_EACH_MONTH)
    machine.begin()
    machine.advance(TaskEnded("months"))
    machine.advance(Expanded("clean", width=0))
    assert machine.advance(Expanded("train", width=0))[-1] == StartTask("compare")


def test_an_outcome_that_comes_too_late_changes_nothing() -> None:
    machine = Machine(PREPARE_THEN_TRAIN)
    machine.begin()
    machine.advance(TaskEnded("prepare", state=StateKind.TIMED_OUT))
    assert machine.advance(TaskEnded("prepare")) == []
    assert machine.state("prepare") is StateKind.TIMED_OUT


def test_cancelling_ends_everything_that_has_not_finished() -> None:
    machine = Machine(PREPARE_THEN_TRAIN)
    machine.begin()
    machine.advance(TaskEnded("prepare"))
    assert machine.advance(CancelRun("by Ada")) == [
        EnterState("train", state=StateKind.CANCELLED, message="by Ada", attempt=1),
        FinishRun(StateKind.CANCELLED, "by Ada"),
    ]


def test_reference_tasks_decide_how_the_run_ended() -> None:
    graph = FlowGraph(
        tasks=PREPARE_THEN_TRAIN.tasks,
        edges=PREPARE_THEN_TRAIN.edges,
        reference_tasks=["prepare"],
    )
    machine = Machine(graph)
    machine.begin()
    machine.advance(TaskEnded("prepare"))
    commands = machine.advance(TaskEnded("train", state=StateKind.FAILED, final=True))
    assert commands[-1] == FinishRun(StateKind.SUCCESS, "2 tasks finished.")


def test_what_an_earlier_worker_finished_is_not_started_again() -> None:
    done = TaskRun(flow_run_id="f", task_slug="prepare", state=StateKind.SUCCESS, attempt=1)
    died = TaskRun(flow_run_id="f", task_slug="train", state=StateKind.RUNNING, attempt=1)
    assert Machine(PREPARE_THEN_TRAIN, [done, died]).begin() == [StartTask("train", attempt=2)]


def test_a_task_in_which_worker_after_worker_dies_is_given_up() -> None:
    done = TaskRun(flow_run_id="f", task_slug="prepare", state=StateKind.SUCCESS, attempt=1)
    died = TaskRun(flow_run_id="f", task_slug="train", state=StateKind.RUNNING, attempt=4)
    commands = Machine(PREPARE_THEN_TRAIN, [done, died]).begin()
    assert commands[-1] == FinishRun(StateKind.FAILED, "1 task failed: train.")


def test_an_edge_from_nowhere_is_refused() -> None:
    graph = FlowGraph(
        tasks=[GraphTask(slug="train", name="train")],
        edges=[GraphEdge(upstream="prepare", downstream="train")],
    )
    with pytest.raises(FlowBuildError, match="'prepare'"):
        Machine(graph)


def calls_per_task(length: int) -> float:
    """Count the function calls that a chain of this length costs, for each task."""
    slugs = [f"step-{number}" for number in range(length)]
    machine = Machine(
        FlowGraph(
            tasks=[GraphTask(slug=slug, name="step") for slug in slugs],
            edges=[GraphEdge(upstream=one, downstream=other) for one, other in pairwise(slugs)],
        )
    )
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    machine.begin()
    sys.setprofile(count)
    for slug in slugs[:-1]:  # The last one also sums up the run, once.
        machine.advance(TaskEnded(slug))
    sys.setprofile(None)
    return calls / length


def test_a_task_costs_no_more_in_a_large_flow_than_in_a_small_one() -> None:
    assert calls_per_task(3_000) <= calls_per_task(100) * 1.02


def test_a_failure_at_the_head_of_a_long_chain_ends_it_whole() -> None:
    slugs = [f"step-{number}" for number in range(5_000)]
    machine = Machine(
        FlowGraph(
            tasks=[GraphTask(slug=slug, name="step") for slug in slugs],
            edges=[GraphEdge(upstream=one, downstream=other) for one, other in pairwise(slugs)],
        )
    )
    machine.begin()
    commands = machine.advance(TaskEnded(slugs[0], state=StateKind.FAILED))
    assert commands[-1] == FinishRun(StateKind.FAILED, "1 task failed: step-0.")
    assert machine.state(slugs[-1]) is StateKind.TRIGGER_FAILED


def test_what_waits_for_a_time_waits_on_with_whoever_takes_over() -> None:
    graph = FlowGraph(
        tasks=[GraphTask(slug=slug, name=slug) for slug in ("approve", "publish", "fetch")]
    )
    paused = [
        TaskRun(flow_run_id="", task_slug=slug, state=StateKind.PAUSED, attempt=1)
        for slug in ("approve", "publish")
    ]
    trying = TaskRun(flow_run_id="", task_slug="fetch", state=StateKind.RETRYING, attempt=2)
    machine = Machine(graph, [*paused, trying], {("publish", -1): 60.0, ("fetch", -1): 0.0})
    assert machine.begin() == [
        StartTask("publish", -1, 2, 60.0, is_resumed=True),
        StartTask("fetch", -1, 3),
    ]
    assert machine.advance(TaskEnded("fetch")) == [EnterState("fetch", attempt=3)]
    ends = machine.advance(TaskEnded("publish"))
    assert ends == [EnterState("publish", attempt=2), AwaitResume([("approve", -1)])]
