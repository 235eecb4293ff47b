"""R15: a backup of a store under load is a state that it was in, checked, and whole or none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from random import Random
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from tests.reliability import backup_work as work
from tests.reliability.small_disk import SmallDisk

from loopline.backend.local import LocalBackend
from loopline.care.backup import back_up
from loopline.care.restore import check_backup, restore
from loopline.errors import IntegrityError, NotFoundError, StorageFullError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.rules.points import Points
from loopline.settings import Address
from loopline.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres import PostgresServer

TARGETS = ("folder", "backup.tar")


class Busy:
    """A store that several processes write to.

    Attributes:
        address: The store.
        counts: Where its writers count.
    """

    def __init__(self, address: Address, folder: Path) -> None:
        """Fill it a little, that a backup takes its time, and let the writers loose."""
        self.address = address
        self.counts = folder / "counts"
        self._folder = folder
        backend = LocalBackend(address)
        rows = [(step, step, Random(step).random()) for step in range(20_000)]  # noqa: S311
        steps, times, values = Points.from_rows(rows).to_columns()
        for number in range(4):
            run_id = work.run_id_of(1000 + number)
            points = f.MetricPoints(
                run_id=run_id, key="loss", steps=steps, timestamps_ms=times, values=values
            )
            backend.send(f.Batch(writer=run_id, start=0, end=1, facts=[points]))
        backend.close()
        self.counts.write_bytes(bytes(16 * work.WRITERS))
        self._writers = [
            subprocess.Popen(
                [sys.executable, work.__file__, address.text, self.counts, str(number), folder]
            )
            for number in range(work.WRITERS)
        ]
        self.wait_for_more(2)

    def wait_for_more(self, batches: int) -> None:
        """Wait until each writer has so many more batches acknowledged."""
        _, before = work.read_counts(self.counts)
        while True:
            _, now = work.read_counts(self.counts)
            if all(later - earlier >= batches for earlier, later in zip(before, now, strict=True)):
                return
            assert all(writer.poll() is None for writer in self._writers)
            time.sleep(0.01)

    def start_backup(self, target: Path) -> subprocess.Popen[str]:
        """Start `loopline backup`."""
        return subprocess.Popen(
            [sys.executable, "-m", "loopline.cli", "backup", str(target), "--uri",
             self.address.text],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def back_up(self, target: Path) -> None:
        """Run `loopline backup` to its end."""
        backup = self.start_backup(target)
        _, errors = backup.communicate()
        assert backup.returncode == 0, errors

    def stop(self) -> None:
        """Kill the writers."""
        for writer in self._writers:
            writer.kill()
            writer.wait()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.deep)])
def busy(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Busy]:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))  # Where a database's files lie.
    address = Address("home", str(tmp_path / "home"))
    if request.param == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        address = postgres.new()
    busy = Busy(address, tmp_path)
    yield busy
    busy.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "backups", [pytest.param(1, id="few"), pytest.param(8, id="many", marks=pytest.mark.deep)]
)
def test_a_backup_under_load_is_a_state_the_store_was_in_with_all_that_was_acknowledged(
    busy: Busy,
    backups: int,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    went_on = 0
    for number in range(backups):
        target = tmp_path / TARGETS[number % 2]  # A folder is brought up to date.
        _, acknowledged = work.read_counts(busy.counts)
        busy.back_up(target)
        sent, later = work.read_counts(busy.counts)
        went_on += sum(later) > sum(acknowledged)
        busy.wait_for_more(1)

        restored = Address("home", str(tmp_path / f"restored {number}"))
        if busy.address.kind == "database":
            restored = request.getfixturevalue("postgres").new_empty()
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("HOME", str(tmp_path / f"user {number}"))
            report = restore(target, restored)
            assert report.missing == []
            check(restored, at_least=acknowledged, at_most=sent)
    assert went_on == backups  # Else nobody wrote while it was made.


def check(address: Address, *, at_least: tuple[int, ...], at_most: tuple[int, ...]) -> None:
    """Check that a store has a prefix of what each writer wrote, and whatever that had seen."""
    backend = LocalBackend(address)
    writer = schema.writer
    with backend.store.read() as connection:
        rows = connection.execute(select(writer.c.writer, writer.c.acknowledged)).all()
    found: dict[str, int] = dict(rows)
    batches = [found[work.run_id_of(number)] for number in range(work.WRITERS)]
    assert all(least <= each for least, each in zip(at_least, batches, strict=True))
    assert all(each <= most for each, most in zip(batches, at_most, strict=True))
    for number, count in enumerate(batches):
        run_id = work.run_id_of(number)
        run = backend.call(ops.GetRun(run_id=run_id))
        seen = map(int, run.tags["seen"].split())
        assert all(had <= has for had, has in zip(seen, batches, strict=True))
        assert run.params == {f"p{batch}": "gbm" for batch in range(count)}
        assert run.metrics["rmse"].count == count * work.POINTS
        history = backend.call(ops.GetMetricHistory(run_id=run_id, key="rmse"))
        assert history.steps == list(range(count * work.POINTS))
        artifacts = {each.path: each for each in backend.call(ops.ListArtifacts(run_id=run_id))}
        assert set(artifacts) == {f"{batch}.txt" for batch in range(count)}
        for batch in range(count):
            content = b"".join(backend.read_blob(artifacts[f"{batch}.txt"].sha256))
            assert content == work.content_of(number, batch)
    backend.close()


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_backup_killed_under_load_is_none_and_the_next_one_is_whole(
    busy: Busy, tmp_path: Path
) -> None:
    kills = 24
    random = Random(20240701)  # noqa: S311 - a repeatable choice, no secret
    began = time.monotonic()
    busy.back_up(tmp_path / "measured.tar")
    takes_s = time.monotonic() - began
    whole = [tmp_path / f"whole {target}" for target in TARGETS]
    for target in whole:
        busy.back_up(target)
    kept = [check_backup(target) for target in whole]  # Hashes every file.
    hits = 0
    for number in range(kills):
        busy.wait_for_more(1)
        # A new target, and one that has a whole backup already.
        target = [tmp_path / f"{number}", tmp_path / f"{number}.tar", *whole][number % 4]
        backup = busy.start_backup(target)
        time.sleep(takes_s * (0.5 + random.random() / 2))  # Its imports are the first half.
        backup.send_signal(signal.SIGKILL)
        backup.communicate()
        has_begun = target.exists() or any(tmp_path.glob(f".{target.name}.*"))
        try:
            left = check_backup(target).taken_ms
        except (IntegrityError, NotFoundError):
            left = 0
        before_ms = kept[number % 2].taken_ms if number % 4 >= len(TARGETS) else 0
        if left == before_ms:
            hits += has_begun
        else:  # It was through already, and killed on its way out.
            assert left > before_ms
            kept[number % 2] = check_backup(target) if before_ms else kept[number % 2]
    print(f"{hits} of {kills} kills hit")
    assert hits > kills // 4
    for number, target in enumerate(whole):
        busy.back_up(target)
        assert check_backup(target).taken_ms > kept[number].taken_ms
    # What killed ones left half made was cleared away.
    assert not list(whole[0].rglob("*.part*"))
    assert not list(tmp_path.glob(f".{whole[1].name}.database-*"))


@pytest.mark.parametrize("target", TARGETS)
def test_a_backup_that_finds_no_room_says_so_and_the_one_before_stays_whole(
    target: str, tmp_path: Path
) -> None:
    disk = SmallDisk(tmp_path / "disk", "mounted")
    backend = LocalBackend(Address("home", str(tmp_path / "home")))
    (tmp_path / "model").write_bytes(os.urandom(100_000))
    digest, size = backend.put_blob(tmp_path / "model")
    logged = f.ArtifactLogged(run_id="r", path="model", sha256=digest, size_bytes=size, at_ms=1)
    backend.send(f.Batch(writer="w", start=0, end=1, facts=[logged]))
    before = back_up(backend, disk.root / target)
    if disk.is_mounted:
        disk.fill(leave_bytes=50_000)
        with pytest.raises(StorageFullError, match=r"[Nn]o room.*ree some space"):
            back_up(backend, disk.root / target)
        assert check_backup(disk.root / target).taken_ms == before.taken_ms
        disk.free()
    else:  # The disk of a process that may write no more.
        limited = 'ulimit -f 16 && exec "$0" -m loopline.cli "$@"'
        done = subprocess.run(
            ["bash", "-c", limited, sys.executable, "backup", str(disk.root / target), "--uri",  # noqa: S607
             backend.address.text],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "ree some space" in done.stderr
        assert check_backup(disk.root / target).taken_ms == before.taken_ms
    assert back_up(backend, disk.root / target).taken_ms > before.taken_ms
    backend.close()
    disk.close()
