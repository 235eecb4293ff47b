"""Waiting for things that come late, never, or while another worker has taken over."""

from __future__ import annotations

import sqlite3
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.flows.recording import ListRecorder
from tests.tasks.conftest import Answer

from loopline import Flow, signals, task
from loopline.errors import InvalidInputError
from loopline.flows.running.engine import run_flow
from loopline.records.flows import StateKind
from loopline.rules.patience import Patience
from loopline.tasks import WaitFor, WaitForFile, WaitForHttp, WaitForRow

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tasks.conftest import Server


def test_a_task_that_waits_lets_the_others_run(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv"

    @task
    def bring() -> None:
        path.write_text("fare")

    recorder = ListRecorder()
    with Flow("wait") as flow:
        there = WaitForFile(str(path), every_s=1.1)()
        bring()  # Runs after the first look, on the same one slot.
    state = run_flow(flow, recorder=recorder)
    assert state.result[there].result == str(path)
    slug = flow.slugs[there]
    assert recorder.states(slug) == [
        StateKind.RUNNING,
        StateKind.RETRYING,
        StateKind.RUNNING,
        StateKind.SUCCESS,
    ]


def test_the_task_fails_when_patience_ends_though_it_may_always_be_tried_again(
    tmp_path: Path,
) -> None:
    with Flow("wait") as flow:
        never = WaitForFile(str(tmp_path / "never"), wait_s=1.5, every_s=1.2)()
    state = run_flow(flow, recorder=ListRecorder())
    assert state.result[never].is_failed()
    assert "Gave up after" in state.result[never].message


def test_a_worker_that_takes_over_goes_on_with_the_patience_that_is_left(tmp_path: Path) -> None:
    from loopline.flows.context import run_values

    wait = WaitForFile(str(tmp_path / "never"), wait_s=100, every_s=10, longest_s=10)
    here = {"flow_run_id": "taken over", "task_slug": "wait-1", "map_index": -1}
    for count, outcome in ((5, signals.RETRY), (12, signals.FAIL)):
        token = run_values.set({**here, "task_run_count": count})
        with pytest.raises(outcome):
            wait.run()
        run_values.reset(token)


def test_giving_up_may_be_no_failure(tmp_path: Path) -> None:
    wait = WaitForFile(str(tmp_path / "never"), wait_s=0.05, every_s=0.01, on_timeout="none")
    assert wait.run() is None
    with pytest.raises(InvalidInputError, match="fail or none"):
        WaitForFile("x", on_timeout="skip")


def test_a_file_must_be_long_enough_and_written_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"x")
    done = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            for _ in range(40):
                file.write(b"x" * 10)
                if done.wait(0.01):
                    return

    writer = threading.Thread(target=grow)
    writer.start()
    WaitForFile(str(path), least_bytes=50, settled_s=0.2, every_s=0.01).run()
    assert path.stat().st_size == 401
    done.set()
    writer.join()


def test_a_folder_counts_when_a_file_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "one").write_text("1")
    assert WaitForFile(str(tmp_path / "inbox"), least_bytes=1).run() == str(tmp_path / "inbox")


def test_a_server_is_waited_for_until_it_says_what_is_wanted(server: Server) -> None:
    server.will_answer(
        Answer(503), Answer(body=b'{"state": "starting"}'), Answer(body=b'{"state": "ready"}')
    )
    answer = WaitForHttp(server.url, contains="ready", every_s=0.01).run()
    assert answer is not None
    assert answer.json() == {"state": "ready"}
    server.will_answer(Answer(404))
    assert WaitForHttp(server.url, status=404, every_s=0.01).run() is not None


def test_a_server_that_is_not_there_yet_is_waited_for(server: Server) -> None:
    url = server.url
    server.close()
    wait = WaitForHttp(url, wait_s=timedelta(seconds=0.05), every_s=0.01)
    with pytest.raises(signals.FAIL, match="Gave up"):
        wait.run()
    server.__init__()  # type: ignore[misc] # So that the fixture has something to close.


def test_a_row_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "loads.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE loads (month TEXT)")
    timer = threading.Timer(0.1, _load, [path])
    timer.start()
    wait = WaitForRow(
        "SELECT month FROM loads WHERE month = :month", f"sqlite:///{path}", every_s=0.02
    )
    assert wait.run(params={"month": "2022-01"}) == {"month": "2022-01"}
    timer.join()


def _load(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO loads VALUES ('2022-01')")
    connection.close()


def test_any_function_may_say_when_it_is_time() -> None:
    answers = iter([None, False, 0])
    assert WaitFor(lambda: next(answers), every_s=0.01).run() == 0
    with pytest.raises(ZeroDivisionError):
        WaitFor(lambda: 1 / 0).run()


@given(first=st.floats(0.01, 10), longest=st.floats(0.01, 100), looks=st.integers(1, 200))
def test_pauses_grow_to_the_longest_and_add_up(first: float, longest: float, looks: int) -> None:
    patience = Patience(first_s=first, longest_s=longest)
    pauses = [patience.pause_s(look) for look in range(1, looks + 1)]
    assert pauses == sorted(pauses)
    assert max(pauses) <= longest
    assert patience.paused_s(looks + 1) == pytest.approx(sum(pauses))
    assert patience.next_s(looks, 1e9) == pauses[-1]


@given(waited=st.floats(0, 200), looks=st.integers(1, 50))
def test_the_last_look_is_at_the_limit(waited: float, looks: int) -> None:
    after_s = Patience(limit_s=100.0).next_s(looks, waited)
    assert (after_s is None) == (waited >= 100)
    assert after_s is None or 0 < after_s <= 100 - waited
