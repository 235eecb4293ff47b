"""R2: what was acknowledged survives the loss of power, at whatever system call it comes."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.reliability.power import Disk, can_trace, record
from tests.reliability.power_work import POINTS, content_of

from loopline.backend.local import LocalBackend
from loopline.journal.format import position_of
from loopline.journal.reader import Reader
from loopline.journal.stream import Stream
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from tests.reliability.power import Call

WORK = Path(__file__).with_name("power_work.py")
BATCHES = 12
WRITER = "0123456789abcdef0123456789abcdef"
PAGE = 4096


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Call]]:
    """Record the calls of a process that makes a store and commits; once for all cuts."""
    if reason := can_trace():
        pytest.skip(f"No process can be traced here: {reason}.")
    folder = tmp_path_factory.mktemp("power")
    home = folder / "home"
    home.mkdir()
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, WORK, home, folder / "source", str(BATCHES)]
    return home, record(list(map(str, command)), folder / "trace", environment)


def test_every_acknowledged_batch_was_synced(calls: tuple[Path, list[Call]]) -> None:
    home, trace = calls
    disk = Disk(home)
    syncs = []
    for call in trace:
        before = disk.said
        disk.take(call)
        if disk.said != before:
            syncs.append(disk.syncs)

    assert len(syncs) == BATCHES
    assert all(later > earlier for earlier, later in zip([0, *syncs], syncs, strict=False))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "cuts", [pytest.param(15, id="few"), pytest.param(10_000, id="all", marks=pytest.mark.deep)]
)
def test_a_cut_at_any_call_loses_nothing_acknowledged(
    calls: tuple[Path, list[Call]], cuts: int, tmp_path: Path
) -> None:
    home, trace = calls
    random = Random(20260217)  # noqa: S311 - a seed, so that a failure comes again
    disk = Disk(home)
    places = [place for place, call in enumerate(trace) if disk.take(call)]
    assert len(places) > 100  # Enough was in flight for a cut to hit something.
    chosen = sorted(random.sample(places, min(cuts, len(places))))
    left_over = set()

    disk = Disk(home)
    done = 0
    for number, place in enumerate(chosen):
        for call in trace[done : place + 1]:
            disk.take(call)
        done = place + 1
        after = tmp_path / f"cut {number}"
        disk.cut(random, after)
        left_over.add(len(disk.said))
        _check(after, acknowledged=len(disk.said))

    assert len(left_over) > min(cuts, BATCHES) // 3  # Cuts fell before, between and after commits.


@pytest.mark.parametrize("seed", range(12))
def test_a_journal_whose_pages_landed_in_any_order_invents_nothing(
    seed: int, tmp_path: Path
) -> None:
    random = Random(seed)  # noqa: S311
    stream = Stream(tmp_path / "facts", WRITER, mapped=True)
    written: list[f.Fact] = []
    while stream.tail < position_of(4, 0):
        text = "x" * random.randint(0, 9000)
        written.append(f.TagsSet(run_id="taxi", tags={str(len(written)): text}))
        stream.append(written[-1])
    stream.close()
    luck = random.choice([0.0, 0.5, 0.99, 1.0])
    whole = []
    for path in sorted((tmp_path / "facts").iterdir()):
        kept = bytearray(path.read_bytes())
        missing = [at for at in range(0, len(kept), PAGE) if random.random() >= luck]
        for at in missing:  # Preallocated, so a page that did not land reads as zeros.
            kept[at : at + PAGE] = bytes(len(kept[at : at + PAGE]))
        path.write_bytes(kept)
        whole.append(not missing)

    reader = Reader(tmp_path / "facts")
    found: list[f.Fact] = []
    position = 0
    while (page := reader.read(position)).end > position:
        found += page.facts
        position = page.end

    places = [int(next(iter(fact.tags))) for fact in found if isinstance(fact, f.TagsSet)]
    assert [written[place] for place in places] == found
    assert places == sorted(set(places))
    if all(whole):
        assert found == written


def _check(home: Path, *, acknowledged: int) -> None:
    backend = LocalBackend(Address("home", str(home)))
    try:
        with closing(sqlite3.connect(home / "loopline.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            row = database.execute("SELECT acknowledged FROM ll_writer").fetchone()
        stored = row[0] if row else 0
        assert stored >= acknowledged
        if not stored:
            return
        run = backend.call(ops.GetRun(run_id="taxi"))
        assert run.params == {f"p{number}": str(number) for number in range(stored)}
        assert run.tags["batches"] == str(stored)
        history = backend.call(ops.GetMetricHistory(run_id="taxi", key="rmse"))
        assert history.steps == list(range(stored * POINTS))
        for artifact in backend.call(ops.ListArtifacts(run_id="taxi")):
            number = int(artifact.path.removeprefix("night ").removesuffix(".txt"))
            content = b"".join(backend.read_blob(artifact.sha256))
            assert sha256(content).hexdigest() == sha256(content_of(number)).hexdigest()
    finally:
        backend.close()
