"""``flow.run()``: a record in the home without any service, parameters, schedules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from loopline.backend.recorder import close_recorders, get_recorder
from loopline.errors import FlowBuildError, InvalidInputError
from loopline.flows import Flow, Parameter, context, task
from loopline.flows.clocks import IntervalClock
from loopline.flows.schedules import IntervalSchedule, Schedule
from loopline.flows.states import Scheduled
from loopline.records.flows import StateKind
from loopline.records.operations import (
    GetFlowRunGraph,
    GetLogs,
    ListFlowRuns,
    ListTaskRuns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@task
def evaluate(month: str) -> float:
    return len(month) / 2


@task(log_stdout=True)
def notify(rmse: float) -> None:
    print(f"rmse: {rmse}")


def build(month: object = None) -> Flow:
    with Flow("taxi fares") as flow:
        notify(evaluate(month or Parameter("month")))
    return flow


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Record into a fresh home."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / ".loopline"))
    yield tmp_path / ".loopline"
    close_recorders()


@pytest.mark.usefixtures("home")
def test_a_run_without_any_service_leaves_its_record_in_the_home() -> None:
    flow = build()
    state = flow.run(month="2022-03")
    assert state.is_successful()

    recorder = get_recorder()
    (flow_run,) = recorder.call(ListFlowRuns()).flow_runs
    assert (flow_run.flow_name, flow_run.state) == ("taxi fares", StateKind.SUCCESS)
    assert flow_run.parameters == {"month": "2022-03"}
    task_runs = recorder.call(ListTaskRuns(flow_run_id=flow_run.flow_run_id))
    assert {run.task_slug: run.state for run in task_runs} == {
        "month": StateKind.SUCCESS,
        "evaluate-1": StateKind.SUCCESS,
        "notify-1": StateKind.SUCCESS,
    }
    (line,) = recorder.call(GetLogs(flow_run_id=flow_run.flow_run_id))
    assert (line.task_slug, line.message) == ("notify-1", "rmse: 3.5")
    assert recorder.call(GetFlowRunGraph(flow_run_id=flow_run.flow_run_id)) == flow.graph()


@pytest.mark.usefixtures("home")
def test_a_large_result_is_kept_in_the_blob_store() -> None:
    @task
    def trips() -> bytes:
        return b"trip" * 1000

    with Flow("trips") as flow:
        trips()
    flow.run()
    recorder = get_recorder()
    (flow_run,) = recorder.call(ListFlowRuns()).flow_runs
    (task_run,) = recorder.call(ListTaskRuns(flow_run_id=flow_run.flow_run_id))
    assert b"trip" * 1000 in b"".join(recorder.backend.read_blob(task_run.result))


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("given", [{}, {"month": "2022-03", "mnth": "2022-04"}])
def test_parameters_that_are_not_the_flows_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match="month"):
        build().run(given)


@pytest.mark.usefixtures("home")
def test_a_flow_that_cannot_run_is_refused() -> None:
    flow = build()
    flow.add_task(notify.copy())
    with pytest.raises(FlowBuildError, match="'notify-2' needs rmse"):
        flow.run(month="2022-03")


@pytest.mark.usefixtures("home")
def test_errors_are_shown_where_the_flow_runs(capsys: pytest.CaptureFixture[str]) -> None:
    @task
    def fail() -> None:
        raise ValueError("no trips")

    with Flow("fail") as flow:
        fail()
    flow.run()
    assert "ValueError: no trips" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_a_flow_with_a_schedule_waits_for_each_of_its_times(
    capsys: pytest.CaptureFixture[str],
) -> None:
    due: list[datetime] = []

    @task
    def note() -> None:
        due.append(context.scheduled_start_time)

    now = datetime.now(UTC)
    schedule = IntervalSchedule(
        start_date=now + timedelta(seconds=0.3),
        interval=timedelta(seconds=0.3),
        end_date=now + timedelta(seconds=0.7),
    )
    with Flow("scheduled", schedule=schedule) as flow:
        note()
    assert flow.run().is_successful()
    assert len(due) == 2
    assert all(each > now for each in due)
    assert capsys.readouterr().out.count("runs next at") == 2


@pytest.mark.usefixtures("home")
def test_a_clock_gives_parameters_and_the_caller_overrules_them() -> None:
    seen = []

    @task
    def note(month: str, depth: int) -> None:
        seen.append((month, depth))

    start = datetime.now(UTC) + timedelta(seconds=0.2)
    clock = IntervalClock(
        timedelta(days=1),
        start_date=start,
        end_date=start + timedelta(hours=1),
        parameter_defaults={"month": "2022-03", "depth": 3},
    )
    with Flow("scheduled", schedule=Schedule([clock])) as flow:
        note(Parameter("month"), Parameter("depth"))
    flow.run(depth=5)
    assert seen == [("2022-03", 5)]


@pytest.mark.usefixtures("home")
def test_clocks_with_other_values_run_the_flow_twice_at_one_time() -> None:
    seen = []

    @task
    def note(month: str) -> None:
        seen.append((month, context.scheduled_start_time))

    start = datetime.now(UTC) + timedelta(seconds=0.2)
    clocks = [
        IntervalClock(
            timedelta(days=1),
            start,
            start + timedelta(hours=1),
            parameter_defaults={"month": month},
        )
        for month in ("2022-03", "2022-04", "2022-03")
    ]
    with Flow("scheduled", schedule=Schedule(clocks)) as flow:
        note(Parameter("month"))
    flow.run()
    assert seen == [("2022-03", start), ("2022-04", start)]


def test_ctrl_c_ends_the_waiting_without_a_traceback(tmp_path: Path) -> None:
    script = """
        from datetime import timedelta
        from loopline import Flow, task
        from loopline.schedules import IntervalSchedule

        @task
        def nothing():
            pass

        with Flow("taxifare", schedule=IntervalSchedule(interval=timedelta(days=900))) as flow:
            nothing()
        state = flow.run()
        print(type(state).__name__, state.message)
    """
    environment = {**os.environ, "LOOPLINE_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    waiting = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert waiting.stdout is not None
    assert "runs every 900 days" in waiting.stdout.readline()
    assert "runs next at" in waiting.stdout.readline()
    waiting.send_signal(signal.SIGINT)
    said, wrong = waiting.communicate(timeout=30)
    assert wrong == ""
    assert waiting.returncode == 0
    assert said.splitlines()[-1].startswith("Scheduled It was stopped")


@pytest.mark.usefixtures("home")
def test_run_on_schedule_false_runs_at_once_and_once() -> None:
    with Flow("scheduled", schedule=IntervalSchedule(interval=timedelta(days=900))) as flow:
        done = evaluate("2022-03")
    assert flow.run(run_on_schedule=False).result[done].is_successful()


@pytest.mark.usefixtures("home")
def test_a_schedule_that_is_over_says_so() -> None:
    schedule = IntervalSchedule(
        interval=timedelta(hours=1),
        start_date=datetime(2020, 1, 1, tzinfo=UTC),
        end_date=datetime(2020, 1, 2, tzinfo=UTC),
    )
    with Flow("over", schedule=schedule) as flow:
        evaluate("2020-01")
    with pytest.raises(InvalidInputError, match="no more times"):
        flow.run()


SCRIPT = """
    from loopline.flows import Flow, task

    @task
    def hello():
        print("hello from a script")

    with Flow("hello") as flow:
        hello()
    flow.visualize()
    flow.run()
"""


def test_a_script_with_nothing_around_it_runs(tmp_path: Path, home: Path) -> None:
    script = tmp_path / "hello.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=True
    )
    assert "hello from a script" in done.stdout
    assert f"{home}/pictures/hello.svg" in done.stdout
    assert done.stderr == ""
    (flow_run,) = get_recorder().call(ListFlowRuns()).flow_runs
    assert flow_run.state is StateKind.SUCCESS


@pytest.mark.usefixtures("home")
def test_the_element_of_a_map_that_failed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    @task
    def invert(number: int) -> float:
        return 1 / number

    with Flow("invert") as flow:
        invert.map([2, 0, 4])
    assert flow.run(run_on_schedule=False).is_failed()
    assert "invert-1[1]: Traceback" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_a_run_that_begins_scheduled_waits_for_its_time() -> None:
    began: list[tuple[datetime, datetime]] = []
    at = datetime.now(UTC) + timedelta(seconds=0.3)

    @task
    def look() -> None:
        began.append((context.scheduled_start_time, datetime.now(UTC)))

    with Flow("later") as flow:
        look()
    assert flow.run(state=Scheduled(start_time=at)).is_successful()
    assert flow.run(state=Scheduled(start_time=at.replace(tzinfo=None))).is_successful()
    assert [due for due, _ in began] == [at, at]
    assert all(when >= at for _, when in began)


def test_what_is_missing_is_said_before_a_time_is_waited_for() -> None:
    with Flow("later") as flow:
        evaluate(Parameter("month"))
    with pytest.raises(InvalidInputError, match="month"):
        flow.run(state=Scheduled(start_time=datetime.now(UTC) + timedelta(days=1)))
