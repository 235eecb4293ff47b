"""Assignments: what a worker tells the process that runs one flow run, over its standard input.

One message, 4 bytes of little-endian length and msgpack, and then a byte when it shall pause, or
go on after all. The pipe stays open as long as the worker lives, so its end tells the process that
the worker died.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from loopline.records.base import Record
from loopline.records.flows import FlowRunLease
from loopline.records.operations import GetFlow, ListTaskRuns, RenewLease

if TYPE_CHECKING:
    from typing import BinaryIO

    from loopline.backend.recorder import Recorder

__all__ = [
    "EXIT_UNDELIVERED",
    "GO_ON",
    "PAUSE",
    "Assignment",
    "read_assignment",
    "take_over",
    "write_assignment",
]

#: Exit code (EX_TEMPFAIL) of a process that could not reach the store; its journal has the rest.
EXIT_UNDELIVERED = 75

#: Start no more tasks; start some again.
PAUSE, GO_ON = b"P", b"G"

_LENGTH = struct.Struct("<I")


class Assignment(Record, frozen=True, kw_only=True):
    """A flow run to run.

    Attributes:
        lease: The worker's hold on it, with its version and the task runs there are.
        uri: Where to record.
        folder: Private folder for the flow's bundle, removed by the worker.
    """

    lease: FlowRunLease
    uri: str
    folder: str


def write_assignment(pipe: BinaryIO, assignment: Assignment) -> None:
    """Send an assignment; the pipe stays open."""
    data = msgspec.msgpack.encode(assignment)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def read_assignment(pipe: BinaryIO) -> Assignment:
    """Receive the assignment.

    Raises:
        EOFError: When the worker died while it sent it.
    """
    (length,) = _LENGTH.unpack(_read(pipe, _LENGTH.size))
    return msgspec.msgpack.decode(_read(pipe, length), type=Assignment)


def _read(pipe: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = pipe.read(size - len(data))
        if not more:
            msg = "The worker went away before it said what to run."
            raise EOFError(msg)
        data += more
    return data


def take_over(recorder: Recorder, flow_run_id: str, token: int, *, lease_s: float) -> FlowRunLease:
    """Take a hold over from whoever has it, under the same token.

    Raises:
        LeaseLostError: It went to somebody else meanwhile, or the flow run is over.
    """
    backend = recorder.backend
    run = backend.call(RenewLease(flow_run_id=flow_run_id, token=token, lease_s=lease_s))
    return FlowRunLease(
        flow_run=run,
        flow_version=backend.call(GetFlow(flow_version_id=run.flow_version_id)),
        task_runs=backend.call(ListTaskRuns(flow_run_id=flow_run_id)),
        token=token,
        lease_until_ms=run.lease_until_ms,
    )
