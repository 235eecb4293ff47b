"""What is handed in past the store is durable at once, and in its place for whoever looks."""

from __future__ import annotations

import sqlite3
from array import array
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from loopline.backend.local import LocalBackend
from loopline.errors import NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.automations import Action, EventKind, Then, When
from loopline.records.flows import StateKind
from loopline.records.tracking import RunStatus
from loopline.settings import Address
from loopline.store import hand_in
from loopline.store.hand_in import HandedIn, HandIn
from loopline.store.version import VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITER = "7" * 32
TAXI, CAB = "1" * 32, "2" * 32


def batch(*facts: f.Fact, start: int = 0, writer: str = WRITER) -> f.Batch:
    return f.Batch(writer=writer, start=start, end=start + len(facts), facts=list(facts))


def started(run_id: str = TAXI) -> f.RunStarted:
    return f.RunStarted(run_id=run_id, experiment="fares", start_ms=1)


def point(run_id: str, value: float) -> f.MetricPoints:
    columns = {"steps": array("q", [0]), "timestamps_ms": array("q", [5])}
    values = array("d", [value]).tobytes()
    packed = {name: column.tobytes() for name, column in columns.items()}
    return f.MetricPoints(run_id=run_id, key="rmse", values=values, **packed)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    LocalBackend(Address("home", str(tmp_path))).close()
    return tmp_path


@pytest.fixture
def door(home: Path) -> Iterator[HandIn]:
    door = HandIn(home / "loopline.db")
    yield door
    door.close()


@pytest.fixture
def backend(home: Path) -> Iterator[LocalBackend]:
    backend = LocalBackend(Address("home", str(home)))
    yield backend
    backend.close()


def waiting(home: Path) -> int:
    """Count what waits, past the store, which would take it in."""
    with closing(sqlite3.connect(home / "loopline.db")) as connection:
        count: int = connection.execute("SELECT count(*) FROM ll_handed_in").fetchone()[0]
    return count


def test_a_store_that_is_open_finds_it_at_the_next_look(
    door: HandIn, backend: LocalBackend, home: Path
) -> None:
    assert door.put(HandedIn(batch=batch(started(), point(TAXI, 4.0))))
    assert waiting(home) == 1
    assert backend.call(ops.GetRun(run_id=TAXI)).metrics["rmse"].value == 4.0
    assert waiting(home) == 0

    ended = f.RunEnded(run_id=TAXI, status=RunStatus.FINISHED, end_ms=9)
    assert door.put(HandedIn(batch=batch(ended, start=2)))
    assert backend.call(ops.GetRun(run_id=TAXI)).status == RunStatus.FINISHED


def test_it_counts_once_when_the_same_is_sent_the_whole_road(
    door: HandIn, backend: LocalBackend
) -> None:
    first = batch(started(), point(TAXI, 4.0))
    assert door.put(HandedIn(batch=first))
    assert backend.send(first) == f.Receipt(acknowledged=2)
    assert backend.send(batch(point(TAXI, 3.0), start=2)).acknowledged == 3
    assert backend.call(ops.GetRun(run_id=TAXI)).metrics["rmse"].count == 2


def test_it_is_taken_in_under_the_time_at_which_it_came(
    door: HandIn, backend: LocalBackend, home: Path
) -> None:
    assert door.put(HandedIn(batch=batch(started()), gone="its process ended"))
    with closing(sqlite3.connect(home / "loopline.db")) as connection, connection:
        connection.execute("UPDATE ll_handed_in SET at_ms = 77")
    run = backend.call(ops.GetRun(run_id=TAXI))
    assert (run.status, run.end_ms, run.end_reason) == (RunStatus.FAILED, 77, "its process ended")


def test_points_by_request_find_a_run_that_was_only_handed_in(
    door: HandIn, backend: LocalBackend
) -> None:
    assert door.put(HandedIn(batch=batch(started())))
    calls = [ops.RecordFacts(facts=[point(run_id, 4.0)]) for run_id in (CAB, TAXI)]
    missing, taken = backend.record_together(calls)
    assert isinstance(missing, NotFoundError)
    assert taken is None
    assert backend.call(ops.GetRun(run_id=TAXI)).metrics["rmse"].value == 4.0


def test_an_automation_hears_of_it(door: HandIn, backend: LocalBackend) -> None:
    automation = backend.call(
        ops.CreateAutomation(
            name="mind", when=When(event=EventKind.FLOW_RUN, states=["Failed"]),
            then=Then(action=Action.LOG),
        )
    )  # fmt: skip
    state = f.FlowRunState(flow_run_id=TAXI, flow_name="fares", state=StateKind.FAILED, at_ms=5)
    assert door.put(HandedIn(batch=batch(state)))
    firings = backend.call(ops.ListFirings(automation_id=automation.automation_id))
    assert len(firings) == 1


def test_what_cannot_be_taken_in_is_refused_and_stops_nobody(
    door: HandIn, backend: LocalBackend, home: Path
) -> None:
    too_late = f.RunStarted(run_id=CAB, experiment="fares", start_ms=2**63)
    assert door.put(HandedIn(batch=batch(too_late, started())))
    with closing(sqlite3.connect(home / "loopline.db")) as connection, connection:
        connection.execute(
            "INSERT INTO ll_handed_in (at_ms, writer, acknowledged, data) VALUES (1, 'x', 1, X'79')"
        )
    assert backend.call(ops.GetRun(run_id=TAXI)).experiment_name == "fares"
    (refused,) = backend.call(ops.ListRefused(run_id=CAB))
    assert "cannot hold" in refused.reason
    (unreadable,) = backend.call(ops.ListRefused(run_id=""))
    assert "cannot be read" in unreadable.reason
    assert waiting(home) == 0


def test_a_batch_that_does_not_begin_where_the_store_has_the_journal_is_not_handed_in(
    door: HandIn, home: Path
) -> None:
    assert not door.put(HandedIn(batch=batch(started(), start=5)))
    assert door.put(HandedIn(batch=batch(started())))
    assert not door.put(HandedIn(batch=batch(started())))
    assert door.put(HandedIn(batch=batch(point(TAXI, 4.0), start=1)))
    assert door.put(HandedIn(batch=batch(started(CAB), writer="8" * 32)))
    assert waiting(home) == 3


def test_only_so_much_may_wait(
    door: HandIn, backend: LocalBackend, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(hand_in.MOST_ROWS):
        assert door.put(HandedIn(batch=batch(started(f"{number:032d}"), writer=str(number))))
    assert not door.put(HandedIn(batch=batch(started(), writer="one more")))
    backend.call(ops.CountRuns())
    assert waiting(home) == 0
    monkeypatch.setattr(hand_in, "MOST_BYTES", 10)
    assert not door.put(HandedIn(batch=batch(started(), writer="one more")))


def test_nothing_is_handed_in_where_no_store_of_this_version_is(tmp_path: Path) -> None:
    file = tmp_path / "loopline.db"
    door = HandIn(file)
    assert not door.put(HandedIn(batch=batch(started())))
    assert not file.exists()

    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE trips (fare REAL)")
    before = file.read_bytes()
    assert not door.put(HandedIn(batch=batch(started())))
    assert file.read_bytes() == before

    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32))")
        connection.execute(f"INSERT INTO {VERSION_TABLE} VALUES ('9999')")  # noqa: S608 - a constant
    assert not door.put(HandedIn(batch=batch(started())))
    door.close()


def test_a_locked_store_is_left_to_who_can_wait(
    door: HandIn, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_in, "WAIT_S", 0.05)
    with closing(sqlite3.connect(home / "loopline.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not door.put(HandedIn(batch=batch(started())))
        other.execute("ROLLBACK")
    assert door.put(HandedIn(batch=batch(started())))
