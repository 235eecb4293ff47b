"""Prefect 1 scripts: with one word changed in their imports, and with not a line changed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = '''\
"""Fares, as somebody wrote it for Prefect 1."""
import datetime
import sys

import prefect
from prefect import Flow, Parameter, case, flatten, mapped, resource_manager, task, unmapped
from prefect.engine import FlowRunner, TaskRunner, signals
from prefect.engine.results import LocalResult
from prefect.engine.state import Failed, Retrying, State, Success
from prefect.executors import LocalDaskExecutor
from prefect.schedules import IntervalSchedule, Schedule
from prefect.schedules.clocks import CronClock
from prefect.schedules.filters import is_weekday
from prefect.tasks.control_flow import merge
from prefect.triggers import all_finished
from prefect.utilities.logging import get_logger

seen = []


def note(obj, old_state, new_state):
    seen.append(type(new_state).__name__)
    return new_state


@task(nout=2, state_handlers=[note])
def load(month):
    prefect.context.get("logger").info("loading %s", month)
    return [1.0, 2.5, 4.0], month


@task(max_retries=2, retry_delay=datetime.timedelta(0))
def fare(distance, base):
    if prefect.context.get("task_run_count") == 1:
        raise signals.RETRY("once more", start_time=datetime.datetime.utcnow())
    return base + 2.5 * distance


@task
def total(fares):
    return sum(fares)


@task
def is_much(amount):
    return amount > 10


@task
def cheer():
    return "much"


@task
def sigh():
    return "little"


@task(trigger=all_finished)
def report(words, amount):
    print(words, amount)
    return words


weekdays = Schedule(clocks=[CronClock("30 2 * * *")], filters=[is_weekday])
with Flow("wagoncab fares", schedule=weekdays, executor=LocalDaskExecutor(num_workers=2)) as flow:
    month = Parameter("month", default="2022-01")
    distances, name = load(month)
    fares = fare.map(distances, base=unmapped(3.0))
    amount = total(fares)
    with case(is_much(amount), True):
        much = cheer()
    with case(is_much(amount), False):
        little = sigh()
    report(merge(much, little), amount)

if __name__ == "__main__":
    state = flow.run(run_on_schedule=False, parameters={"month": sys.argv[1]})
    assert isinstance(state, State) and state.is_successful(), state
    assert state.result[amount].result == 3 * 3.0 + 2.5 * 7.5
    assert state.result[name].result == sys.argv[1]
    assert seen[-1] == "Success", seen
    again = FlowRunner(flow).run(return_tasks=[amount])
    assert list(again.result) == [amount], again.result
    assert isinstance(TaskRunner(cheer).run(), Success)
    print("done with", prefect.__name__)
'''


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False,
        timeout=100,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOOPLINE_URI", str(tmp_path / "home"))
    return tmp_path


def test_a_script_runs_with_not_a_line_changed(home: Path) -> None:
    (home / "fares.py").write_text(SCRIPT)
    done = run(home, "-m", "loopline.compat.prefect", "fares.py", "2022-03")
    assert done.returncode == 0, done.stderr
    assert "much 27.75" in done.stdout
    assert "done with loopline.compat.prefect" in done.stdout


def test_a_script_runs_with_one_word_changed(home: Path) -> None:
    changed = SCRIPT.replace("import prefect\n", "import loopline.compat.prefect as prefect\n")
    changed = changed.replace("from prefect", "from loopline.compat.prefect")
    (home / "fares.py").write_text(changed)
    done = run(home, "fares.py", "2022-03")
    assert done.returncode == 0, done.stderr
    assert "done with loopline.compat.prefect" in done.stdout


def test_a_flow_that_was_registered_so_runs_on_a_worker(home: Path) -> None:
    (home / "steps.py").write_text(
        "import prefect\n"
        "from prefect import task\n"
        "@task\n"
        "def name():\n"
        "    from prefect.engine import signals\n"
        "    raise signals.SUCCESS(prefect.context.flow_name)\n"
    )
    (home / "register.py").write_text(
        "from prefect import Flow\n"
        "from steps import name\n"
        "with Flow('named') as flow:\n"
        "    name()\n"
        "flow.register('moved')\n"
    )
    done = run(home, "-m", "loopline.compat.prefect", "register.py")
    assert done.returncode == 0, done.stderr
    asked = run(home, "-m", "loopline.cli", "flows", "run", "named", "--json")
    assert asked.returncode == 0, asked.stderr
    worker = subprocess.Popen([sys.executable, "-m", "loopline.cli", "worker"], cwd=home)
    try:
        # The worker has no prefect, and no alias before it loads the flow.
        made = json.loads(asked.stdout)["flow_run_id"]
        shown = run(home, "-m", "loopline.cli", "flow-runs", "logs", made, "--follow")
    finally:
        worker.terminate()
        worker.wait(30)
    listed = json.loads(run(home, "-m", "loopline.cli", "flow-runs", "list", "--json").stdout)
    assert [each["state"] for each in _runs(listed)] == ["Success"], shown.stdout + shown.stderr


def _runs(listed: object) -> list[dict[str, object]]:
    return listed if isinstance(listed, list) else listed["runs"]  # type: ignore[index]


def test_modules_are_there_once_the_package_is_imported(home: Path) -> None:
    (home / "script.py").write_text(
        "import prefect\n"
        "prefect.utilities.logging.get_logger().info('hello')\n"
        "assert prefect.engine.state.Failed.__name__ == 'Failed'\n"
        "prefect.schedules.clocks.CronClock('0 5 * * *')\n"
        "import prefect.tasks.control_flow.case\n"
        "assert isinstance(prefect.tasks.control_flow.case, type)\n"
        "assert not hasattr(prefect, 'nothing')\n"
    )
    done = run(home, "-m", "loopline.compat.prefect", "script.py")
    assert (done.returncode, done.stderr) == (0, "")


def test_modules_of_both_names_are_the_same(home: Path) -> None:
    (home / "same.py").write_text(
        "import prefect.engine.state, loopline.compat.prefect.engine.state as ours\n"
        "from prefect.engine.state import Failed\n"
        "assert prefect.engine.state is ours, (prefect.engine.state, ours)\n"
        "assert Failed is ours.Failed\n"
    )
    done = run(home, "-m", "loopline.compat.prefect", "same.py")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("from prefect.run_configs import DockerRun", "starts no containers"),
        ("from prefect.tasks.snowflake import SnowflakeQuery", "call its own library in a task"),
        ("import prefect.tasks.aws.s3", "call its own library in a task"),
        ("from prefect.storage import GitHub", "Leave it out"),
        ("import prefect.nothing", "No module named 'loopline.compat.prefect.nothing'"),
    ],
)
def test_what_is_not_here_says_what_to_do_instead(home: Path, line: str, said: str) -> None:
    (home / "script.py").write_text(line)
    done = run(home, "-m", "loopline.compat.prefect", "script.py")
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "SCRIPT [ARGUMENTS]"),
        (["nowhere.py"], 2, "no file 'nowhere.py'"),
        (["--help"], 0, "with not a line changed"),
    ],
)
def test_the_command_explains_itself(
    home: Path, arguments: list[str], status: int, said: str
) -> None:
    done = run(home, "-m", "loopline.compat.prefect", *arguments)
    assert done.returncode == status
    assert said in done.stdout + done.stderr
