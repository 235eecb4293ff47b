"""The backlog: rows of a mapped flow go through it one by one, and little of it is made ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.recording import ListRecorder

from loopline.executors import LocalDaskExecutor, LocalExecutor
from loopline.flows import Flow, task
from loopline.flows.running.backlog import Backlog, depths
from loopline.flows.running.engine import run_flow
from loopline.records.facts import TaskRunState
from loopline.records.flows import FlowGraph, GraphEdge, GraphTask, StateKind
from loopline.rules.machine import StartTask

if TYPE_CHECKING:
    from loopline.flows.executors.base import Executor

DIAMOND = FlowGraph(
    tasks=[GraphTask(slug=slug, name=slug) for slug in ("report", "clean", "train", "read")],
    edges=[
        GraphEdge(upstream="read", downstream="clean"),
        GraphEdge(upstream="clean", downstream="train"),
        GraphEdge(upstream="read", downstream="report"),
        GraphEdge(upstream="train", downstream="report"),
    ],
)


@task
def fetch(month: int) -> int:
    return month


@task
def train(month: int) -> int:
    return month * 2


def test_the_longest_way_to_a_task_is_its_depth_whatever_the_order_of_the_tasks() -> None:
    assert depths(DIAMOND) == {"read": 0, "clean": 1, "train": 2, "report": 3}


def test_the_deepest_attempt_is_next_and_equal_ones_keep_their_order() -> None:
    backlog = Backlog(DIAMOND)
    for slug, index in [("read", 0), ("train", 0), ("read", 1), ("report", -1), ("train", 1)]:
        backlog.push(StartTask(slug, index))
    taken = []
    while backlog:
        command = backlog.pop()
        taken.append((command.slug, command.map_index))
    assert taken == [("report", -1), ("train", 0), ("train", 1), ("read", 0), ("read", 1)]


@pytest.mark.parametrize(
    "executor",
    [LocalExecutor(), LocalDaskExecutor(num_workers=2), LocalDaskExecutor("processes", 2)],
    ids=["here", "threads", "processes"],
)
def test_rows_are_through_the_flow_long_before_the_last_row_begins(executor: Executor) -> None:
    recorder = ListRecorder()
    with Flow("months") as flow:
        train.map(fetch.map(list(range(200))))
    assert run_flow(flow, recorder=recorder, executor=executor).is_successful()
    ended = [
        (fact.task_slug, fact.map_index)
        for fact in recorder.facts
        if isinstance(fact, TaskRunState) and fact.state is StateKind.SUCCESS
    ]
    last_fetched = max(ended.index(("fetch-1", index)) for index in range(200))
    assert sum(slug == "train-1" for slug, _ in ended[:last_fetched]) > 100
