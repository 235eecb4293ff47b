"""Schedules with code of their users: a process loads the flow, and tells when it fires.

The server never runs what users wrote, nor does the worker itself: ``main`` runs in a process of
its own, and what it brings are times, which the store takes like those it computes. Several
workers may do it at once; a due time makes one run all the same.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from loopline.errors import LooplineError
from loopline.records.base import Record
from loopline.records.schedule_operations import (
    AddDueTimes,
    DueTime,
    ListOwnSchedules,
    OwnSchedule,
)

if TYPE_CHECKING:
    from loopline.backend.recorder import Recorder

__all__ = ["OwnSchedules", "main"]

log = logging.getLogger("loopline.worker")

#: Due times that one look brings at most; the next look goes on after them.
_MOST = 1000
#: A schedule that takes longer to compute is given up.
_LONGEST_S = 120.0


class _Asked(Record, frozen=True, kw_only=True):
    """What the process is told: the schedule, where the flow's code is, a private folder."""

    uri: str
    folder: str
    own: OwnSchedule


class OwnSchedules:
    """Looks now and then for schedules that need a worker, and has them computed on the side.

    Args:
        every_s: Seconds between two looks.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next = 0.0
        self._thread: threading.Thread | None = None
        self._told: set[str] = set()

    def look(self, recorder: Recorder) -> None:
        """Look when it is time; the answer comes later."""
        if time.monotonic() < self._next or (self._thread and self._thread.is_alive()):
            return
        self._next = time.monotonic() + self._every_s
        if wanted := recorder.backend.call(ListOwnSchedules()):
            self._thread = threading.Thread(
                target=self._bring, args=(recorder, wanted), name="loopline-schedules", daemon=True
            )
            self._thread.start()

    def _bring(self, recorder: Recorder, wanted: list[OwnSchedule]) -> None:
        for own in wanted:
            version = own.flow_version
            try:
                times = _compute(own, recorder.address.text)
                until_ms = times[-1].at_ms if len(times) >= _MOST else own.until_ms
                recorder.backend.call(
                    AddDueTimes(
                        flow_version_id=version.flow_version_id, until_ms=until_ms, times=times
                    )
                )
                self._told.discard(version.flow_version_id)
            except (LooplineError, OSError, subprocess.SubprocessError, ValueError) as error:
                if version.flow_version_id not in self._told:
                    log.warning(
                        "The schedule of %s/%s cannot be computed: %s",
                        version.project, version.name, error,
                    )  # fmt: skip
                self._told.add(version.flow_version_id)


def _compute(own: OwnSchedule, uri: str) -> list[DueTime]:
    """Have a process compute a schedule.

    Raises:
        ValueError: The user's code failed; with what it said last.
    """
    with tempfile.TemporaryDirectory(prefix="loopline-schedule-") as folder:
        asked = msgspec.msgpack.encode(_Asked(uri=uri, folder=folder, own=own))
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", __name__],
            input=asked,
            capture_output=True,
            check=False,
            timeout=_LONGEST_S,
            start_new_session=True,
        )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(said[-1] if said else f"its process ended with {done.returncode}")
    return msgspec.msgpack.decode(done.stdout, type=list[DueTime])


def main() -> int:
    """Compute the schedule that standard input names; write its due times to standard output."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What user code prints is no answer.
    asked = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=_Asked)
    try:
        times = _due_times(asked)
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    answer.write(msgspec.msgpack.encode(times))
    answer.close()
    return 0


def _due_times(asked: _Asked) -> list[DueTime]:
    from loopline.backend.recorder import get_recorder
    from loopline.flows.shipping.code import load_flow

    version = asked.own.flow_version
    if version.code is None:
        msg = "The flow version has no code. Register it again."
        raise ValueError(msg)
    backend = get_recorder(asked.uri).backend
    flow = load_flow(
        version.code, lambda sha256: b"".join(backend.read_blob(sha256)), Path(asked.folder)
    )
    if flow.schedule is None or flow.schedule.spec() != version.schedule:
        msg = (
            "The flow's code has another schedule than was registered. Give the flow its "
            "schedule where it is defined, and register it again."
        )
        raise ValueError(msg)
    after = datetime.fromtimestamp(asked.own.after_ms / 1000, UTC)
    times = [
        DueTime(
            at_ms=round(each.at.timestamp() * 1000),
            parameters=each.parameters,
            labels=each.labels,
        )
        for each in flow.schedule.next_times(after, _MOST, whole=True)
    ]
    return [time for time in times if time.at_ms <= asked.own.until_ms]


if __name__ == "__main__":
    sys.exit(main())
