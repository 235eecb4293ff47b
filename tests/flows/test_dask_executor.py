"""The Dask executor, on a real cluster of processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.flows.recording import ListRecorder

from loopline.backend.local import LocalBackend
from loopline.backend.recorder import get_tracking_uri
from loopline.errors import FlowBuildError, FlowError, MissingExtraError
from loopline.executors import DaskExecutor, Limits
from loopline.flows import Flow, context, get_run_logger, task
from loopline.flows.running.engine import run_flow
from loopline.records.facts import TaskRunState
from loopline.records.flows import StateKind
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

distributed = import_module("distributed")


class Trips:
    """A month of trips, which says where it is unpickled."""

    read_here: ClassVar[list[int]] = []

    def __init__(self, month: int) -> None:
        self.month = month
        self.data = os.urandom(500_000)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        Trips.read_here.append(self.month)


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


def test_a_large_result_stays_on_the_cluster_and_is_kept_by_the_worker(
    address: str, tmp_path: Path
) -> None:
    @task
    def fetch(month: int) -> Trips:
        return Trips(month)

    @task
    def count(trips: Trips, all_trips: list[Trips]) -> tuple[int, int, int]:
        return len(trips.data), len(all_trips), os.getpid()

    with Flow("months") as flow:
        months = fetch.map([1, 2, 3])
        counted = count(months[0], months)
    recorder = ListRecorder()
    recorder.address = Address("home", str(tmp_path))
    Trips.read_here.clear()
    state = run_flow(flow, recorder=recorder, executor=DaskExecutor(address))
    assert state.result[counted].result[:2] == (500_000, 3)
    assert recorder.blobs == {}
    # An element of it was needed here.
    assert len(Trips.read_here) <= 3
    references = {fact.result for fact in recorder.task_facts("fetch-1", 2)[1:]}
    backend = LocalBackend(recorder.address, home=tmp_path)
    try:
        assert [backend.blob_size(each) > 500_000 for each in references] == [True]
    finally:
        backend.close()
    # The cluster's copies are let go of, and the value is there all the same.
    assert state.result[months].result[2].month == 3


def test_a_large_result_that_the_worker_cannot_keep_is_kept_by_the_engine(address: str) -> None:
    @task
    def fetch(month: int) -> bytes:
        return bytes(500_000) + bytes([month])

    @task
    def last(trips: bytes) -> int:
        return trips[-1]

    recorder = ListRecorder()
    recorder.address = Address("home", "/no/such/home/on/the/worker")
    with Flow("months") as flow:
        trips = fetch(7)
        found = last(trips)
    state = run_flow(flow, recorder=recorder, executor=DaskExecutor(address))
    assert state.result[found].result == 7
    assert recorder.task_facts("fetch-1")[-1].result in recorder.blobs
    assert len(state.result[trips].result) == 500_001


def test_limits_hold_on_a_worker(address: str) -> None:
    @task(limits=Limits(time=0.5))
    def hang() -> None:
        time.sleep(600)

    @task(limits=Limits(memory="150 MB"))
    def grow() -> None:
        held = []
        while True:
            held.append(os.urandom(1 << 20))

    @task
    def fine() -> int:
        return 1

    with Flow("limits") as flow:
        hung, grown, ran = hang(), grow(), fine()
    state = run_flow(flow, recorder=ListRecorder(), executor=DaskExecutor(address))
    assert state.result[hung].kind is StateKind.TIMED_OUT
    assert "memory limit of 150 MB" in state.result[grown].message
    assert state.result[ran].result == 1


def test_a_wrong_address_is_told_soon_and_in_words() -> None:
    with Flow("one") as flow:
        task(name="one")(lambda: 1)()
    executor = DaskExecutor("tcp://127.0.0.1:9", client_kwargs={"timeout": 1})
    began = time.monotonic()
    with pytest.raises(FlowError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run_flow(flow, recorder=ListRecorder(), executor=executor)
    assert time.monotonic() - began < 30


def test_a_report_that_cannot_be_drawn_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with Flow("one") as flow:
        task(name="one")(lambda: 1)()
    with pytest.raises(MissingExtraError, match="bokeh"):
        run_flow(
            flow,
            recorder=ListRecorder(),
            executor=DaskExecutor(performance_report_path="report.html"),
        )


@pytest.mark.parametrize("name", ["no_such_module.Cluster", "distributed.NoCluster", "nothing"])
def test_a_cluster_class_that_is_none_is_refused_before_anything_runs(name: str) -> None:
    with Flow("one") as flow:
        task(name="one")(lambda: 1)()
    recorder = ListRecorder()
    with pytest.raises(FlowBuildError, match="no cluster class"):
        run_flow(flow, recorder=recorder, executor=DaskExecutor(cluster_class=name))
    assert recorder.facts == []


def test_a_cluster_that_cannot_be_made_says_why() -> None:
    with Flow("one") as flow:
        task(name="one")(lambda: 1)()

    def make_cluster() -> None:
        msg = "no quota for 2 machines"
        raise RuntimeError(msg)

    executor = DaskExecutor(cluster_class=make_cluster)
    with pytest.raises(FlowError, match=r"make_cluster could not .* no quota for 2 machines"):
        run_flow(flow, recorder=ListRecorder(), executor=executor)


@pytest.mark.deep
def test_an_adaptive_cluster_by_name_grows_from_nothing() -> None:
    @task
    def train(month: int) -> int:
        return month * 10

    with Flow("months") as flow:
        trained = train.map(list(range(20)))
    executor = DaskExecutor(
        cluster_class="distributed.LocalCluster",
        cluster_kwargs={"n_workers": 0, "threads_per_worker": 1, "dashboard_address": ":0"},
        adapt_kwargs={"minimum": 0, "maximum": 2},
    )
    state = run_flow(flow, recorder=ListRecorder(), executor=executor)
    assert state.result[trained].result == [month * 10 for month in range(20)]


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


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_flow_of_a_thousand_tasks_finishes_though_a_worker_is_killed(tmp_path: Path) -> None:
    @task
    def fetch(number: int) -> int:
        (tmp_path / f"pid-{os.getpid()}").touch()
        time.sleep(0.002)
        return number

    @task(max_retries=2)
    def double(number: int) -> int:
        return number * 2

    @task
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    with Flow("thousand") as flow:
        fetched = fetch.map(list(range(500)), task_args={"max_retries": 2})
        summed = total(double.map(fetched))
    recorder = ListRecorder()
    killed: list[int] = []

    def kill_one() -> None:
        while len([fact for fact in recorder.facts if fact_is_end(fact)]) < 200:
            time.sleep(0.01)
        pids = sorted(int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*"))
        os.kill(pids[0], signal.SIGKILL)
        killed.append(len([fact for fact in recorder.facts if fact_is_end(fact)]))

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    executor = DaskExecutor(
        cluster_kwargs={"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    )
    state = run_flow(flow, recorder=recorder, executor=executor)
    killer.join(timeout=10)
    assert killed
    assert killed[0] < 1000
    assert state.is_successful()
    assert state.result[summed].result == sum(range(500)) * 2
    # What had succeeded stays so: nobody ran it again.
    ends: dict[tuple[str, int], int] = {}
    for fact in recorder.facts:
        if fact_is_end(fact):
            assert isinstance(fact, TaskRunState)
            key = (fact.task_slug, fact.map_index)
            ends[key] = ends.get(key, 0) + 1
    assert len(ends) == 1001
    assert set(ends.values()) == {1}


def fact_is_end(fact: object) -> bool:
    return isinstance(fact, TaskRunState) and fact.state is StateKind.SUCCESS
