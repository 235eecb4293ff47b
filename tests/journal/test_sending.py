"""Closing, restoring and adopting: whatever happens around a journal, its records arrive once."""

from __future__ import annotations

import threading
import time
import warnings
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import pytest

from loopline.backend.adopt import adopt_orphans
from loopline.backend.local import LocalBackend
from loopline.backend.recorder import Recorder
from loopline.errors import NotFoundError
from loopline.journal.format import DEFINITION, DEFINITION_KIND, FACT, RECORDS
from loopline.journal.journal import META, Journal
from loopline.journal.stream import Series
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.flows import LogLine
from loopline.records.tracking import RunStatus
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STARTED = f.RunStarted(run_id="taxi", experiment="wagoncab taxifare", start_ms=1000)


@pytest.fixture
def address(tmp_path: Path) -> Address:
    return Address("home", str(tmp_path))


@pytest.fixture
def backend(address: Address) -> Iterator[LocalBackend]:
    backend = LocalBackend(address)
    yield backend
    backend.close()


def test_a_thread_that_logs_while_the_journal_is_closed_loses_nothing(address: Address) -> None:
    recorder = Recorder(address)
    recorder.record(STARTED)
    stop = threading.Event()
    logged = [0]

    def log() -> None:
        while not stop.is_set():
            recorder.log_point(Series("taxi", "rmse"), logged[0], 0, 1.0)
            logged[0] += 1
            if logged[0] % 20 == 0:
                time.sleep(0.0005)

    thread = threading.Thread(target=log)
    thread.start()
    for _ in range(5):
        time.sleep(0.1)
        recorder.close()
    stop.set()
    thread.join()
    history = recorder.call(ops.GetMetricHistory(run_id="taxi", key="rmse"))
    recorder.close()
    assert history.steps == list(range(logged[0]))


def test_a_run_left_open_by_a_process_that_ended_is_closed(
    address: Address, backend: LocalBackend
) -> None:
    recorder = Recorder(address)
    recorder.record(STARTED)
    recorder.close()
    run = backend.call(ops.GetRun(run_id="taxi"))
    assert run.status is RunStatus.FAILED
    assert run.end_reason == "its process ended without ending the run"


def test_a_store_that_forgot_the_writer_is_offered_all_that_is_still_here(
    address: Address, backend: LocalBackend
) -> None:
    recorder = Recorder(address)
    recorder.record(STARTED)
    recorder.flush()
    with backend.store.write() as connection:  # As if restored from before this writer's time.
        for table in ("ll_writer_run", "ll_run_event", "ll_run", "ll_writer"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - fixed names
    recorder.log_point(Series("taxi", "rmse"), 0, 0, 4.0)
    run = recorder.call(ops.GetRun(run_id="taxi"))
    recorder.close()
    assert run.experiment_name == "wagoncab taxifare"
    assert run.metrics["rmse"].value == 4.0


def orphan(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal", str(tmp_path))
    journal.facts.append(STARTED)
    return journal


def test_an_orphan_from_a_newer_version_waits_and_keeps_no_other_back(
    tmp_path: Path, address: Address, backend: LocalBackend
) -> None:
    newer = orphan(tmp_path)
    newer.facts._put(bytes((FACT,)) + b"\x81\xa4type\xa6future")
    newer.close(remove=False)
    meta = msgspec.structs.replace(newer.meta, format=RECORDS + 1)
    (newer.folder / META).write_bytes(msgspec.json.encode(meta))
    newer.folder.rename(tmp_path / "journal" / ("0" * 32))  # It comes first.
    other = Journal(tmp_path / "journal", str(tmp_path))
    other.facts.append(f.RunStarted(run_id="tips", start_ms=1))
    other.close(remove=False)

    assert adopt_orphans(tmp_path, address, backend) == ["tips"]
    assert (tmp_path / "journal" / ("0" * 32)).is_dir()


def test_a_record_that_is_no_fact_is_refused_for_good_and_blocks_nothing(
    tmp_path: Path, address: Address, backend: LocalBackend
) -> None:
    journal = orphan(tmp_path)
    journal.facts.append_point(Series("taxi", "rmse"), 0, 1, 4.0)
    journal.facts._end = journal.facts._offset
    journal.facts._put(bytes((FACT,)) + msgspec.msgpack.encode({"type": "tags", "run_id": 5}))
    journal.facts._put(DEFINITION.pack(DEFINITION_KIND, 1) + msgspec.msgpack.encode((5, "rmse")))
    journal.facts._offset = journal.facts._end
    nameless = Series("nobody", "mae")
    nameless.segment, nameless.number = journal.facts._segment, 1
    journal.facts.append_point(nameless, 0, 1, 1.0)
    journal.facts.append_point(Series("taxi", "rmse"), 1, 1, 3.0)
    journal.close(remove=False)

    assert adopt_orphans(tmp_path, address, backend) == ["taxi"]
    assert not journal.folder.exists()
    run = backend.call(ops.GetRun(run_id="taxi"))
    assert (run.metrics["rmse"].count, run.metrics["rmse"].value) == (2, 3.0)
    reasons = [each.reason for each in backend.call(ops.ListRefused(run_id=""))]
    assert len(reasons) == 2
    assert all("is no fact: Expected" in reason for reason in reasons)


def test_an_orphan_that_is_damaged_is_sent_as_far_as_it_can_be_read_and_kept(
    tmp_path: Path, address: Address, backend: LocalBackend
) -> None:
    journal = orphan(tmp_path)
    for step in range(100):
        journal.facts.append_point(Series("taxi", "rmse"), step, step, 1.0)
    end = journal.facts.tail & 0xFFFFFFFF
    journal.close(remove=False)
    segment = journal.folder / "facts" / "00000001.seg"
    data = bytearray(segment.read_bytes())
    data[end - 400] ^= 1
    segment.write_bytes(data)

    with pytest.warns(RuntimeWarning, match="cannot be read"):
        assert adopt_orphans(tmp_path, address, backend) == ["taxi"]

    assert 0 < backend.call(ops.GetRun(run_id="taxi")).metrics["rmse"].count < 100
    assert (tmp_path / "damaged" / journal.folder.name).is_dir()


def test_a_copied_journal_cannot_name_a_file_outside_itself(
    tmp_path: Path, address: Address, backend: LocalBackend
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    journal = orphan(tmp_path)
    journal.facts.append(
        f.ArtifactLogged(run_id="taxi", path="x", sha256=str(secret), size_bytes=6, at_ms=1)
    )
    journal.close(remove=False)
    adopt_orphans(tmp_path, address, backend)
    with pytest.raises(NotFoundError):
        backend.blob_size(sha256(b"canary").hexdigest())


def test_a_file_that_was_damaged_on_its_way_is_left_out_and_said(
    tmp_path: Path, address: Address, backend: LocalBackend
) -> None:
    journal = orphan(tmp_path)
    digest = sha256(b"weights").hexdigest()
    (journal.staged / digest).write_bytes(b"")
    journal.facts.append(
        f.ArtifactLogged(run_id="taxi", path="model", sha256=digest, size_bytes=7, at_ms=1)
    )
    journal.close(remove=False)
    with pytest.warns(RuntimeWarning, match="Log it again"):
        adopt_orphans(tmp_path, address, backend)
    assert backend.call(ops.ListArtifacts(run_id="taxi")) == []


def test_log_lines_beyond_their_quota_are_left_out_and_counted(
    address: Address, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopline.journal.journal.LOG_BYTES", 3 * 2**20)
    recorder = Recorder(address)

    def write(number: int) -> None:
        line = LogLine(flow_run_id="night", at_ms=number, level=20, message=f"{number} " + "x" * 99)
        recorder.record(f.LogsWritten(lines=[line] * 100))

    assert recorder.journal
    with recorder.working[0], warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for number in range(400):
            write(number)
        recorder.record(STARTED)  # All else has no quota.
    assert ["quota of 3 MB" in str(each.message) for each in told] == [True]
    recorder.flush()
    write(400)
    recorder.flush()

    lines = backend.call(ops.GetLogs(flow_run_id="night", limit=50_000))
    kept = sum(line.message.endswith("xxx") for line in lines)
    (note,) = [line.message for line in lines if "left out" in line.message]
    assert 0 < kept < 40_100
    assert note.startswith(f"{40_100 - kept:,} lines were left out")
    assert backend.call(ops.GetRun(run_id="taxi")).experiment_name == "wagoncab taxifare"
    recorder.close()


def test_the_address_of_a_journal_is_for_its_owner_alone(address: Address) -> None:
    recorder = Recorder(address)
    recorder.record(STARTED)
    assert (recorder.journal.folder / META).stat().st_mode & 0o077 == 0
    recorder.close()
