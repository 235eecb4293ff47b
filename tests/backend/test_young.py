"""A script that is soon over leaves its record in the store without opening it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loopline.backend import young
from loopline.backend.local import LocalBackend
from loopline.backend.recorder import Recorder
from loopline.errors import LooplineError
from loopline.journal.stream import Series
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.flows import StateKind
from loopline.records.tracking import RunStatus
from loopline.settings import Address
from loopline.store import database, hand_in

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = "7" * 32
STARTED = f.RunStarted(run_id=RUN, experiment="taxifare", start_ms=1)
#: What every script says at its end: whether it had opened the store.
AT_THE_END = """
import atexit, json, sys
def say():
    print(json.dumps(sorted({"sqlalchemy", "asyncio", "numpy"} & set(sys.modules))))
atexit.register(say)  # Called after all that is registered later.
"""
TRACKS = """
import loopline
with loopline.start_run():
    loopline.log_metric("rmse", 4.0)
    loopline.log_param("depth", 6)
    loopline.log_text("hello", "note.txt")
"""
FLOWS = """
from loopline import Flow, get_run_logger, task

@task
def one():
    get_run_logger().info("Fitting.")
    return 1

with Flow("one") as flow:
    one()
flow.run()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    LocalBackend(Address("home", str(tmp_path))).close()
    return tmp_path


@pytest.fixture
def recorder(home: Path) -> Iterator[Recorder]:
    recorder = Recorder(Address("home", str(home)))
    yield recorder
    recorder.close()


def run(script: str, home: Path) -> list[str]:
    """Run a script; return which heavy modules it had imported at its end."""
    environment = {**os.environ, "LOOPLINE_URI": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END + script], env=environment, cwd=home,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def reader(home: Path) -> LocalBackend:
    return LocalBackend(Address("home", str(home)))


def is_opened(recorder: Recorder) -> bool:
    return recorder._backend is not None


def test_a_script_that_tracks_a_run_leaves_all_of_it(home: Path) -> None:
    assert run(TRACKS, home) == []
    assert list((home / "journal").iterdir()) == []
    backend = reader(home)
    (found,) = backend.call(ops.SearchRuns()).runs
    assert (found.status, found.params) == (RunStatus.FINISHED, {"depth": "6"})
    assert found.metrics["rmse"].value == 4.0
    files = {file.path: file for file in backend.call(ops.ListArtifacts(run_id=found.run_id))}
    assert b"".join(backend.read_blob(files["note.txt"].sha256)) == b"hello"
    backend.close()


def test_a_script_that_runs_a_flow_leaves_all_of_it(home: Path) -> None:
    assert run(FLOWS, home) == []
    backend = reader(home)
    (found,) = backend.call(ops.ListFlowRuns()).flow_runs
    assert found.state == StateKind.SUCCESS
    (task_run,) = backend.call(ops.ListTaskRuns(flow_run_id=found.flow_run_id))
    assert task_run.state == StateKind.SUCCESS
    (line,) = backend.call(ops.GetLogs(flow_run_id=found.flow_run_id))
    assert line.message == "Fitting."
    backend.close()


def test_sync_puts_it_in_its_place_for_who_reads_the_file(home: Path) -> None:
    run(TRACKS, home)
    query = "SELECT count(*) FROM runs WHERE status = 'FINISHED'"
    with closing(sqlite3.connect(home / "loopline.db")) as connection:
        assert connection.execute(query).fetchone() == (0,)
        environment = {**os.environ, "LOOPLINE_URI": str(home)}
        words = [str(Path(sys.executable).with_name("loopline")), "sync"]
        subprocess.run(words, env=environment, check=True, capture_output=True)
        assert connection.execute(query).fetchone() == (1,)


def test_a_run_that_its_process_leaves_open_is_over(home: Path) -> None:
    script = "import loopline\nloopline.backend.recorder.get_recorder().record(STARTED)\n"
    prepared = "import loopline.backend.recorder\nfrom loopline.records.facts import RunStarted\n"
    started = f"STARTED = RunStarted(run_id={RUN!r}, experiment='taxifare', start_ms=1)\n"
    assert run(prepared + started + script, home) == []
    backend = reader(home)
    found = backend.call(ops.GetRun(run_id=RUN))
    assert (found.status, found.end_reason) == (
        RunStatus.FAILED, "its process ended without ending the run",
    )  # fmt: skip
    backend.close()


def test_the_first_process_of_a_home_makes_the_store(tmp_path: Path) -> None:
    assert "sqlalchemy" in run(TRACKS, tmp_path)
    assert run(TRACKS, tmp_path) == []
    backend = reader(tmp_path)
    assert backend.call(ops.CountRuns()) == 2
    backend.close()


def test_who_asks_opens_the_store_and_finds_what_was_handed_in(recorder: Recorder) -> None:
    recorder.record(STARTED)
    recorder.flush()
    assert not is_opened(recorder)
    assert recorder.call(ops.GetRun(run_id=RUN)).status == RunStatus.RUNNING
    recorder.log_point(Series(RUN, "rmse"), 0, 5, 4.0)
    assert recorder.call(ops.GetRun(run_id=RUN)).metrics["rmse"].value == 4.0


def test_what_the_store_may_refuse_goes_there_at_once_and_is_told(recorder: Recorder) -> None:
    recorder.record(STARTED)
    recorder.record(f.ParamsLogged(run_id=RUN, params={"depth": "6"}))
    recorder.flush()
    assert not is_opened(recorder)
    recorder.record(f.ParamsLogged(run_id=RUN, params={"depth": "7"}))
    with pytest.warns(RuntimeWarning, match="Changing param values is not allowed"):
        recorder.flush()
    assert is_opened(recorder)


def test_a_process_that_goes_on_opens_the_store(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(young, "YOUNG_S", 0.0)
    recorder = Recorder(Address("home", str(home)))
    recorder.record(STARTED)
    recorder.flush()
    assert is_opened(recorder)
    recorder.close()


def test_a_forked_child_hands_in_for_itself(home: Path) -> None:
    script = """
import os, loopline
with loopline.start_run(run_name="parent"):
    loopline.flush()
    child = os.fork()
    if not child:
        with loopline.start_run(run_name="child", nested=True):
            pass
        loopline.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    loopline.log_metric("rmse", 4.0)
"""
    run(script, home)
    backend = reader(home)
    found = {run.name: run for run in backend.call(ops.SearchRuns()).runs}
    assert found["parent"].metrics["rmse"].value == 4.0
    assert set(found) == {"parent", "child"}
    backend.close()


def test_files_that_the_home_does_not_keep_itself_are_the_backends_work(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("blobs")
    monkeypatch.setenv("LOOPLINE_BLOBS", str(elsewhere))
    recorder = Recorder(Address("home", str(home)))
    recorder.record(STARTED)
    digest, size = recorder.stage_bytes(b"hello")
    logged = f.ArtifactLogged(run_id=RUN, path="a", sha256=digest, size_bytes=size, at_ms=1)
    recorder.record(logged)
    recorder.flush()
    assert is_opened(recorder)
    assert list((elsewhere / "stores").iterdir())  # Its note, which keeps them from others' gc.
    recorder.close()


def test_a_locked_store_keeps_the_record_in_the_journal(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_in, "WAIT_S", 0.05)
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.05)
    other = sqlite3.connect(home / "loopline.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    recorder = Recorder(Address("home", str(home)))
    recorder.record(STARTED)
    with pytest.warns(RuntimeWarning, match="locked"), pytest.raises(LooplineError):
        recorder.flush(5.0)
    other.execute("ROLLBACK")
    other.close()
    recorder.close()
    backend = reader(home)
    assert backend.call(ops.GetRun(run_id=RUN)).experiment_name == "taxifare"
    backend.close()
