"""``loopline demo taxifare`` behaves: exit codes, Ctrl-C, a second run, the server it leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pandas as pd
import pytest
from pyarrow import parquet
from sklearn.linear_model import LinearRegression

import loopline
import loopline.sklearn
from loopline.backend.open import open_backend
from loopline.backend.recorder import close_recorders
from loopline.demo import TAXI_MONTHS
from loopline.demo.endings import say_alarm, say_served
from loopline.demo.live import LiveModel, Trip, make_trips
from loopline.demo.simulated_city import make_month
from loopline.demo.story import MonthLine, Story, draw_picture, draw_text, make_table, sum_up
from loopline.demo.taxifare import check_extras, make_demo_home
from loopline.errors import LooplineError, MissingExtraError
from loopline.records.operations import ListVersions, SearchRuns
from loopline.settings import parse_address

DEMO = [sys.executable, "-m", "loopline.cli", "demo", "taxifare"]


@pytest.fixture(scope="module")
def small_months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first trips of each month of the simulated city."""
    folder = tmp_path_factory.mktemp("small")
    for month in TAXI_MONTHS:
        path = folder / f"green_tripdata_{month}.parquet"
        parquet.write_table(make_month(month).slice(0, 1500), path)
    return folder


@pytest.fixture(autouse=True)
def no_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")


@pytest.fixture(scope="module")
def interrupted(
    small_months: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int, str]:
    """A home in which a demo was stopped in its third month; its exit code and error output."""
    home = tmp_path_factory.mktemp("interrupted") / "home"
    with subprocess.Popen(
        [*DEMO, "--data", str(small_months), "--home", str(home), "--exit"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "LOOPLINE_NO_CAPTURE": "1"},
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith("2022-03"):
                break
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate()
    return home, run.returncode, stderr


def test_ctrl_c_in_the_middle_ends_cleanly_with_130(interrupted: tuple[Path, int, str]) -> None:
    _, code, stderr = interrupted
    assert code == 130
    assert "Traceback" not in stderr
    assert "Stopped. Run it again to begin anew." in stderr


def test_ctrl_c_ends_the_serving_process_too(interrupted: tuple[Path, int, str]) -> None:
    home, _, _ = interrupted
    assert (home / "serving.log").exists()  # There was one.
    assert str(home) not in _commands()


def test_a_second_run_in_one_home_tells_its_own_story_and_leaves_a_server(
    interrupted: tuple[Path, int, str], small_months: Path
) -> None:
    home, _, _ = interrupted
    options = ["--data", str(small_months), "--home", str(home), "--json", "--port", "0"]
    with subprocess.Popen(
        [*DEMO, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr is not None
        shown = ""
        while "Ctrl-C stops the server" not in shown:
            line = demo.stderr.readline()
            assert line, shown
            shown += line
        link = re.search(r"See it at (\S+)", shown)
        assert link is not None
        page = _get(link[1])
        demo.send_signal(signal.SIGINT)
        stdout, stderr = demo.communicate()
    assert demo.returncode == 0
    assert "Traceback" not in stderr

    # It begins without a Production model again: the first one's is another model.
    story = json.loads(stdout)
    assert story["model_name"] == "taxifare_model_2"
    assert "2022-02: no Production model of taxifare_model_2 yet" in shown
    assert story["months"][1]["decision"].startswith("promoted v1: there was no champion")
    check_labels(story, page, shown)


def test_sigterm_ends_the_serving_process_too(small_months: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    options = ["--data", str(small_months), "--home", str(home), "--exit"]
    with subprocess.Popen(
        [*DEMO, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as demo:  # fmt: skip
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("2023-01"):
                break
        assert str(home) in _commands()
        demo.send_signal(signal.SIGTERM)
        _, stderr = demo.communicate()
    assert demo.returncode == 130
    assert "Traceback" not in stderr
    assert str(home) not in _commands()


def _tell_unserved(months: Path, home: Path, *more: str) -> dict[str, Any]:
    options = ["--data", str(months), "--home", str(home), "--exit", "--no-serve", "--json", *more]
    done = subprocess.run([*DEMO, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    story: dict[str, Any] = json.loads(done.stdout)
    return story


def test_without_serving_and_from_a_warehouse_it_is_the_same_story(
    small_months: Path, tmp_path: Path
) -> None:
    story = _tell_unserved(small_months, tmp_path / "home")
    again = _tell_unserved(small_months, tmp_path / "other", "--warehouse")
    assert again["months"] == story["months"]
    assert (tmp_path / "other" / "warehouse.duckdb").exists()
    assert not (tmp_path / "home" / "warehouse.duckdb").exists()
    assert again["origin"] == "simulated city"

    assert story["served"] is None
    assert story["incident"]["live_error"] is None
    assert "was rolled back" in story["summary"]
    assert not (tmp_path / "home" / "serving.log").exists()


def test_a_serving_process_that_cannot_begin_says_why_and_how_to_do_without(
    tmp_path: Path,
) -> None:
    with (
        LiveModel("no_such_model", tmp_path, []) as live,
        pytest.raises(LooplineError, match=r"no_such_model.*--no-serve"),
    ):
        live.wait_for(1)
    assert live.stop().requests == 0


def test_what_is_not_answered_is_counted_as_a_failure(tmp_path: Path) -> None:
    loopline.set_tracking_uri(tmp_path)
    try:
        trips = pd.DataFrame({"miles": [1.0, 2.0, 3.0]})
        fares = 3 + 2 * trips["miles"]
        with loopline.start_run():
            loopline.sklearn.log_model(
                LinearRegression().fit(trips, fares), "model",
                registered_model_name="fares", input_example=trips,
            )  # fmt: skip
        loopline.registry.transition_stage("fares", 1, "Production")
        with LiveModel("fares", tmp_path, make_trips(trips, fares)) as live:
            live.wait_for(1, answers=10)
            assert live.rmse(1) == pytest.approx(0, abs=1e-9)
            live.ask_about([Trip(b'{"inputs": {"minutes": [1]}}', 5.0)])
            time.sleep(1)
            served = live.stop()
    finally:
        close_recorders()
        loopline.set_tracking_uri(None)
    assert served.failures > 0
    assert served.requests == served.failures + served.versions[0].requests
    assert served.first_failure.startswith("ValueError: 400")
    assert f"{served.failures:,} failed. The first: ValueError: 400" in say_served(served)


def check_labels(story: dict[str, Any], page: str, shown: str) -> None:
    """Check that simulated trips are labelled wherever they show."""
    assert story["is_simulated"]
    assert story["origin"] == "simulated city"
    assert "Simulated city" in story["summary"]
    assert "fare error over time (simulated city)" in page
    assert "those of a simulated city" in shown
    assert "Fare error month by month: simulated city" in shown
    assert "2022-02 (simulated city): promoted v1" in shown
    picture = Path(story["picture"])
    assert "SIMULATED CITY" in picture.read_text()
    assert "simulated" in picture.name

    backend = open_backend(parse_address(story["home"]))
    try:
        runs = backend.call(SearchRuns()).runs
        assert {run.tags["data.origin"] for run in runs} == {"simulated city"}
        for version in backend.call(ListVersions(name="taxifare_model_2")):
            assert "simulated city" in version.description
            assert version.tags["data.origin"] == "simulated city"
    finally:
        backend.close()


def test_a_missing_month_ends_with_1_and_its_name(small_months: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for path in small_months.iterdir():
        if "2023-02" not in path.name:
            (tmp_path / "data" / path.name).hardlink_to(path)
    done = subprocess.run(
        [*DEMO, "--data", "data", "--exit"], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "green_tripdata_2023-02.parquet is missing" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".loopline-demo").exists()


def test_a_wrong_option_ends_with_2() -> None:
    done = subprocess.run(
        [*DEMO, "--model", "xgboost"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "sklearn" in done.stderr


def test_each_run_gets_a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    homes = [make_demo_home(None) for _ in range(3)]
    assert [home.relative_to(tmp_path).as_posix() for home, _ in homes] == [
        f".loopline-demo/{number}/.loopline" for number in (1, 2, 3)
    ]
    assert all(pictures == home.parent for home, pictures in homes)
    wished = make_demo_home(tmp_path / "mine")
    assert wished == (tmp_path / "mine", tmp_path / "mine")


def test_what_is_not_installed_is_said_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "skops", None)  # How Python marks what cannot be imported.
    with pytest.raises(MissingExtraError, match=r'pip install "loopline\[demo\]"'):
        check_extras("sklearn")


# --- the end of the story ---------------------------------------------------------------------

LINES = [
    MonthLine(month="2022-01", rows=57691, decision="nothing to train on yet"),
    MonthLine(
        month="2022-02", rows=64303, challenger=3.8, challenger_version=1,
        decision="promoted v1: there was no champion to compare with", promoted=True, version=1,
    ),
    MonthLine(
        month="2023-01", rows=63913, production=5.92, challenger=5.68, challenger_version=2,
        decision="kept v1: v2 is better by 4.1 %, below the 5 % asked for", version=1,
    ),
]  # fmt: skip


def _story(*, is_simulated: bool) -> Story:
    origin = "simulated city" if is_simulated else "TLC green-taxi trips"
    return Story(
        origin=origin,
        is_simulated=is_simulated,
        model="sklearn",
        model_name="taxifare_model",
        home="home",
        summary=sum_up(LINES, origin),
        months=LINES,
    )


def test_the_summary_is_told_from_the_numbers() -> None:
    assert _story(is_simulated=False).summary == (
        "TLC green-taxi trips: the Production model was off by 5.92 dollars in 2023-01, 5.92 in "
        "2023-01 at its worst, and 5.92 in 2023-01. Promoted: v1 in 2022-02."
    )
    assert sum_up(LINES[:2], "simulated city") == (
        "Simulated city: no model was in Production yet."
    )


def test_no_alarm_is_told_where_there_was_none() -> None:
    assert say_alarm(LINES) == ""
    alarmed = msgspec.structs.replace(
        LINES[2], alarm=True, worse_by=0.56, drifted=["error", "fare"]
    )
    assert say_alarm([*LINES[:2], alarmed]) == (
        "The alarm sounded in 2023-01: 56 % worse than when it was promoted, and error and fare "
        "drifted. v2, trained on months before that, was refused."
    )


@pytest.mark.parametrize("is_simulated", [False, True])
def test_the_picture_and_the_table_say_what_the_trips_are(*, is_simulated: bool) -> None:
    story = _story(is_simulated=is_simulated)
    assert ("SIMULATED CITY" in draw_picture(story)) is is_simulated
    assert "v1 promoted" in draw_picture(story)
    assert story.origin in str(make_table(story).title)
    assert story.origin in draw_text(story, width=78)


def _commands() -> str:
    """List what runs on this machine."""
    done = subprocess.run(
        ["/bin/ps", "-eo", "args", "-ww"], capture_output=True, text=True, check=True
    )
    return done.stdout


def _get(url: str) -> str:
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()
    finally:
        connection.close()
