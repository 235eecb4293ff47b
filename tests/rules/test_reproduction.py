"""What is run again where, which run it became, and how alike the two are."""

from __future__ import annotations

import pytest
from tests.rules.test_differences import basis, trips
from tests.rules.test_differences import environment as recorded

from loopline.errors import UnsupportedError
from loopline.records.environment import Environment, GitState
from loopline.records.reproduction import Likeness, Verdict
from loopline.records.tracking import MetricHistory, Run
from loopline.rules.differences import compare
from loopline.rules.reproduction import (
    NUMBER,
    Places,
    choose_run,
    first_difference,
    map_command,
    map_path,
    outcome_of,
    variables_for,
    verdict_of,
)

PYTHON = "/new/bin/python"
PLACES = Places(
    moved={"/repo": "/fresh", "/data/trips.csv": "/kept/trips.csv"},
    folder="/fresh",
    programs={"train": "/new/bin/train"},
)


def started(*command: str, folder: str = "/repo", **more: str) -> Environment:
    plain = recorded()
    return Environment(
        command=list(command),
        working_folder=folder,
        python=plain.python,
        machine=plain.machine,
        git=GitState(root="/repo", commit="a" * 40),
        **more,  # type: ignore[arg-type]
    )


def mapped(*command: str, folder: str = "/repo") -> list[str]:
    return map_command(started(*command, folder=folder), PLACES, PYTHON)[1:]


def test_a_script_runs_from_where_its_repository_is_now() -> None:
    assert mapped("python", "train.py", "3") == ["/fresh/train.py", "3"]
    assert mapped("python", "/repo/train.py") == ["/fresh/train.py"]
    assert mapped("python", "../train.py", folder="/repo/jobs") == ["/fresh/train.py"]
    assert mapped("python3", "-X", "dev", "-u", "train.py", "-u") == [
        "-X", "dev", "-u", "/fresh/train.py", "-u",
    ]  # fmt: skip


def test_modules_code_and_installed_commands_run_as_they_did() -> None:
    assert mapped("python", "-m", "fares.train", "--deep") == ["-m", "fares.train", "--deep"]
    assert mapped("python", "-c", "print(1)") == ["-c", "print(1)"]
    assert mapped("/usr/bin/python", "/usr/bin/train", "x") == ["/new/bin/train", "x"]
    assert mapped("python", "/usr/bin/loopline", "demo") == ["-m", "loopline.cli", "demo"]


def test_a_file_that_a_command_of_ours_ran_is_where_it_was_put() -> None:
    def turned(place: str, folder: str) -> str:
        line = ("python", "/usr/bin/loopline", "lifecycle", "turn", place, "--until", "2022-03")
        environment = started(*line, folder=folder)
        found = map_command(environment, PLACES, PYTHON, ["taxi.py"])
        assert found[1:5] == ["-m", "loopline.cli", "lifecycle", "turn"]
        return found[5]

    assert turned("loops/taxi.py:loop", "/home/ada") == "/fresh/taxi.py:loop"
    assert turned("/home/ada/taxi.py", "/srv") == "/fresh/taxi.py"
    assert turned("other.py", "/home/ada") == "other.py"
    # Committed, it is not among the sources, and the command runs in the checkout.
    assert turned("loops/other.py", "/repo") == "loops/other.py"


def test_arguments_follow_what_moved() -> None:
    assert mapped("python", "train.py", "/data/trips.csv", "--out=/repo/out", "--n=3") == [
        "/fresh/train.py", "/kept/trips.csv", "--out=/fresh/out", "--n=3",
    ]  # fmt: skip
    assert map_path("/repository", PLACES.moved) is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (started("python", "train.py", source_type="NOTEBOOK"), "--cells"),
        (started("python", "train.py", "--token", "[redacted]"), "looked like a secret"),
        (started("python"), "at a prompt"),
        (started("python", "-m", "ipykernel_launcher", "-f", "x"), "at a prompt"),
        (started("python", "-m", "loopline.worker.process"), "another program"),
        (started("python", "/usr/bin/other"), "'other'"),
        (started("python", "/elsewhere/train.py"), "no repository"),
    ],
)
def test_what_cannot_be_run_again_is_refused_with_the_next_step(
    environment: Environment, said: str
) -> None:
    with pytest.raises(UnsupportedError, match="--c") as error:
        map_command(environment, PLACES, PYTHON)
    assert said in str(error.value)


def test_threads_are_as_many_as_there_were() -> None:
    chosen, notes = variables_for(recorded(), 8)
    assert chosen == {}
    assert "PYTHONHASHSEED" in notes[0]


# --- which run ----------------------------------------------------------------------------------


def run(number: str = "", **more: object) -> Run:
    tags = {NUMBER: number} if number else {}
    return Run(run_id="a" * 32, experiment_id="0", tags=tags, **more)  # type: ignore[arg-type]


def test_the_counterpart_has_the_same_number_in_its_process() -> None:
    first, second = run("1", name="first"), run("2", name="second")
    assert choose_run(run("2"), [first, second]) is second
    assert choose_run(run("3"), [first, second]) is None


def test_in_a_flow_the_task_and_its_params_tell_it() -> None:
    old = run("7", flow_run_id="f", task_slug="fit-1", params={"month": "2"})
    runs = [
        run("1", task_slug="fit-1", params={"month": "1"}),
        run("2", task_slug="fit-1", params={"month": "2"}),
        run("7", task_slug="score-1", params={"month": "2"}),
    ]
    assert choose_run(old, runs) is runs[1]


# --- how alike ----------------------------------------------------------------------------------


def history(*values: float, first: int = 0) -> MetricHistory:
    steps = list(range(first, first + len(values)))
    return MetricHistory(
        key="rmse",
        steps=steps,
        timestamps_ms=steps,
        values=list(values),
        total=len(values),
    )


def test_a_metric_is_identical_within_or_different_from_a_step_on() -> None:
    old = history(3.0, 2.0, float("nan"))
    same = outcome_of("rmse", old, history(3.0, 2.0, float("nan")), 1e-6)
    near = outcome_of("rmse", old, history(3.0, 2.0 + 1e-9, float("nan")), 1e-6)
    far = outcome_of("rmse", old, history(3.0, 2.1, 5.0), 1e-6)
    short = outcome_of("rmse", old, history(3.0), 1e-6)
    other = outcome_of("rmse", old, history(3.0, 2.0, 1.0, first=1), 1e-6)
    gone = outcome_of("rmse", old, None, 1e-6)
    assert [(one.likeness, one.first_step) for one in (same, near, far, short, other, gone)] == [
        (Likeness.IDENTICAL, None),
        (Likeness.WITHIN, 1),
        (Likeness.DIFFERENT, 1),
        (Likeness.DIFFERENT, 1),
        (Likeness.DIFFERENT, 0),
        (Likeness.MISSING, None),
    ]
    assert verdict_of([same]) is Verdict.IDENTICAL
    assert verdict_of([same, near]) is Verdict.WITHIN
    assert verdict_of([near, gone]) is Verdict.DIFFERENT
    assert verdict_of([]) is Verdict.IDENTICAL


def test_what_differs_first_is_the_cause_and_then_the_metric() -> None:
    old, new = basis(inputs=[trips("a" * 64)]), basis(inputs=[trips("b" * 64)])
    outcome = outcome_of("rmse", history(3.0, 2.0), history(3.0, 2.5), 0)
    found = compare(old, new)
    said = first_difference(found, [outcome], old.run, new.run)
    assert said == "data: trips (digest); then metric rmse at step 1"
    same = compare(old, old)
    assert first_difference(same, [outcome], old.run, old.run) == "metric rmse at step 1"
    newer = basis(environment=recorded(packages={"numpy": "2.1"}), inputs=old.inputs)
    said = first_difference(compare(old, newer), [outcome], old.run, newer.run)
    assert said.startswith("environment: numpy was 2.0 and is 2.1; then")
    said = first_difference(compare(old, newer), [outcome], old.run, newer.run, ours={"numpy"})
    assert said == "metric rmse at step 1"
