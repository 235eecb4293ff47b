"""The Dask executor, on a real cluster of processes."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from tests.flows.recording import ListRecorder

from loopline.backend.recorder import get_tracking_uri
from loopline.executors import DaskExecutor
from loopline.flows import Flow, context, get_run_logger, task
from loopline.flows.engine import run_flow
from loopline.records.flows import StateKind
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

distributed = import_module("distributed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Give the address of a cluster that is there already."""
    make: Any = distributed.LocalCluster
    with make(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address


def test_tasks_run_on_the_cluster_and_tell_what_they_do(address: str) -> None:
    @task(log_stdout=True)
    def train(month: int) -> tuple[int, int]:
        print("training on month", month)
        get_run_logger().warning("few trips")
        return month * 10, os.getpid()

    @task
    def total(found: list[tuple[int, int]]) -> int:
        return sum(value for value, _ in found)

    recorder = ListRecorder()
    with Flow("months") as flow:
        trained = train.map([1, 2, 3])
        summed = total(trained)
    state = run_flow(flow, recorder=recorder, executor=DaskExecutor(address))
    assert state.result[summed].result == 60
    assert os.getpid() not in {pid for _, pid in state.result[trained].result}
    assert recorder.states("train-1", 0) == [StateKind.RUNNING, StateKind.SUCCESS]
    assert ("train-1", 20, "training on month 3") in recorder.lines()
    assert ("train-1", 30, "few trips") in recorder.lines()


def test_a_task_records_where_its_flow_does_whatever_its_worker_was_told(
    address: str, tmp_path: Path
) -> None:
    @task
    def train() -> str:
        os.environ["LOOPLINE_URI"] = "/somewhere/else"
        return str(get_tracking_uri())

    with Flow("months") as flow:
        months = [train() for _ in range(3)]
    recorder = ListRecorder()
    recorder.address = Address("home", str(tmp_path))
    state = run_flow(flow, recorder=recorder, executor=DaskExecutor(address))
    assert {state.result[month].result for month in months} == {str(tmp_path)}


def test_a_failing_task_is_tried_again_on_the_cluster(address: str) -> None:
    @task(max_retries=1)
    def shaky() -> int:
        if context.task_run_count == 1:
            raise OSError("connection reset")
        return int(context.task_run_count)

    with Flow("shaky") as flow:
        result = shaky()
    state = run_flow(flow, recorder=ListRecorder(), executor=DaskExecutor(address))
    assert state.result[result].result == 2


@pytest.mark.deep
def test_a_cluster_made_for_the_run_survives_the_death_of_a_worker() -> None:
    @task(max_retries=1)
    def die_once() -> int:
        if context.task_run_count == 1:
            os._exit(3)
        return int(context.task_run_count)

    @task
    def die() -> None:
        os._exit(3)

    recorder = ListRecorder()
    with Flow("die") as flow:
        survived, died = die_once(), die()
    executor = DaskExecutor(
        cluster_kwargs={"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    )
    state = run_flow(flow, recorder=recorder, executor=executor)
    assert state.result[survived].result == 2
    assert state.result[died].is_failed()
    assert "Dask worker" in state.result[died].message
