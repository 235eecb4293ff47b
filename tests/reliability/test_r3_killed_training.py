"""R3: what a ``log_*`` call returned for survives the ``kill -9`` of the training process."""

from __future__ import annotations

import mmap
import os
import signal
import struct
import subprocess
import sys
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from loopline.backend.adopt import adopt_orphans
from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.tracking import RunStatus
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

THREADS = 3
ARRAY = 500
#: Where a training notes what has returned: points of each thread, arrays, params, files.
COUNTERS = struct.Struct(f"<{THREADS + 3}q")

TRAINING = f"""
import mmap, sys, threading
import loopline

home, counters, shown = sys.argv[1:]
with open(counters, "r+b") as file:
    shared = mmap.mmap(file.fileno(), 0)
loopline.set_tracking_uri(home)
loopline.set_experiment("wagoncab taxifare")
run = loopline.start_run(run_name="killed")

def returned(place, count):
    # In one go: `pack_into` writes zeros first, and a kill may come between.
    shared[8 * place : 8 * place + 8] = count.to_bytes(8, "little")

def points(thread):
    step = 0
    while True:
        run.log_metric(f"rmse/{{thread}}", step / 2, step=step)
        step += 1
        returned(thread, step)

def others():
    number = 0
    while True:
        begin = number * {ARRAY}
        losses = [step / 4 for step in range(begin, begin + {ARRAY})]
        run.log_metrics({{"loss": losses}}, step=begin)
        returned({THREADS}, number + 1)
        run.log_param(f"p{{number}}", number)
        run.set_tag("last", str(number))
        returned({THREADS + 1}, number + 1)
        if number % 5 == 0:
            run.log_text(f"night {{number}}\\n" * 2000, f"files/{{number}}.txt")
            returned({THREADS + 2}, number // 5 + 1)
        number += 1

for thread in range({THREADS}):
    threading.Thread(target=points, args=(thread,), daemon=True).start()
with open(shown, "w") as file:
    file.write(run.run_id)
others()
"""


def kill_a_training(folder: Path, random: Random, points: int) -> tuple[int, int]:
    """Kill a training that logs all sorts of things, and look whether it is all there.

    Returns:
        How many points had returned, and how many of them no store had when it died.
    """
    folder.mkdir()
    counters, shown = folder / "counters", folder / "run id"
    counters.write_bytes(bytes(COUNTERS.size))
    with counters.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), 0)
    address = Address("home", str(folder / "home"))
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING, address.text, counters, shown],
        env={**os.environ, "LOOPLINE_NO_CAPTURE": "1"},
    )
    goal = random.randrange(points // 10, points)
    while _points(COUNTERS.unpack(shared)) < goal or not (shown.exists() and shown.read_text()):
        assert process.poll() is None
        time.sleep(random.random() / 100)
    process.send_signal(signal.SIGKILL)
    process.wait()
    returned = COUNTERS.unpack(shared)
    shared.close()

    backend = LocalBackend(address)
    run_id = shown.read_text()
    try:
        stored = _stored(backend, run_id)
        adopt_orphans(folder / "home", address, backend)
        _check(backend, run_id, returned)
    finally:
        backend.close()
    assert not list((folder / "home" / "journal").iterdir())
    return _points(returned), _points(returned) - stored


def _points(returned: tuple[int, ...]) -> int:
    return sum(returned[:THREADS]) + returned[THREADS] * ARRAY


def _stored(backend: LocalBackend, run_id: str) -> int:
    runs = backend.call(ops.SearchRuns(filter=f"run_id = '{run_id}'")).runs
    return sum(metric.count for run in runs for metric in run.metrics.values())


def _check(backend: LocalBackend, run_id: str, returned: tuple[int, ...]) -> None:
    *threads, arrays, params, files = returned
    for thread, count in enumerate(threads):
        history = backend.call(ops.GetMetricHistory(run_id=run_id, key=f"rmse/{thread}"))
        assert len(history) in {count, count + 1}  # The call under way may be there.
        assert history.steps == list(range(len(history)))
        assert history.values == [step / 2 for step in history.steps]
    losses = backend.call(ops.GetMetricHistory(run_id=run_id, key="loss"))
    assert len(losses) in {arrays * ARRAY, (arrays + 1) * ARRAY}
    assert losses.values == [step / 4 for step in range(len(losses))]
    run = backend.call(ops.GetRun(run_id=run_id))
    assert run.status is RunStatus.FAILED
    assert "process died" in run.end_reason
    assert len(run.params) in {params, params + 1}
    assert int(run.tags.get("last", -1)) in {params - 1, params}
    listed = backend.call(ops.ListArtifacts(run_id=run_id, recursive=True))
    kept = {artifact.path: artifact for artifact in listed}
    for number in range(0, files * 5, 5):
        content = b"".join(backend.read_blob(kept[f"files/{number}.txt"].sha256))
        assert content == f"night {number}\n".encode() * 2000


def test_a_killed_training_loses_nothing_that_had_returned(tmp_path: Path) -> None:
    random = Random(20220301)  # noqa: S311 - a repeatable choice, no secret
    found = [kill_a_training(tmp_path / str(trial), random, 20_000) for trial in range(2)]

    assert sum(unsent for _, unsent in found) > 0  # Else no kill hit anything.


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_fifty_kills_lose_none_of_a_million_points(tmp_path: Path) -> None:
    random = Random(20230401)  # noqa: S311
    found = [kill_a_training(tmp_path / str(trial), random, 60_000) for trial in range(50)]

    returned = sum(points for points, _ in found)
    assert returned >= 1_000_000
    assert sum(unsent > 0 for _, unsent in found) > 25
    print(f"{returned:,} returned points, 50 kills, 0 lost")
