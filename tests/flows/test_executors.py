"""Executors: tasks that really overlap, in threads and processes that really die."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.flows.recording import ListRecorder

from loopline.errors import FlowBuildError, InvalidInputError
from loopline.executors import DaskExecutor, LocalDaskExecutor, ThreadExecutor
from loopline.flows import Flow, context, get_run_logger, task
from loopline.flows.running.engine import run_flow
from loopline.records.flows import StateKind

PROCESSES = LocalDaskExecutor(scheduler="processes", num_workers=2)


@pytest.fixture
def recorder() -> ListRecorder:
    return ListRecorder()


@task
def meet(mine: str, other: str) -> int:
    """Return once the other task is running, too."""
    Path(mine).touch()
    while not Path(other).exists():
        time.sleep(0.005)
    return os.getpid()


@task
def where() -> int:
    return os.getpid()


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_tasks_overlap(recorder: ListRecorder, tmp_path: Path, scheduler: str) -> None:
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    with Flow("meet") as flow:
        first, second = meet(one, other), meet(other, one)
    executor = LocalDaskExecutor(scheduler=scheduler, num_workers=2)
    state = run_flow(flow, recorder=recorder, executor=executor)
    pids = {state.result[first].result, state.result[second].result}
    assert len(pids) == (1 if scheduler == "threads" else 2)


def test_no_more_tasks_run_at_once_than_there_are_workers(recorder: ListRecorder) -> None:
    lock = threading.Lock()
    running: list[int] = [0]
    most: list[int] = [0]

    @task
    def count() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    with Flow("count") as flow:
        for _ in range(9):
            count()
    run_flow(flow, recorder=recorder, executor=LocalDaskExecutor(num_workers=3))
    assert most == [3]


@pytest.mark.parametrize("scheduler", ["threads", "processes", "synchronous"])
def test_dasks_own_schedulers_run_tasks_on_request(recorder: ListRecorder, scheduler: str) -> None:
    @task(log_stdout=True)
    def train(month: int) -> tuple[int, int]:
        print("training on", month)
        return month * 10, os.getpid()

    @task
    def total(found: list[tuple[int, int]]) -> int:
        return sum(value for value, _ in found)

    with Flow("months") as flow:
        trained = train.map([1, 2, 3])
        summed = total(trained)
    executor = LocalDaskExecutor(scheduler, num_workers=2, use_dask=True)
    state = run_flow(flow, recorder=recorder, executor=executor)
    assert state.result[summed].result == 60
    pids = {pid for _, pid in state.result[trained].result}
    assert (os.getpid() in pids) == (scheduler != "processes")
    assert ("train-1", 20, "training on 3") in recorder.lines()


@pytest.mark.parametrize("scheduler", ["sync", "synchronous", "single-threaded"])
def test_a_synchronous_scheduler_runs_here(recorder: ListRecorder, scheduler: str) -> None:
    @task
    def thread() -> int:
        return threading.get_ident()

    with Flow("here") as flow:
        found = thread()
    state = run_flow(flow, recorder=recorder, executor=LocalDaskExecutor(scheduler=scheduler))
    assert state.result[found].result == threading.get_ident()


def test_what_a_process_logs_and_prints_arrives(
    recorder: ListRecorder, capsys: pytest.CaptureFixture[str]
) -> None:
    @task(log_stdout=True)
    def talk() -> str:
        print("training", "now")
        get_run_logger().info("epoch 1")
        return str(context.task_slug)

    with Flow("talk") as flow:
        talked = talk()
    state = run_flow(flow, recorder=recorder, executor=PROCESSES)
    assert state.result[talked].result == "talk-1"
    assert [text for _, _, text in recorder.lines()] == ["training now", "epoch 1"]
    assert capsys.readouterr().out == "training now\n"


def test_a_process_that_dies_fails_its_task_alone(recorder: ListRecorder) -> None:
    @task
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with Flow("die") as flow:
        died = die()
        alive = where(upstream_tasks=[died], task_args={"trigger": "all_finished"})
    state = run_flow(
        flow, recorder=recorder, executor=LocalDaskExecutor("processes", num_workers=1)
    )
    assert state.result[died].kind is StateKind.FAILED
    assert "SIGKILL" in state.result[died].message
    assert state.result[alive].result != os.getpid()


def test_a_task_whose_process_died_is_tried_again(recorder: ListRecorder) -> None:
    @task(max_retries=1)
    def survive() -> int:
        if context.task_run_count == 1:
            os._exit(3)
        return int(context.task_run_count)

    with Flow("survive") as flow:
        survived = survive()
    state = run_flow(flow, recorder=recorder, executor=PROCESSES)
    assert state.result[survived].result == 2
    assert "exit code 3" in recorder.task_facts("survive-1")[1].message


def test_a_late_process_is_killed(recorder: ListRecorder, tmp_path: Path) -> None:
    @task(timeout=0.5)
    def stuck(file: str) -> None:
        Path(file).write_text(str(os.getpid()))
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        while True:
            time.sleep(10)

    file = tmp_path / "pid"
    with Flow("stuck") as flow:
        late = stuck(str(file))
    state = run_flow(flow, recorder=recorder, executor=PROCESSES)
    assert state.result[late].kind is StateKind.TIMED_OUT
    if file.exists():  # It may have been late before it began.
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text()), 0)


def test_what_a_late_process_started_is_killed_with_it(recorder: ListRecorder) -> None:
    @task(timeout=1)
    def stuck() -> None:
        # It holds the pipe to the pool open, so that the pool would wait for it, too.
        multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)).start()
        time.sleep(600)

    with Flow("stuck") as flow:
        late = stuck()
    state = run_flow(flow, recorder=recorder, executor=PROCESSES)
    assert state.result[late].kind is StateKind.TIMED_OUT


def test_bytes_written_to_standard_output_arrive(recorder: ListRecorder, capsys: Any) -> None:  # noqa: ANN401
    @task
    def write() -> None:
        sys.stdout.buffer.write("trés cher\n".encode())

    with Flow("bytes") as flow:
        write()
    assert run_flow(flow, recorder=recorder, executor=PROCESSES).is_successful()
    assert "trés cher" in capsys.readouterr().out


def test_a_file_in_the_working_directory_stands_in_for_no_module(
    recorder: ListRecorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('not the queue you know')")
    monkeypatch.chdir(tmp_path)

    @task
    def paths() -> str | None:
        return os.environ.get("PYTHONPATH")

    with Flow("shadow") as flow:
        path = paths()
    state = run_flow(flow, recorder=recorder, executor=PROCESSES)
    assert state.is_successful()
    assert state.result[path].result == os.environ.get("PYTHONPATH")


@pytest.mark.parametrize("executor", [LocalDaskExecutor, "threads"], ids=["a class", "a name"])
def test_what_is_no_executor_is_refused_before_anything_runs(executor: Any) -> None:  # noqa: ANN401
    with Flow("retrain") as flow:
        task(name="train")(lambda: 1)()
    with pytest.raises(FlowBuildError, match=r"LocalDaskExecutor\(\)"):
        flow.run(executor=executor)
    flow.executor = executor
    with pytest.raises(FlowBuildError, match="is no executor"):
        flow.validate()


def test_a_result_that_cannot_leave_its_process_fails_with_advice(recorder: ListRecorder) -> None:
    @task
    def give() -> object:
        return threading.Lock()

    with Flow("lock") as flow:
        given = give()
    state = run_flow(flow, recorder=recorder, executor=PROCESSES)
    assert "threads" in state.result[given].message


def test_results_pass_between_processes(recorder: ListRecorder) -> None:
    @task
    def make() -> list[int]:
        return list(range(100_000))

    @task
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    with Flow("pass") as flow:
        summed = total(make())
    state = run_flow(flow, recorder=recorder, executor=PROCESSES)
    assert state.result[summed].result == 4_999_950_000


SCRIPT = """
    import os, sys, time
    from pathlib import Path
    from loopline.executors import LocalDaskExecutor
    from loopline.flows import Flow, task

    @task
    def work(file):
        Path(file).write_text(str(os.getpid()))
        time.sleep(600)

    with Flow("work") as flow:
        work(sys.argv[1])
    flow.run(executor=LocalDaskExecutor("processes", num_workers=1))
"""


def test_a_worker_process_does_not_outlive_its_killed_parent(tmp_path: Path) -> None:
    script, file = tmp_path / "flow.py", tmp_path / "pid"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "LOOPLINE_HOME": str(tmp_path / "home")}
    parent = subprocess.Popen([sys.executable, str(script), str(file)], env=environment)
    while not (file.exists() and file.read_text()):
        assert parent.poll() is None
        time.sleep(0.01)
    child = int(file.read_text())
    parent.kill()
    parent.wait()
    until = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and time.monotonic() < until:
        time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.parametrize(
    "settings", [{"scheduler": "gevent"}, {"num_workers": 0}], ids=["scheduler", "workers"]
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        LocalDaskExecutor(**settings)  # type: ignore[arg-type]


def test_an_address_and_a_cluster_to_make_exclude_each_other() -> None:
    with pytest.raises(InvalidInputError, match="cluster_class"):
        DaskExecutor("tcp://10.0.0.1:8786", cluster_kwargs={"n_workers": 2})


def test_an_executor_says_what_it_is() -> None:
    assert repr(ThreadExecutor(num_workers=2)) == "ThreadExecutor(num_workers=2)"


def test_a_task_that_raises_what_is_no_exception_fails_alone(recorder: ListRecorder) -> None:
    @task
    def cancelled() -> None:
        raise asyncio.CancelledError

    @task
    def fine() -> int:
        return 1

    with Flow("taxi fares") as flow:
        gone, kept = cancelled(), fine()
    state = run_flow(flow, recorder=recorder, executor=LocalDaskExecutor(scheduler="threads"))

    assert state.result[gone].is_failed()
    assert state.result[kept].result == 1
