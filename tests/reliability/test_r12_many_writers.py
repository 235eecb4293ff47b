"""R12: many processes may open one empty home at the same instant, and write to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.tracking import RunStatus
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

TRAINING = """
import sys, time
import loopline
import loopline.backend.local, loopline.store.operations, loopline.tracking.fluent  # Not timed.
import sqlalchemy.dialects.sqlite

loopline.set_tracking_uri(sys.argv[1])
time.sleep(max(0, float(sys.argv[2]) - time.time()))
with loopline.start_run():
    for step in range(20):
        loopline.log_metric("rmse", step, step=step)
"""


@pytest.mark.parametrize(
    ("count", "imports_s"), [(8, 3.0), pytest.param(50, 25.0, marks=pytest.mark.deep)]
)
def test_many_processes_may_open_one_empty_home_at_once(
    count: int, imports_s: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start_at = time.time() + imports_s
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", TRAINING, str(tmp_path), str(start_at)],
            env={**os.environ, "LOOPLINE_NO_CAPTURE": "1"},
        )
        for _ in range(count)
    ]
    assert [process.wait() for process in processes] == [0] * count
    with capsys.disabled():
        print(f" {count} processes: {time.time() - start_at:.1f} s", end=" ")

    backend = LocalBackend(Address("home", str(tmp_path)))
    runs = backend.call(ops.SearchRuns()).runs
    backend.close()
    assert [run.metrics["rmse"].count for run in runs] == [20] * count
    assert {run.status for run in runs} == {RunStatus.FINISHED}
