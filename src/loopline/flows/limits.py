"""Limits of a task: how much memory and time it may take before it is stopped."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from loopline.flows.running.attempt import Call

__all__ = ["Allowance", "Limits", "allowance", "parse_size", "show_size"]

_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?\s*\Z", re.IGNORECASE)
_UNITS = ("", "k", "m", "g", "t")

#: Less than an interpreter with nothing in it takes.
_LEAST_BYTES = 16 << 20


class Limits:
    """What a task may take. It runs in a process of its own, which is ended when it takes more.

    Args:
        memory: Bytes, or a text such as ``"500 MB"`` or ``"2 GiB"``: what its process and those
            that it starts have in memory together, the interpreter's 40 MB included.
        time: Seconds, or a timedelta.

    Raises:
        InvalidInputError: They are no sizes or times, or so small that no task fits in.
    """

    __slots__ = ("memory_bytes", "time_s")

    def __init__(
        self, memory: int | str | None = None, time: timedelta | float | None = None
    ) -> None:
        self.memory_bytes = None if memory is None else parse_size(memory)
        if self.memory_bytes is not None and self.memory_bytes < _LEAST_BYTES:
            msg = (
                f"No task fits in {memory!r} of memory. Give it {show_size(_LEAST_BYTES)} or more."
            )
            raise InvalidInputError(msg)
        self.time_s = time.total_seconds() if isinstance(time, timedelta) else time
        if self.time_s is not None and self.time_s <= 0:
            msg = f"A time limit of {time!r} lets nothing run. Give the task some seconds."
            raise InvalidInputError(msg)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Limits) and (self.memory_bytes, self.time_s) == (
            other.memory_bytes, other.time_s,
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.memory_bytes, self.time_s))

    def __repr__(self) -> str:
        memory = None if self.memory_bytes is None else show_size(self.memory_bytes)
        return f"Limits(memory={memory!r}, time={self.time_s!r})"


class Allowance(NamedTuple):
    """What one attempt may take; None: as much as it likes.

    Attributes:
        is_timeout: The time is the task's ``timeout``, and not a limit.
    """

    memory_bytes: int | None
    time_s: float | None
    is_timeout: bool


def allowance(call: Call, general: Limits | None = None) -> Allowance:
    """Tell what an attempt may take: its task's own limits before those of the executor."""
    own: Limits | None = getattr(call.task, "limits", None)
    memory_bytes, limit_s = None, None
    for limits in (general, own):
        if limits is not None:
            memory_bytes = limits.memory_bytes or memory_bytes
            limit_s = limits.time_s or limit_s
    times = [each for each in (call.timeout_s, limit_s) if each is not None]
    time_s = min(times, default=None)
    return Allowance(memory_bytes, time_s, time_s == call.timeout_s)


def parse_size(size: int | str) -> int:
    """Read a size as bytes: ``"2 GB"`` is 2 * 10**9, ``"2 GiB"`` is 2 * 2**30.

    Raises:
        InvalidInputError: It is none.
    """
    if isinstance(size, int):
        return size
    found = _SIZE.match(size)
    if found is None:
        msg = f"{size!r} is no size. Write it like '500 MB', '2 GiB', or as a number of bytes."
        raise InvalidInputError(msg)
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** _UNITS.index(unit.lower()))


def show_size(size: int) -> str:
    """Write a number of bytes as people do."""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**power:
            return f"{size / 1000**power:.3g} {unit}"
    return f"{size} bytes"
