"""Which run is active: under threads, asyncio, forks and what is left open."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import loopline
from loopline.backend.recorder import get_recorder
from loopline.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from loopline.records.tracking import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("home")


def in_a_thread(work: Callable[[], object]) -> None:
    """Do something in a thread of its own, whose context is empty."""
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def in_a_fork(work: Callable[[], object]) -> int:
    """Do something in a forked child; return its exit status."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            get_recorder().close()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_helper_thread_logs_to_the_run_of_the_main_thread() -> None:
    with loopline.start_run() as run:
        in_a_thread(lambda: loopline.log_metric("gpu", 0.5))
        with loopline.start_run(nested=True) as child:
            in_a_thread(lambda: loopline.log_metric("gpu", 0.75))
    assert loopline.get_run(run.run_id).data.metrics == {"gpu": 0.5}
    assert loopline.get_run(child.run_id).data.metrics == {"gpu": 0.75}


def test_a_thread_with_a_run_of_its_own_keeps_to_it() -> None:
    def train() -> None:
        with loopline.start_run(run_name="own"):  # Not nested: here, none is active.
            loopline.log_param("who", "thread")

    with loopline.start_run(run_name="outer") as outer:
        in_a_thread(train)
        assert loopline.active_run() is outer
    (own,) = loopline.find_runs("attributes.run_name = 'own'")
    assert own.params == {"who": "thread"}
    assert own.parent_run_id is None
    assert loopline.get_run(outer.run_id).params == {}


def test_runs_nested_in_pool_threads_are_children_of_the_main_threads_run() -> None:
    def train(depth: int) -> str:
        with loopline.start_run(nested=True) as run:
            loopline.log_param("depth", depth)
            return run.run_id

    with loopline.start_run() as search, ThreadPoolExecutor(4) as pool:
        trials = list(pool.map(train, range(12)))
    found = [loopline.get_run(run_id) for run_id in trials]
    assert {run.parent_run_id for run in found} == {search.run_id}
    assert [run.params["depth"] for run in found] == [str(depth) for depth in range(12)]


def test_pool_threads_that_start_runs_by_logging_have_one_each() -> None:
    together = threading.Barrier(3)

    def work(number: int) -> str:
        loopline.log_param("number", number)
        run = loopline.active_run()
        assert run is not None
        together.wait()
        loopline.end_run()
        return run.run_id

    with ThreadPoolExecutor(3) as pool:
        ids = list(pool.map(work, range(3)))
    assert [loopline.get_run(run_id).params for run_id in ids] == [
        {"number": str(number)} for number in range(3)
    ]


def test_a_pool_thread_does_not_go_on_with_a_run_that_is_over() -> None:
    with ThreadPoolExecutor(1) as pool:
        with loopline.start_run() as first:
            pool.submit(loopline.log_metric, "a", 1.0).result()
        assert pool.submit(loopline.active_run).result() is None
        with loopline.start_run() as second:
            pool.submit(loopline.log_metric, "b", 1.0).result()
    assert set(loopline.get_run(first.run_id).metrics) == {"a"}
    assert set(loopline.get_run(second.run_id).metrics) == {"b"}


def test_where_the_main_thread_has_several_runs_a_thread_takes_what_they_share() -> None:
    async def train(ready: asyncio.Barrier) -> None:
        with loopline.start_run(nested=True):
            await ready.wait()

    async def both() -> None:
        ready = asyncio.Barrier(3)
        tasks = [asyncio.create_task(train(ready)) for _ in range(2)]
        while ready.n_waiting < 2:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        in_a_thread(lambda: loopline.log_metric("cpu", 1.0))
        await ready.wait()
        await asyncio.gather(*tasks)

    with loopline.start_run() as outer:
        asyncio.run(both())
    assert loopline.get_run(outer.run_id).data.metrics == {"cpu": 1.0}


def test_what_runs_with_a_copied_context_has_the_run_of_its_starter() -> None:
    async def aside() -> None:
        with loopline.start_run(nested=True) as inner:
            await asyncio.to_thread(loopline.log_metric, "loss", 1.0)
        assert loopline.get_run(inner.run_id).data.metrics == {"loss": 1.0}

    asyncio.run(aside())
    with loopline.start_run() as run:
        context = contextvars.copy_context()
    assert context.run(loopline.active_run) is None  # Its run is over.
    assert run.is_ended


def test_a_run_ended_in_a_task_is_not_active_in_the_code_that_started_it() -> None:
    async def end() -> None:
        loopline.end_run()

    with loopline.start_run() as outer:
        inner = loopline.start_run(nested=True)
        asyncio.run(end())
        assert inner.is_ended
        assert loopline.active_run() is outer


def test_a_run_can_be_made_active_for_a_while_without_ending_it() -> None:
    with loopline.start_run(run_name="outer") as outer:
        other = loopline.start_run(run_name="other", nested=True)

        def report() -> None:
            with outer.use():
                loopline.log_metric("seen", 1.0)
            assert loopline.active_run() is other

        report()
        in_a_thread(report)
        with other.use(), outer.use():
            loopline.log_metric("deep", 1.0)
        assert loopline.active_run() is other
        assert not outer.is_ended
        loopline.end_run()
        assert loopline.active_run() is outer
    assert set(loopline.get_run(outer.run_id).metrics) == {"seen", "deep"}


def test_an_object_needs_no_global_state() -> None:
    run = loopline.start_run()
    loopline.end_run()
    with loopline.start_run(run_id=run.run_id) as again:
        in_a_thread(lambda: again.log_metric("rmse", 1.0))
        again.log_params({"model": "gbm"})
    found = loopline.get_run(run.run_id)
    assert (found.params, found.data.metrics) == ({"model": "gbm"}, {"rmse": 1.0})


def test_a_forked_worker_logs_to_the_run_of_its_parent_and_does_not_end_it() -> None:
    def work() -> None:
        loopline.log_metric("worker", 1.0)
        run = loopline.active_run()
        assert run is not None
        run.__exit__(None, None, None)  # As a child does that leaves the block it was forked in.
        assert loopline.active_run() is None

    with loopline.start_run() as run:
        loopline.log_metric("before", 1.0)
        assert in_a_fork(work) == 0
        assert loopline.get_run(run.run_id).status is RunStatus.RUNNING
        loopline.log_metric("after", 1.0)
    found = loopline.get_run(run.run_id)
    assert found.status is RunStatus.FINISHED
    assert set(found.metrics) == {"before", "worker", "after"}


def test_threads_of_a_forked_worker_log_to_the_run_it_inherited() -> None:
    with loopline.start_run() as run:
        loopline.flush()
        assert in_a_fork(lambda: in_a_thread(lambda: loopline.log_metric("loader", 1.0))) == 0
    assert loopline.get_run(run.run_id).data.metrics == {"loader": 1.0}


def test_a_worker_forked_by_a_thread_has_the_run_of_that_thread() -> None:
    def train() -> None:
        with loopline.start_run(run_name="own"):
            assert in_a_fork(lambda: loopline.log_metric("worker", 1.0)) == 0

    with loopline.start_run() as outer:
        in_a_thread(train)
    (own,) = loopline.find_runs("attributes.run_name = 'own'")
    assert own.data.metrics == {"worker": 1.0}
    assert loopline.get_run(outer.run_id).metrics == {}


def test_another_program_goes_on_with_the_run_that_the_environment_names(home: Path) -> None:
    script = (
        "import loopline\n"
        "with loopline.start_run() as run: loopline.log_metric('rank', 1.0)\n"
        "with loopline.start_run(): pass\n"
    )
    with loopline.start_run() as run:
        subprocess.run(
            [sys.executable, "-c", script],
            env={
                **os.environ,
                "LOOPLINE_RUN_ID": run.run_id,
                "LOOPLINE_URI": str(home),
                "LOOPLINE_NO_CAPTURE": "1",
            },
            check=True,
        )
    assert loopline.get_run(run.run_id).data.metrics == {"rank": 1.0}
    assert len(loopline.find_runs()) == 2


def test_a_run_resumed_by_name_goes_on_until_it_has_finished() -> None:
    with pytest.raises(OSError, match="preempted"), loopline.start_run(run_name="night") as first:  # noqa: PT012
        loopline.log_param("model", "gbm")
        raise OSError("preempted")
    with loopline.start_run(run_name="night", resume=True) as again:
        assert again.run_id == first.run_id
        with pytest.raises(InvalidInputError, match="already logged with value='gbm'"):
            loopline.log_param("model", "keras")
    assert loopline.get_run(first.run_id).status is RunStatus.FINISHED
    with loopline.start_run(run_name="night", resume=True) as new:
        assert new.run_id != first.run_id


def test_resume_says_whether_there_must_be_such_a_run() -> None:
    with loopline.start_run(run_name="first") as run:
        pass
    with loopline.start_run(run_id=run.run_id, resume=True) as again:
        assert (again.name, again.experiment_name) == ("first", "wagoncab taxifare")
    with pytest.raises(NotFoundError, match="loopline runs list"):
        loopline.start_run(run_id="f" * 32, resume=True)
    with pytest.raises(AlreadyExistsError, match="resume=False"):
        loopline.start_run(run_id=run.run_id, resume=False)
    with pytest.raises(InvalidInputError, match="name it"):
        loopline.start_run(resume=True)
    with loopline.start_run(run_id="a" * 32, resume=False):
        pass
    assert loopline.active_run() is None


def test_the_last_run_is_told_after_its_end() -> None:
    with loopline.start_run() as run:
        pass
    assert loopline.last_active_run() is run
    assert loopline.active_run() is None
