"""Limits: tasks that take too much really stop, with all they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.flows.recording import ListRecorder

from loopline.errors import InvalidInputError, TaskMemoryError, TaskTimeoutError
from loopline.executors import (
    Limits,
    LocalDaskExecutor,
    LocalExecutor,
    ProcessExecutor,
    ThreadExecutor,
)
from loopline.flows import Flow, context, task
from loopline.flows.limits import parse_size
from loopline.flows.running.engine import run_flow
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from loopline.flows.executors.base import Executor

ANYWHERE = pytest.mark.parametrize(
    "executor",
    [LocalExecutor(), ThreadExecutor(2), ProcessExecutor(2), LocalDaskExecutor("processes", 2)],
    ids=["here", "threads", "processes", "LocalDask"],
)


@pytest.fixture
def recorder() -> ListRecorder:
    return ListRecorder()


def is_gone(pid: int) -> bool:
    """Wait until a process has ended, perhaps not yet buried by who started it."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


@ANYWHERE
def test_a_task_that_grows_over_its_memory_is_ended_and_the_next_one_runs(
    recorder: ListRecorder, executor: Executor
) -> None:
    @task(limits=Limits(memory="150 MB"))
    def grow() -> None:
        held = []
        while True:
            held.append(bytearray(os.urandom(1 << 20)))
            time.sleep(0.001)

    @task(limits=Limits(memory="150 MB"), trigger="all_finished")
    def small() -> int:
        return os.getpid()

    with Flow("grow") as flow:
        grown = grow()
        after = small(upstream_tasks=[grown])
    state = run_flow(flow, recorder=recorder, executor=executor)
    assert state.result[grown].kind is StateKind.FAILED
    assert "memory limit of 150 MB" in state.result[grown].message
    assert isinstance(state.result[grown].result, TaskMemoryError)
    assert state.result[after].result != os.getpid()


def test_memory_asked_for_in_one_go_is_refused_by_the_system(recorder: ListRecorder) -> None:
    @task(limits=Limits(memory="100 MB"))
    def grab() -> int:
        return len(bytearray(4 << 30))

    with Flow("grab") as flow:
        grabbed = grab()
    state = run_flow(flow, recorder=recorder)
    assert "memory limit of 100 MB" in state.result[grabbed].message
    assert isinstance(state.result[grabbed].result, TaskMemoryError)


def test_what_a_task_starts_counts_and_is_ended_with_it(
    recorder: ListRecorder, tmp_path: Path
) -> None:
    @task(limits=Limits(memory="200 MB"))
    def start(file: str) -> None:
        code = "import os, time; held = os.urandom(300 << 20); time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", code])
        Path(file).write_text(str(child.pid))
        child.wait()

    file = tmp_path / "pid"
    with Flow("start") as flow:
        started = start(str(file))
    state = run_flow(flow, recorder=recorder)
    assert "memory limit of 200 MB" in state.result[started].message
    assert is_gone(int(file.read_text()))


@ANYWHERE
def test_a_task_that_does_not_listen_is_ended_at_its_time_limit(
    recorder: ListRecorder, executor: Executor, tmp_path: Path
) -> None:
    @task(limits=Limits(time=0.5))
    def deaf(file: str) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(file).write_text(f"{os.getpid()} {child.pid}")
        while True:
            time.sleep(10)

    file = tmp_path / "pids"
    with Flow("deaf") as flow:
        late = deaf(str(file))
    state = run_flow(flow, recorder=recorder, executor=executor)
    assert state.result[late].kind is StateKind.TIMED_OUT
    assert "time limit of 0.5 s" in state.result[late].message
    assert isinstance(state.result[late].result, TaskTimeoutError)
    assert all(is_gone(int(pid)) for pid in file.read_text().split())


def test_a_timeout_that_is_shorter_than_the_limit_says_so(recorder: ListRecorder) -> None:
    @task(timeout=0.3, limits=Limits(time=60))
    def slow() -> None:
        time.sleep(600)

    with Flow("slow") as flow:
        late = slow()
    assert "its timeout of 0.3 s" in run_flow(flow, recorder=recorder).result[late].message


def test_an_executors_limits_are_for_tasks_that_have_none(recorder: ListRecorder) -> None:
    @task
    def slow(seconds: float) -> str:
        time.sleep(seconds)
        return "through"

    with Flow("slow") as flow:
        patient = slow(0.5, task_args={"limits": Limits(time=60)})
        late = slow(60)
    executor = ProcessExecutor(2, memory_limit="1 GB", time_limit=0.2)
    state = run_flow(flow, recorder=recorder, executor=executor)
    assert state.result[patient].result == "through"
    assert "time limit of 0.2 s" in state.result[late].message


def test_a_task_stopped_at_a_limit_is_tried_again(recorder: ListRecorder) -> None:
    @task(max_retries=1, limits=Limits(time=0.5))
    def hang_once() -> int:
        if context.task_run_count == 1:
            time.sleep(600)
        return int(context.task_run_count)

    with Flow("hang") as flow:
        hung = hang_once()
    assert run_flow(flow, recorder=recorder).result[hung].result == 2


@pytest.mark.parametrize(
    ("text", "size"),
    [("500 MB", 500_000_000), ("2GiB", 2 << 30), ("1.5 k", 1500), ("64", 64), (7, 7)],
)
def test_sizes_are_read_as_people_write_them(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("settings", [{"memory": "much"}, {"memory": 1000}, {"time": 0}], ids=str)
def test_limits_in_which_nothing_fits_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        Limits(**settings)  # type: ignore[arg-type]
