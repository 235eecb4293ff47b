"""``TaskRunner`` and ``FlowRunner`` with handlers: of this run alone, also in several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from loopline.compat.prefect import Flow, Task, task, unmapped
from loopline.compat.prefect.engine import FlowRunner, TaskRunner
from loopline.compat.prefect.engine.state import State, Success

if TYPE_CHECKING:
    from pathlib import Path

TOGETHER = Barrier(2, timeout=30)
OWN: list[str] = []


def own(_: Task, __: State, new: State) -> State:
    OWN.append(type(new).__name__)
    return new


@task(state_handlers=[own])
def fare(distance: float, base: float = 1.0) -> float:
    TOGETHER.wait()
    return base + distance


@task
def distances() -> list[float]:
    return [1.0, 2.0]


@task
def total(fares: list[float]) -> float:
    return sum(fares)


@task
def price(distance: float, base: float) -> float:
    return base + distance


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))


def test_each_of_two_runs_of_a_task_tells_its_own_handlers_alone() -> None:
    OWN.clear()
    heard: list[list[tuple[bool, str]]] = [[], []]

    with Flow("fares") as flow:
        fare(2.0)

    def run_flow(number: int) -> State:
        def hear(about: Task, _: State, new: State) -> None:
            heard[number].append((about in flow.tasks, type(new).__name__))

        return FlowRunner(flow).run(task_runner_state_handlers=[hear], return_tasks=flow.tasks)

    with ThreadPoolExecutor(2) as pool:
        states = list(pool.map(run_flow, [0, 1]))
    assert [next(iter(state.result.values())).result for state in states] == [3.0, 3.0]
    assert heard == [[(True, "Running"), (True, "Success")]] * 2
    assert sorted(OWN) == ["Running", "Running", "Success", "Success"]
    assert fare.state_handlers == [own]


def test_twins_keep_edges_maps_constants_and_given_states() -> None:
    with Flow("fares") as flow:
        of = distances()
        prices = price.map(of, base=unmapped(3.0))
        paid = total(prices)
    heard = []

    def hear(about: Task, _: State, new: State) -> None:
        heard.append((about.name, type(new).__name__))

    state = FlowRunner(flow).run(
        task_runner_state_handlers=[hear], task_states={of: Success(result=[10.0])}
    )
    assert state.is_successful()
    assert state.result[paid].result == 13.0
    assert ("total", "Success") in heard
    assert not [name for name, _ in heard if name == "distances"]


def test_a_runner_of_one_task_tells_its_handlers_of_that_task() -> None:
    heard = []

    def hear(about: Task, _: State, new: State) -> None:
        heard.append((about, type(new).__name__))

    state = TaskRunner(distances, [hear]).run()
    assert (state.result, heard) == (
        [1.0, 2.0],
        [(distances, "Running"), (distances, "Success")],
    )
    assert distances.state_handlers == []
