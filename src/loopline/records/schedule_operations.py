"""Operations on schedules that only their users' code can compute: workers do it for the store."""

from __future__ import annotations

from typing import Any, ClassVar

from loopline.records.base import Record
from loopline.records.flows import FlowVersion
from loopline.records.operation import Operation

__all__ = ["AddDueTimes", "DueTime", "ListOwnSchedules", "OwnSchedule"]


class DueTime(Record, frozen=True, kw_only=True):
    """A time at which a schedule fires.

    Attributes:
        at_ms: Unix time in milliseconds.
        parameters: Values for the flow's parameters.
        labels: Of the run; None: as the flow says.
    """

    at_ms: int
    parameters: dict[str, Any] = {}
    labels: list[str] | None = None


class OwnSchedule(Record, frozen=True, kw_only=True):
    """A schedule to compute: the times later than ``after_ms`` and up to ``until_ms``."""

    flow_version: FlowVersion
    after_ms: int
    until_ms: int


class ListOwnSchedules(Operation[list[OwnSchedule]], frozen=True, kw_only=True):
    """List the schedules with filters, adjustments or clocks of their users, for which it is time.

    Attributes:
        ahead_s: Due times so many seconds ahead are wanted.
    """

    permission: ClassVar[str] = "work"
    ahead_s: float = 3600.0


class AddDueTimes(Operation[int], frozen=True, kw_only=True):
    """Make flow runs of the due times of such a schedule; answers how many are new.

    Attributes:
        until_ms: All up to this time are there.
        times: In order.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "work"
    flow_version_id: str
    until_ms: int
    times: list[DueTime] = []
