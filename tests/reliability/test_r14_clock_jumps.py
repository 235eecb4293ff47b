"""R14: a clock that jumps neither loses, reorders nor makes a duration negative."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.reliability.clock import Clock
from tests.reliability.serving import ServerProcess

from loopline.backend.http import HttpBackend
from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.tracking import RunStatus
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.backend.protocol import Backend

HOUR_S = 3600
#: Logs until a line comes in; says what it logged, when it thought so, and how long it took.
TRAINING = """
import json, sys, threading, time
import loopline

seen = []
over = threading.Event()
began = time.monotonic()
with loopline.start_run() as run:
    print(run.run_id, flush=True)
    threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
    step = 0
    while not over.wait(0.002):
        loopline.log_metric("rmse", step / 2, step=step)
        loopline.set_tag("last", str(step))
        seen.append(time.time())
        step += 1
took = time.monotonic() - began
print(json.dumps({"steps": step, "took_s": took, "back": min(b - a for a, b in zip(seen, seen[1:])),
                  "ahead": max(b - a for a, b in zip(seen, seen[1:]))}), flush=True)
"""


def start_training(
    uri: str, home: Path, environment: dict[str, str]
) -> tuple[subprocess.Popen[str], str]:
    home.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=home,
        env={**os.environ, "LOOPLINE_URI": uri, "LOOPLINE_HOME": str(home / ".loopline"),
             "LOOPLINE_NO_CAPTURE": "1", **environment},
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def jump(clock: Clock, random: Random, jumps: int) -> None:
    for _ in range(jumps):
        time.sleep(random.uniform(0.05, 0.25))
        clock.set(random.choice([-HOUR_S, 0, HOUR_S]))
    clock.set(-HOUR_S)  # The end is before the beginning.
    time.sleep(0.1)


def check(backend: Backend, run_id: str, said: dict[str, float]) -> None:
    run = backend.call(ops.GetRun(run_id=run_id))
    history = backend.call(ops.GetMetricHistory(run_id=run_id, key="rmse"))
    assert history.steps == list(range(int(said["steps"])))
    assert history.values == [step / 2 for step in history.steps]
    assert run.tags["last"] == str(
        int(said["steps"]) - 1
    )  # The last written, not the latest dated.
    assert run.status is RunStatus.FINISHED
    assert run.duration_ms is not None
    assert 0 <= run.duration_ms <= said["took_s"] * 1000
    events = backend.call(ops.ListRunEvents(run_id=run_id))
    assert [event.status for event in events] == [RunStatus.RUNNING, RunStatus.FINISHED]


@pytest.mark.parametrize("jumps", [6, pytest.param(60, marks=pytest.mark.deep)])
def test_a_training_whose_clock_jumps_is_recorded_in_order(jumps: int, tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    store = tmp_path / "store"
    training, run_id = start_training(str(store), tmp_path / "home", clock.environment)
    jump(clock, Random(20220327), jumps)  # noqa: S311 - a repeatable choice, no secret
    said = json.loads(training.communicate("\n")[0])

    assert training.returncode == 0
    assert said["ahead"] > HOUR_S / 2  # Else the clock had not jumped.
    assert said["back"] < -HOUR_S / 2
    backend = LocalBackend(Address("home", str(store)))
    check(backend, run_id, said)
    backend.close()


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_a_server_whose_clock_jumps_takes_nobody_for_lost(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    server = ServerProcess(str(tmp_path / "store"), tmp_path, **clock.environment)
    with server:
        backend = HttpBackend(Address("http", server.url))
        training, run_id = start_training(server.url, tmp_path / "home", {})
        time.sleep(40)  # Long enough for silence to count.
        random = Random(20221106)  # noqa: S311
        for _ in range(3):
            jump(clock, random, 5)
            clock.set(HOUR_S)
            time.sleep(7)  # The janitor has looked.
            assert backend.call(ops.GetRun(run_id=run_id)).status is RunStatus.RUNNING
        said = json.loads(training.communicate("\n")[0])
        check(backend, run_id, said)
        backend.close()
