"""The timetable: when a schedule fires, across time zones and the days clocks are changed.

Clocks give instants (``timetable_clocks``), filters let some of them pass, in the clock's time
zone (``timetable_filters``), and adjustments move those (``timetable_adjustments``). What comes
out rises, and is later than asked for, whatever the adjustments do. A search is bounded: a
schedule whose filters let nothing pass is known for that when it is made, and never looped over.
"""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import InvalidInputError
from loopline.records.base import Record
from loopline.records.schedules import OwnClock
from loopline.rules.timetable_adjustments import Adjustments, compile_adjustments
from loopline.rules.timetable_clocks import clock_instants
from loopline.rules.timetable_filters import NEVER, Filters, compile_filters
from loopline.rules.timetable_zones import (
    LONGEST_SHIFT,
    MICROSECOND,
    find_zone,
    is_set_back,
    parse_time,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from loopline.records.schedules import Clock, ScheduleFunction, ScheduleSpec

__all__ = ["CATCH_UP", "ScheduledTime", "check_schedule", "find_zone", "next_times", "parse_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime.min.replace(tzinfo=UTC)

#: What may be made up for of the times that passed while no scheduler was there.
CATCH_UP = ("all", "last", "none")

#: So many times in a row that do not pass end a search: with filters of ours, which jump over
#: what they know, more than ten years; with a user's own, seventy days of each minute.
_MOST_JUMPS = 12_000
_MOST_ASKED = 100_000

#: So many times are skipped one by one before a clock is started anew where a filter opens.
_SKIPPED = 8


class ScheduledTime(Record, frozen=True, kw_only=True):
    """One time at which a schedule fires.

    Attributes:
        at: The instant, in UTC.
        parameters: Values for the flow's parameters, from the clock that fires.
        labels: Of the runs, from the clock that fires; None: as the flow says.
        timezone: The clock's.
    """

    at: datetime
    parameters: dict[str, Any]
    labels: list[str] | None = None
    timezone: str = "UTC"


class _Rules(NamedTuple):
    """What of a schedule all its clocks share."""

    filters: Filters
    adjustments: Adjustments
    own: Mapping[str, Callable[..., Any]]
    gave_up: list[Clock]


def next_times(
    spec: ScheduleSpec,
    after: datetime,
    count: int,
    *,
    whole: bool = False,
    own: Mapping[str, Callable[..., Any]] | None = None,
    insist: bool = False,
) -> list[ScheduledTime]:
    """Compute the next times of a schedule, in order.

    Where several clocks fire at one instant with equal parameters and labels it counts once, with
    others each counts, in the order of the clocks.

    Args:
        spec: The schedule.
        after: Aware time; every answer is later than this.
        count: How many at most; fewer come back when the schedule ends.
        whole: Give all that fire at the last instant, even when that is more than ``count``.
        own: A user's own clocks, filters and adjustments, by where the schedule has them.
        insist: Tell a search that found nothing and was given up from a schedule that has ended.

    Raises:
        InvalidInputError: For a naive ``after``, a bad cron expression, interval, time or zone,
            for what only a worker has the code of, and when nothing was found though insisted on.
    """
    times, gave_up = _next_times(spec, after, count, whole=whole, own=own or {})
    if insist and gave_up and not times:
        msg = (
            f"None of {_MOST_ASKED:,} times in a row after {after.isoformat()} passes the filters. "
            "Let the clock fire more rarely, or the filters pass more."
        )
        raise InvalidInputError(msg)
    return times


def check_schedule(spec: ScheduleSpec) -> None:
    """Refuse a schedule that cannot be computed, or a clock of it that never fires.

    Of what is a user's own code nothing is asked, and of the clocks before it only whether they
    can be computed.

    Raises:
        InvalidInputError: Naming the clock's field that is wrong and what would be right.
    """
    if spec.catch_up not in CATCH_UP:
        msg = f"catch_up must be one of {', '.join(map(repr, CATCH_UP))}, not {spec.catch_up!r}."
        raise InvalidInputError(msg)
    if not 0 <= spec.jitter_s <= LONGEST_SHIFT.total_seconds():
        msg = f"jitter must be from 0 s to 26 hours, not {spec.jitter_s:g} s."
        raise InvalidInputError(msg)
    if spec.own_code:
        _check_rest(spec)
        return
    for clock in spec.clocks:
        alone = _replaced(spec, clock)
        if not _next_times(alone, _EPOCH, 1, whole=False, own={})[0]:
            why = "no time of it passes the filters" if _has_filters(spec) else "it has no times"
            msg = (
                f"This clock would never fire: {clock!r}; {why}. Change the clock or the filters, "
                "or leave it out."
            )
            raise InvalidInputError(msg)


def _check_rest(spec: ScheduleSpec) -> None:
    """Check of a schedule what is data."""

    def known(functions: list[ScheduleFunction]) -> list[ScheduleFunction]:
        return [function for function in functions if not function.own]

    rest = type(spec)(
        filters=known(spec.filters),
        or_filters=known(spec.or_filters),
        not_filters=known(spec.not_filters),
        adjustments=known(spec.adjustments),
    )
    compile_filters(rest, {})
    compile_adjustments(rest, {})
    for clock in spec.clocks:
        find_zone(clock.timezone)
        for text in filter(None, (clock.start, clock.end)):
            parse_time(text)
        if not isinstance(clock, OwnClock):
            next(clock_instants(clock, _EPOCH, {}), None)


def _replaced(spec: ScheduleSpec, clock: Clock) -> ScheduleSpec:
    return type(spec)(
        clocks=[clock],
        filters=spec.filters,
        or_filters=spec.or_filters,
        not_filters=spec.not_filters,
        adjustments=spec.adjustments,
    )


def _has_filters(spec: ScheduleSpec) -> bool:
    return bool(spec.filters or spec.or_filters or spec.not_filters)


def _next_times(
    spec: ScheduleSpec,
    after: datetime,
    count: int,
    *,
    whole: bool,
    own: Mapping[str, Callable[..., Any]],
) -> tuple[list[ScheduledTime], list[Clock]]:
    if after.tzinfo is None:
        msg = f"{after!r} has no time zone. Give one, such as after.replace(tzinfo=UTC)."
        raise InvalidInputError(msg)
    rules = _Rules(compile_filters(spec, own), compile_adjustments(spec, own), own, [])
    streams = [_clock_times(clock, after.astimezone(UTC), rules) for clock in spec.clocks]
    found: list[ScheduledTime] = []
    if count < 1:
        return found, []
    for _, group in groupby(heapq.merge(*streams, key=_instant), key=_instant):
        found += _distinct(group)
        if len(found) >= count:
            break
    return found if whole else found[:count], rules.gave_up


def _instant(time: ScheduledTime) -> datetime:
    return time.at


def _distinct(times: Iterator[ScheduledTime]) -> list[ScheduledTime]:
    """Keep the first of those that would make the same run."""
    kept: list[ScheduledTime] = []
    for time in times:
        if all((time.parameters, time.labels) != (one.parameters, one.labels) for one in kept):
            kept.append(time)
    return kept


def _clock_times(clock: Clock, after: datetime, rules: _Rules) -> Iterator[ScheduledTime]:
    for at in _adjusted(clock, after, rules):
        yield ScheduledTime(
            at=at, parameters=clock.parameters, labels=clock.labels, timezone=clock.timezone
        )


def _adjusted(clock: Clock, after: datetime, rules: _Rules) -> Iterator[datetime]:
    """Yield the times of a clock that pass, moved, in order and each once."""
    adjustments = rules.adjustments
    if not adjustments.steps:
        yield from _passing(clock, after, rules)
        return
    zone = find_zone(clock.timezone)
    before = after - min(max(adjustments.most, timedelta(0)), after - _FIRST)
    waiting: list[datetime] = []
    previous = after
    for at in _passing(clock, before, rules):
        heapq.heappush(waiting, adjustments.adjust(at.astimezone(zone)))
        while waiting and waiting[0] <= at + adjustments.least:
            moved = heapq.heappop(waiting)
            if moved > previous:
                yield moved
                previous = moved
    for moved in sorted(waiting):
        if moved > previous:
            yield moved
            previous = moved


def _passing(clock: Clock, after: datetime, rules: _Rules) -> Iterator[datetime]:
    """Yield the instants of a clock that pass the filters; end when too many in a row do not."""
    filters = rules.filters
    if not (filters.all or filters.any or filters.none):
        yield from clock_instants(clock, after, rules.own)
        return
    zone = find_zone(clock.timezone)
    most = _MOST_JUMPS if filters.are_known else _MOST_ASKED
    asked = 0
    begin: datetime | None = after
    while begin is not None:
        instants, begin = clock_instants(clock, begin, rules.own), None
        closed_until, skipped = after, 0
        for at in instants:
            if at < closed_until:
                skipped += 1
                if skipped > _SKIPPED:
                    begin = closed_until - MICROSECOND
                    break
                continue
            local = at.astimezone(zone)
            if filters.pass_(local):
                yield at
                asked = 0
                continue
            asked += 1
            if asked > most:
                rules.gave_up.append(clock)
                return
            # When clocks are set back, the time of day that a filter waits for may come sooner.
            closed_until = at if is_set_back(zone, at) else filters.reopen(local).astimezone(UTC)
            if closed_until >= NEVER:
                return
            skipped = 0
