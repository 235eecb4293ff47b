"""Messages between a process pool and its processes: a length, then a pickle, over pipes."""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING, Any

from loopline.errors import FlowError
from loopline.flows.running.outcomes import Outcome
from loopline.flows.running.results import Result, dump
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from typing import BinaryIO

    from loopline.backend.context import TaskContext

__all__ = ["pack_outcome", "read_message", "unpack_outcome", "write_message"]

_LENGTH = struct.Struct("<Q")


def write_message(stream: BinaryIO, *parts: object) -> None:
    """Write one message."""
    data = pickle.dumps(parts, protocol=5)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read_message(stream: BinaryIO) -> tuple[Any, ...] | None:
    """Read one message; None when the other side is gone."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    data = stream.read(size)
    if len(data) < size:
        return None
    message: tuple[Any, ...] = pickle.loads(data)  # noqa: S301 - from our own child
    return message


def pack_outcome(outcome: Outcome) -> tuple[Any, ...]:
    """Make an outcome of parts that any process can read, the value pickled by itself.

    A value that cannot be pickled makes the attempt fail: nothing else could read it.
    """
    _, attempt, state, message, result, retry_after_s, final, notes = outcome
    value = result.value
    if value is None:
        return (attempt, str(state), message, None, retry_after_s, final, notes)
    try:
        data = dump(value)
    except Exception as error:  # noqa: BLE001 - whatever pickling raises
        if state.is_failed:
            data = dump(FlowError(message))
        else:
            message = (
                f"The result cannot be sent between processes ({type(error).__name__}: {error}). "
                "Return something that can be pickled, or run the flow with threads."
            )
            return (attempt, "Failed", message, dump(FlowError(message)), None, True, notes)
    return (attempt, str(state), message, data, retry_after_s, final, notes)


def unpack_outcome(where: TaskContext, parts: tuple[Any, ...]) -> Outcome:
    """Read what ``pack_outcome`` made; the value stays pickled until somebody needs it."""
    attempt, state, message, data, retry_after_s, final, notes = parts
    kind = StateKind(state)
    return Outcome(where, attempt, kind, message, Result(data=data), retry_after_s, final, notes)
