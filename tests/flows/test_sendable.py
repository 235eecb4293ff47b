"""Flows whose tasks cannot be sent are refused before anything runs, with what is in the way."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.flows.recording import ListRecorder

from loopline.errors import FlowBuildError
from loopline.executors import DaskExecutor, LocalDaskExecutor, ProcessExecutor, ThreadExecutor
from loopline.flows import Flow, Task, task
from loopline.flows.running.engine import run_flow

if TYPE_CHECKING:
    from loopline.flows.executors.base import Executor

APART = pytest.mark.parametrize(
    "executor",
    [ProcessExecutor(), LocalDaskExecutor("multiprocessing"), DaskExecutor("tcp://127.0.0.1:9")],
    ids=["processes", "LocalDask", "Dask"],
)


class Warehouse:
    """Something with a connection."""

    def __init__(self) -> None:
        self.connection = threading.Lock()


class Query(Task):
    """A task with a warehouse."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        self.warehouse = Warehouse()
        super().__init__(**options)

    def run(self) -> int:
        return 1


def closing_over(lock: object) -> Any:  # noqa: ANN401
    @task
    def train() -> bool:
        return lock is not None

    return train


def refused(flow: Flow, executor: Executor) -> str:
    recorder = ListRecorder()
    with pytest.raises(FlowBuildError) as error:
        run_flow(flow, recorder=recorder, executor=executor)
    assert recorder.facts == []
    return str(error.value)


@APART
def test_a_closure_variable_is_named(executor: Executor) -> None:
    with Flow("train") as flow:
        closing_over(threading.Lock())()
    message = refused(flow, executor)
    assert "Task 'train-1'" in message
    assert "closure variable 'lock' of train (a lock)" in message


@APART
def test_an_attribute_is_named_with_what_it_holds(executor: Executor) -> None:
    with Flow("query") as flow:
        Query()()
    message = refused(flow, executor)
    assert "attribute 'warehouse' of task 'Query' (a Warehouse)" in message
    assert "attribute 'connection' (a lock)" in message


def test_a_constant_is_named_by_its_argument() -> None:
    @task
    def use(settings: dict[str, object]) -> int:
        return len(settings)

    with Flow("use") as flow:
        use({"month": 3, "lock": threading.Lock()})
    message = refused(flow, ProcessExecutor())
    assert "argument 'settings'" in message
    assert "the value of 'lock' (a lock)" in message


def test_the_same_flow_runs_with_threads() -> None:
    with Flow("train") as flow:
        closing_over(threading.Lock())()
    assert run_flow(flow, recorder=ListRecorder(), executor=ThreadExecutor()).is_successful()
