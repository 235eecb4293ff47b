"""R11: a full disk is refused clearly, costs nothing acknowledged, and is over when there is room.

Each test runs on a real full disk, and where no process may write more bytes to any file.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from tests.reliability.serving import ServerProcess
from tests.reliability.small_disk import KINDS, SmallDisk
from tests.server.running import ask

from loopline.backend.adopt import adopt_orphans
from loopline.backend.http import HttpBackend
from loopline.backend.local import LocalBackend
from loopline.errors import BackendUnavailableError, LooplineError, StorageFullError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.tracking import RunStatus
from loopline.rules.points import Points
from loopline.server import health
from loopline.settings import Address
from loopline.store import sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RUN = "ab" * 16


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "disk", request.param)
    yield disk
    disk.close()


# --- a server ---


class Client:
    """Sends batches, commands and files, and keeps count of what was acknowledged."""

    def __init__(self, url: str, folder: Path) -> None:
        self.backend = HttpBackend(Address("http", url))
        self.experiments: list[str] = []
        self.blobs: list[str] = []
        self._file = folder / "model"
        self._writer = uuid.uuid4().hex
        self._acknowledged = 0

    def send(self, count: int = 100) -> None:
        start, end = self._acknowledged, self._acknowledged + count
        rows = [(step, step, step / 7) for step in range(start, end)]
        steps, times, values = Points.from_rows(rows).to_columns()
        fact = f.MetricPoints(
            run_id=RUN, key="rmse", steps=steps, timestamps_ms=times, values=values
        )
        batch = f.Batch(writer=self._writer, start=start, end=end, facts=[fact])
        receipt = self.backend.send(batch)
        assert receipt.refused == 0
        self._acknowledged = receipt.acknowledged

    def make(self) -> None:
        name = f"night {len(self.experiments)}"
        self.backend.call(ops.CreateExperiment(name=name))
        self.experiments.append(name)

    def upload(self, size: int = 100_000) -> None:
        self._file.write_bytes(os.urandom(size))
        self.blobs.append(self.backend.put_blob(self._file)[0])

    def check(self) -> None:
        history = self.backend.call(ops.GetMetricHistory(run_id=RUN, key="rmse"))
        assert history.steps == list(range(self._acknowledged))
        assert history.values == [step / 7 for step in history.steps]
        found = {each.name for each in self.backend.call(ops.ListExperiments())}
        assert found >= set(self.experiments)
        for digest in self.blobs:
            assert sum(map(len, self.backend.read_blob(digest))) > 0


def test_a_server_refuses_clearly_reads_on_and_recovers_by_itself(
    disk: SmallDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    took = []
    with ServerProcess(str(disk.root / "store"), tmp_path) as server:
        assert server.process is not None
        disk.of(server.process)
        client = Client(server.url, tmp_path)
        for _ in range(20):
            client.send()
            client.make()
        client.upload()
        for trial in range(3):
            disk.fill()
            # The WAL may have a little room left, so the first ones may be taken.
            for attempt in (client.send, client.make, client.upload):
                with pytest.raises(StorageFullError, match=r"(full|[Nn]o room).*ree some space"):
                    _again_and_again(attempt)
            with pytest.raises(StorageFullError):  # More than fits into what the sockets hold.
                client.upload(16_000_000)
            body = json.dumps({"name": "one too many"}).encode()
            answer = ask(
                server.url,
                "POST",
                "/api/v1/ops/create-experiment",
                body,
                {"Content-Type": "application/json"},
            )
            assert (answer.status, answer.headers["Retry-After"]) == (507, "1")
            client.check()
            assert ask(server.url, "GET", f"/runs/{RUN}").status == 200
            if not trial and disk.is_mounted:  # It looks at its disks once in five seconds.
                assert ask(server.url, "GET", "/health").text.startswith("WARNING: Less than")

            disk.free()
            began = time.monotonic()
            for attempt in (client.send, client.make, client.upload):
                _as_soon_as_there_is_room(attempt)
            took.append(time.monotonic() - began)
            client.check()
        assert server.process.poll() is None
        client.backend.close()
    with capsys.disabled():
        print(f" recovered in {max(took):.2f} s", end=" ")


def test_a_server_says_of_a_quota_what_it_says_of_a_full_disk(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path / "disk", "limited")
    wal = disk.root / "store" / "loopline.db-wal"
    room = 100_000  # Enough for a new file, and the database's are longer.
    with ServerProcess(str(disk.root / "store"), tmp_path) as server:
        assert server.process is not None
        disk.of(server.process)
        client = Client(server.url, tmp_path)
        while not wal.exists() or wal.stat().st_size < 2 * room:
            client.send()
            client.make()
        disk.fill(leave_bytes=room)
        for attempt in (client.send, client.make):
            with pytest.raises(StorageFullError, match=r"is full.*ree some space"):
                _again_and_again(attempt)
        client.check()
        disk.free()
        for attempt in (client.send, client.make):
            _as_soon_as_there_is_room(attempt)
        client.check()
        client.backend.close()


def test_a_disk_that_is_free_again_by_the_time_of_the_answer_was_full(tmp_path: Path) -> None:
    file, other = tmp_path / "loopline.db", tmp_path / "other" / "loopline.db"
    error = sqlite3.OperationalError("disk I/O error")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        assert isinstance(sqlite.translate(error, str(file), 1), StorageFullError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert isinstance(sqlite.translate(error, str(file), 1), StorageFullError)
    assert isinstance(sqlite.translate(error, str(other), 1), BackendUnavailableError)


def _again_and_again(attempt: Callable[[], None]) -> None:
    for _ in range(200):
        attempt()


def _as_soon_as_there_is_room(attempt: Callable[[], None]) -> None:
    began = time.monotonic()
    while True:
        try:
            attempt()
        except LooplineError:
            assert time.monotonic() - began < 30
            time.sleep(0.05)
        else:
            return


def test_health_warns_before_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SmallDisk(tmp_path / "disk", "mounted")
    backend = LocalBackend(Address("home", str(disk.root / "store")))
    backend.call(ops.EnsureExperiment(name="night"))
    assert health.Health(backend).answer() == {"status": "ok"}
    if disk.is_mounted:
        disk.fill(leave_bytes=1_000_000)
    else:  # Then every disk is one that is nearly full.
        monkeypatch.setattr(health, "RESERVE", 1.0)

    warned = health.Health(backend).answer()
    assert warned["status"] == "warning"
    assert "loopline gc" in warned["message"]
    backend.call(ops.EnsureExperiment(name="There is room still"))
    if disk.is_mounted:
        disk.free()
        assert health.Health(backend).answer() == {"status": "ok"}
    backend.close()
    disk.close()


# --- a training ---

#: Does what it is told, a line each, and says how that ended.
TRAINING = """
import json, sys
import loopline

step = 0

def points(count):
    global step
    for _ in range(count):
        loopline.log_metric("rmse", step / 2, step=step)
        step += 1

def text(name):
    loopline.log_text(f"fares until {name}" * 50_000, f"{name}.txt")

def param(name):
    loopline.log_param(name, "gbm")

def start(_):
    return loopline.start_run().run_id

def end(_):
    loopline.end_run()

for line in sys.stdin:
    word, given = json.loads(line)
    try:
        answer = globals()[word](given)
        error = ""
    except Exception as caught:
        answer, error = None, f"{type(caught).__name__}: {caught}"
    print(json.dumps([answer, error, step]), flush=True)
"""


class Training:
    """A training process that is told what to do.

    Attributes:
        steps: Points that it has logged: the calls returned.
    """

    def __init__(self, uri: str, home: Path) -> None:
        home.mkdir(exist_ok=True)
        (home / ".loopline").mkdir(exist_ok=True)
        self.steps = 0
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", TRAINING],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=home,
            env={**os.environ, "LOOPLINE_URI": uri, "HOME": str(home), "LOOPLINE_NO_CAPTURE": "1"},
        )  # fmt: skip

    def tell(self, word: str, given: object = None) -> str:
        """Have it do something; return what its call returned."""
        answer, error = self._tell(word, given)
        assert not error
        return str(answer)

    def fails(self, word: str, given: object = None) -> str:
        """Have it do something that fails; return the error."""
        _, error = self._tell(word, given)
        assert error
        return error

    def _tell(self, word: str, given: object) -> tuple[object, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([word, given]), file=self.process.stdin, flush=True)
        answer, error, self.steps = json.loads(self.process.stdout.readline())
        return answer, error

    def leave(self) -> None:
        """Let it come to its end."""
        self.process.communicate()
        assert self.process.returncode == 0


def wait_for_points(backend: HttpBackend | LocalBackend, run_id: str, count: int) -> float:
    """Wait until all points of a run are in the store, each once and in order."""
    began = time.monotonic()
    while True:
        history = backend.call(ops.GetMetricHistory(run_id=run_id, key="rmse"))
        if len(history) >= count:
            assert history.steps == list(range(count))
            return time.monotonic() - began
        assert time.monotonic() - began < 60
        time.sleep(0.05)


def texts_of(backend: HttpBackend | LocalBackend, run_id: str) -> list[str]:
    """List a run's files; each must have the bytes that were logged."""
    artifacts = backend.call(ops.ListArtifacts(run_id=run_id))
    for artifact in artifacts:
        name = artifact.path.removesuffix(".txt")
        content = b"".join(backend.read_blob(artifact.sha256))
        assert content == f"fares until {name}".encode() * 50_000
    return [artifact.path for artifact in artifacts]


def test_a_training_goes_on_while_the_disk_of_its_server_is_full(
    disk: SmallDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ServerProcess(str(disk.root / "store"), tmp_path) as server:
        assert server.process is not None
        disk.of(server.process)
        training = Training(server.url, tmp_path / "elsewhere")
        run_id = training.tell("start")
        training.tell("points", 1000)
        backend = HttpBackend(Address("http", server.url))
        wait_for_points(backend, run_id, 1000)

        disk.fill()
        for number in range(3):
            training.tell("points", 10_000)
            training.tell("text", f"full {number}")
            training.tell("param", f"full {number}")
            time.sleep(0.3)
        stored = backend.call(ops.GetRun(run_id=run_id)).metrics["rmse"].count
        assert stored < training.steps  # Else the disk was not full.
        disk.free()
        took_s = wait_for_points(backend, run_id, training.steps)
        training.tell("end")
        training.leave()

        run = backend.call(ops.GetRun(run_id=run_id))
        assert run.params == {f"full {number}": "gbm" for number in range(3)}
        assert texts_of(backend, run_id) == [f"full {number}.txt" for number in range(3)]
        assert run.status is RunStatus.FINISHED
        backend.close()
    with capsys.disabled():
        print(f" all there after {took_s:.2f} s", end=" ")


def test_a_training_whose_journal_has_no_room_is_told_and_loses_nothing_that_returned(
    disk: SmallDisk, tmp_path: Path
) -> None:
    address = Address("home", str(disk.root / "home"))
    training = Training(address.text, tmp_path / "user")
    disk.of(training.process)
    run_id = training.tell("start")
    training.tell("points", 1000)
    training.tell("text", "before")

    disk.fill()
    full = "StorageFullError: No room for the journal"
    # Its first segment has some room yet.
    assert training.fails("points", 100_000).startswith(full)
    assert training.fails("text", "lost").startswith(full)
    assert training.fails("param", "lost").startswith(full)
    assert training.fails("points", 1).startswith(full)
    assert 1000 < training.steps < 100_000
    assert not list((disk.root / "home" / "journal").glob("*/staged/tmp*"))
    disk.free()
    training.tell("points", 1000)  # Goes on where it was refused: no step is missing.
    training.tell("text", "after")
    training.tell("end")
    training.leave()

    backend = LocalBackend(address)
    wait_for_points(backend, run_id, training.steps)
    run = backend.call(ops.GetRun(run_id=run_id))
    assert (run.status, run.params) == (RunStatus.FINISHED, {})
    assert texts_of(backend, run_id) == ["after.txt", "before.txt"]
    backend.close()
    assert not list((disk.root / "home" / "journal").iterdir())


def test_a_training_killed_on_a_full_disk_loses_nothing_that_returned(
    disk: SmallDisk, tmp_path: Path
) -> None:
    address = Address("home", str(disk.root / "home"))
    training = Training(address.text, tmp_path / "user")
    disk.of(training.process)
    run_id = training.tell("start")
    training.tell("points", 1000)
    disk.fill()
    training.fails("points", 100_000)
    training.process.kill()
    training.process.communicate()
    disk.free()

    backend = LocalBackend(address)
    adopt_orphans(disk.root / "home", address, backend)
    wait_for_points(backend, run_id, training.steps)
    assert backend.call(ops.GetRun(run_id=run_id)).status is RunStatus.FAILED
    backend.close()


def test_a_training_that_starts_on_a_full_disk_is_told_and_leaves_nothing(
    disk: SmallDisk, tmp_path: Path
) -> None:
    address = Address("home", str(disk.root / "home"))
    LocalBackend(address).close()
    training = Training(address.text, tmp_path / "user")
    disk.of(training.process)
    disk.fill()
    error = training.fails("start")
    assert error.startswith("StorageFullError: No room for the journal")
    assert not list((disk.root / "home" / "journal").iterdir())
    disk.free()
    training.tell("start")
    training.tell("points", 10)
    training.tell("end")
    training.leave()


def test_a_command_on_a_full_disk_says_so(tmp_path: Path) -> None:
    def tell(*command: str) -> str:
        # No process of it may write a byte: where a disk is full to the last one.
        limited = 'ulimit -f 0 && exec "$0" -m loopline.cli "$@"'
        done = subprocess.run(
            ["bash", "-c", limited, sys.executable, *command],  # noqa: S607
            env={**os.environ, "LOOPLINE_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)},
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    LocalBackend(Address("home", str(tmp_path / "home"))).close()
    assert "is full" in tell("runs", "list")
    assert "free some space" in tell("backup", str(tmp_path / "backup.tar"))
