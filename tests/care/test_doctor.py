"""The doctor finds what is wrong, says why it matters and what to do, and changes nothing."""

from __future__ import annotations

import importlib.metadata
import os
import socket
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.server.running import running

from loopline.care.doctor.environment import examine_environment
from loopline.care.doctor.examine import examine
from loopline.care.doctor.findings import Finding, Level
from loopline.journal.journal import Journal, read_meta
from loopline.journal.stream import segment_path
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.settings import Address
from loopline.store.holders import LOCKS
from loopline.store.keyring import KEY_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.care.conftest import Story


def found(address: Address, *, thorough: bool = False) -> dict[str, Finding]:
    """Examine; return what is not fine, by its check."""
    findings = list(examine(address, thorough=thorough))
    for finding in findings:
        if finding.level in {Level.PROBLEM, Level.WARNING}:
            assert finding.why
            assert finding.next
    return {each.check: each for each in findings if each.level is not Level.FINE}


@pytest.mark.parametrize("thorough", [False, True])
def test_nothing_is_found_in_a_healthy_home(story: Story, *, thorough: bool) -> None:
    story.log_run(b"january", b"february")
    assert found(story.address, thorough=thorough) == {}
    assert found(Address("home", str(story.home)), thorough=thorough) == {}


def test_a_home_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    told = found(Address("home", str(tmp_path / "nothing")))
    assert told["home.exists"].level is Level.PROBLEM
    assert "loopline init" in told["home.exists"].next
    assert not (tmp_path / "nothing").exists()


def test_a_key_of_secrets_that_others_may_read_is_told(story: Story) -> None:
    story.backend.call(ops.SetSecret(name="LOT", value="the key of the taxi lot"))
    assert "home.secret-key" not in found(story.address)
    (story.home / KEY_FILE).chmod(0o640)
    told = found(story.address)["home.secret-key"]
    assert told.level is Level.WARNING
    assert "chmod 600" in told.next


def test_a_flipped_bit_in_a_file_is_found_and_its_run_named(story: Story) -> None:
    run_id = story.log_run(b"january", b"february")
    blob = story.blob(story.put(b"february"))
    blob.chmod(0o644)
    blob.write_bytes(b"gebruary")
    told = found(story.address)["blobs.damaged"]
    assert told.level is Level.PROBLEM
    assert f"trips/1.parquet of run {run_id[:8]}" in told.what


def test_a_missing_file_is_found_and_its_run_named(story: Story) -> None:
    run_id = story.log_run(b"january")
    story.blob(story.put(b"january")).unlink()
    told = found(story.address)["blobs.missing"]
    assert f"trips/0.parquet of run {run_id[:8]}" in told.what


def test_a_damaged_database_is_found(story: Story) -> None:
    for _ in range(20):
        story.log_run(points=400)
    story.backend.close()
    path = story.home / "loopline.db"
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 20_000] = os.urandom(20_000)
    path.write_bytes(bytes(data))
    told = found(story.address)["database.integrity"]
    assert "loopline restore" in told.next
    assert path.read_bytes() == bytes(data)


HOLDING = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_process_stopped_in_a_transaction_is_told(story: Story) -> None:
    command = [sys.executable, "-c", HOLDING, str(story.home / "loopline.db")]
    with subprocess.Popen(command) as process:
        assert os.waitid(os.P_PID, process.pid, os.WSTOPPED) is not None
        told = found(story.address)
        process.kill()
    if LOCKS.exists():  # Other systems do not say who holds a lock.
        assert f"kill -CONT {process.pid}" in told["database.held"].next
    assert found(story.address) == {}


@pytest.mark.parametrize(
    ("tables", "whose"),
    [
        (["alembic_version", "experiments", "runs"], "an MLflow store"),
        (["cabs"], "another program's tables"),
    ],
)
def test_a_foreign_database_is_named(tmp_path: Path, tables: list[str], whose: str) -> None:
    connection = sqlite3.connect(tmp_path / "loopline.db")
    for table in tables:
        connection.execute(f"CREATE TABLE {table} (a)")
    connection.close()
    assert whose in found(Address("home", str(tmp_path)))["database.ours"].what


def test_a_newer_schema_is_told_and_an_older_one_is_not_upgraded(story: Story) -> None:
    story.backend.close()
    for version, level in (("9999", Level.PROBLEM), ("0000", Level.NOTE)):
        connection = sqlite3.connect(story.home / "loopline.db")
        with connection:
            connection.execute("UPDATE ll_schema_version SET version_num = ?", [version])
        connection.close()
        assert found(story.address)["database.schema"].level is level
    connection = sqlite3.connect(story.home / "loopline.db")
    rows = connection.execute("SELECT version_num FROM ll_schema_version").fetchall()
    connection.close()
    assert rows == [("0000",)]


def test_journals_are_told_apart(story: Story) -> None:
    alive = Journal(story.home / "journal", str(story.home))
    assert found(story.address) == {}

    orphan = Journal(story.home / "journal", str(story.home))
    orphan.facts.append(f.TagsSet(run_id="ab" * 16, tags={"city": "New York"}))
    orphan.close(remove=False)
    told = found(story.address)
    assert set(told) == {"journals.orphans"}
    assert "loopline sync" in told["journals.orphans"].next

    segment = segment_path(orphan.folder / "facts", 1)
    data = bytearray(segment.read_bytes())
    data[60] ^= 1
    segment.write_bytes(bytes(data))
    assert found(story.address)["journals.damaged"].level is Level.PROBLEM
    alive.close(remove=True)


def test_journals_of_other_machines_and_of_the_future_are_told(story: Story) -> None:
    journal = Journal(story.home / "journal", str(story.home))
    journal.close(remove=False)
    meta = msgspec.structs.replace(
        read_meta(journal.folder),
        host="cluster-17",
        started_ms=time.time_ns() // 1_000_000 + 3_600_000,
    )
    (journal.folder / "meta.json").write_bytes(msgspec.json.encode(meta))
    told = found(story.address)
    assert set(told) == {"journals.elsewhere", "journals.clock"}
    assert "cluster-17" in told["journals.elsewhere"].what


def test_refused_records_and_silent_runs_are_noted(story: Story) -> None:
    run_id = story.log_run()
    bad = f.ParamsLogged(run_id=run_id, params={"": "empty key"})
    story.backend.send(f.Batch(writer="ab" * 16, start=0, end=1, facts=[bad]))
    then = story.backend.store.clock() - 3_600_000
    story.backend.store.clock = lambda: then
    story.send(f.RunStarted(run_id="cd" * 16, experiment="x", start_ms=then))
    told = found(story.address)
    assert set(told) == {"store.refused", "store.silent"}


def test_a_misspelt_setting_is_told(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE_BLOB", "s3://fares")
    assert "LOOPLINE_BLOBS" in found(story.address)["settings.unknown"].next


def test_a_server_is_asked_and_one_that_is_away_is_told(story: Story) -> None:
    with running(story.address) as url:
        told = found(Address("http", url))
    assert not {check for check in told if check.startswith("server")}
    away = found(Address("http", url))["server.answers"]
    assert "loopline server" in away.next


def test_another_program_on_the_port_is_told() -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        told = found(
            Address("http", f"http://{socket.gethostbyname('localhost')}:{server.server_port}")
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert told["server.ours"].level is Level.PROBLEM


def test_a_library_under_another_name_counts_as_its_extra() -> None:
    assert importlib.metadata.version("xgboost-cpu")
    (found,) = [one for one in examine_environment() if one.check == "python.extras"]
    there, _, absent = found.what.partition("; not:")
    assert "xgboost" in there
    assert "xgboost" not in absent
