"""Waiting in this process for the times of a flow's schedule, as ``flow.run()`` does."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError
from loopline.rules.timetable_words import describe
from loopline.rules.words import distance_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.flows.flow import Flow
    from loopline.rules.timetable import ScheduledTime

__all__ = ["sleep_until", "waited_for"]

#: The longest sleep, so that a laptop that was asleep notices what time it is.
_NAP_S = 10.0


def waited_for(flow: Flow) -> Iterator[ScheduledTime]:
    """Wait for each time of a flow's schedule, and give it; Ctrl-C while waiting ends it.

    Times that pass while the caller runs the flow are not made up for.

    Raises:
        InvalidInputError: There is none at all.
    """
    schedule = flow.schedule
    if schedule is None:
        return
    print(f"The flow {flow.name!r} runs {describe(schedule.spec())}. Ctrl-C ends it.")  # noqa: T201
    after, first = datetime.now(UTC), True
    while times := schedule.next_times(after, 1, whole=True, insist=True):
        first = False
        try:
            _tell(flow, times)
            sleep_until(times[0].at)
        except KeyboardInterrupt:
            print(f"Stopped. The flow {flow.name!r} waits for its schedule no longer.")  # noqa: T201
            return
        yield from times
        after = max(times[0].at, datetime.now(UTC))
    if first:
        msg = (
            f"The schedule of the flow {flow.name!r} has no more times. Run it once with "
            "flow.run(run_on_schedule=False), or give it a later end."
        )
        raise InvalidInputError(msg)


def _tell(flow: Flow, times: list[ScheduledTime]) -> None:
    due = times[0].at
    local = due.astimezone()
    wait = distance_words(round(due.timestamp() * 1000), round(time.time() * 1000))
    at = f"{local:%A %Y-%m-%d %H:%M:%S %Z}"
    if local.utcoffset():
        at += f" ({due:%H:%M:%S} UTC)"
    more = f", {len(times)} times with values of their own" if len(times) > 1 else ""
    print(f"The flow {flow.name!r} runs next at {at}, {wait}{more}.")  # noqa: T201 - it may be long


def sleep_until(due: datetime) -> None:
    """Sleep until a time."""
    while (rest_s := (due - datetime.now(UTC)).total_seconds()) > 0:
        time.sleep(min(rest_s, _NAP_S))
