"""System metrics come by themselves, bear MLflow's names, and end with their run."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

import loopline
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.errors import InvalidInputError
from loopline.tracking import system_metrics
from loopline.tracking.system_readings import Counters, Machine, ProcFiles, Psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: What MLflow 3.17.2 logged on a machine without a GPU.
NAMES = {
    "system/cpu_utilization_percentage",
    "system/disk_available_megabytes",
    "system/disk_usage_megabytes",
    "system/disk_usage_percentage",
    "system/network_receive_megabytes",
    "system/network_transmit_megabytes",
    "system/system_memory_usage_megabytes",
    "system/system_memory_usage_percentage",
}
CPU = "system/cpu_utilization_percentage"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    monkeypatch.setenv("LOOPLINE_SYSTEM_METRICS", "1")
    monkeypatch.setenv("LOOPLINE_SYSTEM_METRICS_EVERY_S", "0.05")
    monkeypatch.setattr(system_metrics, "_Chosen", type("_Chosen", (system_metrics._Chosen,), {}))
    loopline.set_tracking_uri(tmp_path / "home")
    yield tmp_path / "home"
    while loopline.active_run() is not None:
        loopline.end_run()
    system_metrics._sampler.stop(10)
    system_metrics._sampler = system_metrics.Sampler()
    close_recorders()
    loopline.set_tracking_uri(None)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "It did not happen in 30 s."
        time.sleep(0.02)


def points_of(run_id: str) -> int:
    summary = loopline.get_run(run_id).metrics.get(CPU)
    return summary.count if summary is not None else 0


def test_a_run_has_mlflows_system_metrics_without_being_asked() -> None:
    with loopline.start_run() as run:
        wait_until(lambda: points_of(run.run_id) >= 3)
    found = loopline.get_run(run.run_id)
    assert set(found.metrics) >= NAMES
    values = found.data.metrics
    for key in NAMES:
        assert values[key] >= 0
        if key.endswith("percentage"):
            assert values[key] <= 100
    history = loopline.get_metric_history(run.run_id, CPU)
    assert history.steps == list(range(history.total))
    assert history.timestamps_ms == sorted(history.timestamps_ms)


def test_several_open_runs_share_one_thread_and_each_counts_its_own_steps() -> None:
    with loopline.start_run() as outer:
        wait_until(lambda: points_of(outer.run_id) >= 2)
        with loopline.start_run(nested=True) as inner:
            wait_until(lambda: points_of(inner.run_id) >= 2)
            names = [thread.name for thread in threading.enumerate()]
            assert names.count("loopline-system-metrics") == 1
    assert loopline.get_metric_history(inner.run_id, CPU).steps[0] == 0
    assert points_of(outer.run_id) > points_of(inner.run_id)


def test_no_point_comes_after_the_end_and_the_thread_ends_too() -> None:
    with loopline.start_run() as run:
        wait_until(lambda: points_of(run.run_id) >= 1)
    wait_until(lambda: system_metrics._sampler._thread is None)
    at_end = points_of(run.run_id)
    with loopline.start_run() as other:
        wait_until(lambda: points_of(other.run_id) >= 2)
    assert points_of(run.run_id) == at_end


def test_a_resumed_run_goes_on_with_its_steps() -> None:
    with loopline.start_run() as run:
        wait_until(lambda: points_of(run.run_id) >= 2)
    before = loopline.get_metric_history(run.run_id, CPU).total
    with loopline.start_run(run_id=run.run_id):
        wait_until(lambda: points_of(run.run_id) > before)
    history = loopline.get_metric_history(run.run_id, CPU)
    assert history.steps == list(range(history.total))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOOPLINE_SYSTEM_METRICS", "0"),
        ("LOOPLINE_SYSTEM_METRICS", "false"),
        ("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false"),
    ],
)
def test_the_environment_switches_them_off(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.delenv("LOOPLINE_SYSTEM_METRICS")
    assert system_metrics.is_enabled()
    monkeypatch.setenv(name, value)
    assert not system_metrics.is_enabled()


def test_the_program_switches_them_off_and_a_run_may_still_ask() -> None:
    loopline.disable_system_metrics_logging()
    with (
        loopline.start_run() as without,
        loopline.start_run(nested=True, log_system_metrics=True) as asked,
    ):
        wait_until(lambda: points_of(asked.run_id) >= 1)
    assert not loopline.get_run(without.run_id).metrics
    loopline.enable_system_metrics_logging()
    with (
        loopline.start_run() as again,
        loopline.start_run(nested=True, log_system_metrics=False) as declined,
    ):
        wait_until(lambda: points_of(again.run_id) >= 1)
    assert not loopline.get_run(declined.run_id).metrics


def test_machines_that_share_a_run_have_names_of_their_own() -> None:
    loopline.set_system_metrics_node_id("worker-1")
    with loopline.start_run() as run:
        wait_until(lambda: bool(loopline.get_run(run.run_id).metrics))
    assert {key.split("/")[1] for key in loopline.get_run(run.run_id).metrics} == {"worker-1"}


@pytest.mark.parametrize("interval", [0, -1.0])
def test_an_interval_is_above_zero(interval: float) -> None:
    with pytest.raises(InvalidInputError, match="seconds above 0"):
        loopline.set_system_metrics_sampling_interval(interval)


def test_a_forked_child_samples_its_own_runs_and_not_its_parents() -> None:
    with loopline.start_run() as run:
        wait_until(lambda: points_of(run.run_id) >= 1)
        child = os.fork()
        if not child:
            status = 1
            try:
                own = loopline.start_run(nested=True)
                wait_until(lambda: points_of(own.run_id) >= 2)
                sampled = [one.run.run_id for one in system_metrics._sampler._runs]
                status = 0 if sampled == [own.run_id] else 2
                own.end()
                close_recorders()
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        before = points_of(run.run_id)
        wait_until(lambda: points_of(run.run_id) > before)  # The parent's go on.


def test_an_open_run_keeps_no_process_alive_and_its_last_sample_spoils_no_exit(
    tmp_path: Path,
) -> None:
    program = """
        import time, loopline
        loopline.start_run()
        time.sleep(0.3)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env={
            **os.environ,
            "LOOPLINE_SYSTEM_METRICS_EVERY_S": "0.001",
            "LOOPLINE_URI": str(tmp_path / "home"),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert list((tmp_path / "home" / "journal").iterdir()) == []  # None was opened at the exit.
    (run,) = loopline.find_runs()
    assert run.metrics[CPU].count > 1


def test_what_cannot_be_read_costs_a_warning_once_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[Warning] = []
    monkeypatch.setattr("warnings.warn", lambda text, *_, **__: said.append(text))
    tries: list[int] = []
    read = Machine.read

    def failing(self: Machine, *counters: Counters) -> dict[str, float]:
        tries.append(1)
        if len(tries) < 4:
            raise OSError(5, "The disk is away")
        return read(self, *counters)

    monkeypatch.setattr(Machine, "read", failing)
    with loopline.start_run() as run:
        wait_until(lambda: points_of(run.run_id) >= 1)
    assert len(said) == 1
    assert "The disk is away" in str(said[0])


def test_proc_tells_what_psutil_tells() -> None:
    psutil = import_module("psutil")
    ours, theirs = ProcFiles(), Psutil()
    used, total = ours.memory()
    assert total == psutil.virtual_memory().total == theirs.memory()[1]
    assert used == pytest.approx(theirs.memory()[0], rel=0.05)
    ticks = os.sysconf("SC_CLK_TCK")
    assert ours.counters().total / ticks == pytest.approx(theirs.counters().total, rel=0.01)
    assert ours.counters().busy / ticks == pytest.approx(theirs.counters().busy, rel=0.01)


def test_a_busy_processor_is_told_from_an_idle_one() -> None:
    machine = Machine(ProcFiles(), None)
    begin = Counters(busy=100, total=1000, received_bytes=0, sent_bytes=5_000_000)
    before = Counters(busy=200, total=2000, received_bytes=0, sent_bytes=5_000_000)
    now = Counters(busy=950, total=3000, received_bytes=1_500_000, sent_bytes=7_000_000)
    values = machine.read(begin, before, now)
    assert values["cpu_utilization_percentage"] == 75.0
    assert values["network_receive_megabytes"] == 1.5
    assert values["network_transmit_megabytes"] == 2.0


def test_a_sample_costs_little_of_a_core() -> None:
    with loopline.start_run(log_system_metrics=False) as run:
        machine = system_metrics.__dict__.get("machine") or Machine(ProcFiles(), None)
        sampled = system_metrics._Sampled(run, get_recorder(), is_resumed=False)
        sampled.log(machine, machine.counters())
        began = time.thread_time()
        for _ in range(50):
            sampled.log(machine, machine.counters())
        cpu_s = (time.thread_time() - began) / 50
    # CPU of this thread, not time on the wall: 0.1 % of a core is 10 ms each 10 s.
    assert cpu_s < 0.005
