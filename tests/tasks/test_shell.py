"""Commands: what they print, what they return, and that they really end."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

import pytest

from loopline import Flow, signals
from loopline.records.flows import StateKind
from loopline.tasks import ProcessTask, ShellTask


def gone(pid: int) -> bool:
    """Tell whether a process ends soon."""
    for _ in range(200):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            return True
        if stat.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_command_returns_its_last_line_in_a_flow() -> None:
    with Flow("list") as flow:
        last = ShellTask(helper_script="greet() { echo hello $1; }")(command="greet one\ngreet two")
    state = flow.run()
    assert state.is_successful()
    assert state.result[last].result == "hello two"


def test_all_lines_come_back_on_request_with_errors_among_them() -> None:
    assert ShellTask("echo out; echo err >&2; printf rest", return_all=True).run() == [
        "out",
        "err",
        "rest",
    ]


def test_a_silent_command_returns_none_or_no_lines() -> None:
    assert ShellTask("true").run() is None
    assert ShellTask(return_all=True).run(command="true") == []


def test_environment_variables_go_beside_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITY", "NYC")
    assert ShellTask("echo $CITY $ZONE", env={"ZONE": "Harlem"}).run() == "NYC Harlem"
    assert ShellTask("echo $ZONE", env={"ZONE": "Harlem"}).run(env={"ZONE": "Bronx"}) == "Bronx"


def test_another_shell_may_run_it() -> None:
    python = ShellTask("print(6 * 7)", shell=sys.executable)
    assert python.run() == "42"


def test_a_command_that_fails_fails_the_task_with_its_output() -> None:
    with pytest.raises(signals.FAIL, match="exit code 3") as failed:
        ShellTask("echo one; echo two; exit 3", log_stderr=True, return_all=True).run()
    assert failed.value.result == ["one", "two"]
    with Flow("fail") as flow:
        task = ShellTask(log_stderr=True)(command="echo what was wrong; false")
    state = flow.run()
    assert state.result[task].message == "The command failed with exit code 1."


def test_without_a_command_it_says_so() -> None:
    with pytest.raises(TypeError, match="needs command"):
        ShellTask().run()


def test_lines_are_logged_as_they_come_at_the_level_asked_for() -> None:
    assert ShellTask("true", stream_output=True).stream_output == logging.INFO
    assert ShellTask("true", stream_output="DEBUG").stream_output == logging.DEBUG
    assert ShellTask("true", stream_output=35).stream_output == 35
    with pytest.raises(TypeError, match="no level"):
        ShellTask("true", stream_output="LOUD")


def test_lines_reach_the_log_of_the_flow_run() -> None:
    from loopline.backend.recorder import get_recorder
    from loopline.records.operations import GetLogs, ListFlowRuns

    with Flow("stream") as flow:
        ShellTask(stream_output="WARNING")(command="echo first; echo second")
    assert flow.run().is_successful()
    recorder = get_recorder()
    recorder.flush()
    (run,) = recorder.backend.call(ListFlowRuns()).flow_runs
    lines = recorder.backend.call(GetLogs(flow_run_id=run.flow_run_id, least_level=30))
    assert [(line.level, line.message) for line in lines] == [(30, "first"), (30, "second")]


def test_a_late_command_ends_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with Flow("late") as flow:
        late = ShellTask(timeout=0.5)(
            command=f"sleep 600 & echo $! >> {pids}; echo $$ >> {pids}; wait"
        )
    state = flow.run()
    assert state.result[late].kind is StateKind.TIMED_OUT
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_what_a_command_leaves_in_the_background_holds_nothing_up(tmp_path: Path) -> None:
    pid = ShellTask("sleep 600 & echo $!").run()
    assert isinstance(pid, str)
    os.kill(int(pid), 9)
    assert not list(tmp_path.glob("loopline-shell-*"))


def test_a_program_gets_its_arguments_as_they_are() -> None:
    show = ProcessTask([sys.executable, "-c", "import sys; print(sys.argv[1:])"])
    assert show.run(command=[*(show.command or ()), "a b", "$HOME", "*"]) == "['a b', '$HOME', '*']"


def test_a_program_starts_in_its_folder(tmp_path: Path) -> None:
    assert ProcessTask(["pwd"], folder=str(tmp_path)).run() == str(tmp_path)


def test_a_program_that_is_not_there_fails_the_task() -> None:
    with pytest.raises(signals.FAIL, match="no-such-program is not there"):
        ProcessTask(["no-such-program"]).run()


def test_a_program_is_no_line_of_text() -> None:
    with pytest.raises(TypeError, match="a list, program first"):
        ProcessTask("ls -l").run()


def test_a_program_ended_by_a_signal_fails_with_its_number() -> None:
    with pytest.raises(signals.FAIL, match="signal 9"):
        ProcessTask([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]).run()
