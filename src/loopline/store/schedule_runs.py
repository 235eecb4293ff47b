"""Due times of schedules as flow runs: each once, whoever looks, and after whatever downtime.

A run's due key is unique in its flow, so any number of schedulers may race. When none was there
for a while, the schedule says what is made up for; when the clock went back, what was taken for
past is made again, and the key keeps what has run from running twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, or_, select, update

from loopline.errors import ConflictError, InvalidInputError
from loopline.records.flows import FlowVersion, StateKind
from loopline.records.schedule_operations import OwnSchedule
from loopline.rules.timetable import ScheduledTime, next_times
from loopline.store import schema
from loopline.store.flow_origins import SCHEDULED
from loopline.store.flow_rows import version_record
from loopline.store.flow_runs import insert_run

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.records.schedule_operations import AddDueTimes, ListOwnSchedules
    from loopline.store.database import Store

__all__ = ["add_due_times", "list_own_schedules", "materialise_schedules"]

_flow = schema.flow
_version = schema.flow_version
_run = schema.flow_run

#: Schedulers look every few seconds; one that looked so long ago was not there.
AWAY_MS = 120_000
#: How far back the newest due time that passed unseen is looked for: near first, for a schedule
#: may fire each second.
LOOK_BACK_MS = (60_000, 3_600_000, 24 * 3_600_000)
_PAGE = 1000
_MOST_PAGES = 100
#: Due times that a worker may bring at once.
_MOST_BROUGHT = 2000

#: Gives the next times after an instant, whole instants, about so many.
Compute = Callable[[datetime, int], list[ScheduledTime]]


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def materialise_schedules(
    store: Store, connection: Connection, call: ops.MaterialiseSchedules
) -> int:
    """Make the flow runs due within ``ahead_s`` seconds; answer how many are new.

    Of the due times that passed while no scheduler was there only the newest is made up for,
    unless the schedule says otherwise: a fare model is not retrained forty times on the morning
    after a long weekend, but once.
    """
    if call.most_per_flow < 1 or call.ahead_s < 0:
        msg = "most_per_flow must be 1 or more, and ahead_s 0 or more."
        raise InvalidInputError(msg)
    now_ms = store.clock()
    until_ms = now_ms + int(call.ahead_s * 1000)
    made = 0
    for flow in _open_flows(connection, now_ms, until_ms):
        version = version_record(connection, flow.flow_version_id)
        schedule = version.schedule
        if schedule is None or schedule.own_code:
            continue

        def compute(after: datetime, count: int, spec: Any = schedule) -> list[ScheduledTime]:  # noqa: ANN401
            return next_times(spec, after, count, whole=True)

        made += _make_due(
            connection, flow, version, compute, now_ms, until_ms, most=call.most_per_flow
        )
    return made


def list_own_schedules(
    store: Store, connection: Connection, call: ListOwnSchedules
) -> list[OwnSchedule]:
    """List the schedules that only their users' code can compute, and for which times."""
    now_ms = store.clock()
    until_ms = now_ms + int(call.ahead_s * 1000)
    found = []
    # Half of the time ahead is left when it is computed anew: it takes a process each time.
    for flow in _open_flows(connection, now_ms, now_ms + int(call.ahead_s * 500)):
        version = version_record(connection, flow.flow_version_id)
        if version.schedule is not None and version.schedule.own_code:
            after_ms = max(min(flow.materialised_ms, now_ms), now_ms - LOOK_BACK_MS[-1])
            found.append(OwnSchedule(flow_version=version, after_ms=after_ms, until_ms=until_ms))
    return found


def add_due_times(store: Store, connection: Connection, call: AddDueTimes) -> int:
    """Make flow runs of due times that a worker computed; answer how many are new.

    Raises:
        ConflictError: The flow has a newer version, or its schedule was switched off.
        InvalidInputError: There are too many, or they do not rise.
    """
    if len(call.times) > _MOST_BROUGHT or call.times != sorted(
        call.times, key=lambda time: time.at_ms
    ):
        msg = f"Bring at most {_MOST_BROUGHT:,} due times at once, in order."
        raise InvalidInputError(msg)
    now_ms = store.clock()
    flow = next(
        (
            each
            for each in _open_flows(connection, now_ms, call.until_ms - 1)
            if each.flow_version_id == call.flow_version_id
        ),
        None,
    )
    version = version_record(connection, call.flow_version_id)
    if flow is None or version.schedule is None or not version.schedule.own_code:
        msg = "These due times are no longer asked for. Ask again which schedules need a worker."
        raise ConflictError(msg)
    times = [
        ScheduledTime(at=_at(time.at_ms), parameters=time.parameters, labels=time.labels)
        for time in call.times
        if time.at_ms <= call.until_ms
    ]

    def compute(after: datetime, count: int) -> list[ScheduledTime]:
        return [time for time in times if time.at > after][:count]

    return _make_due(
        connection, flow, version, compute, now_ms, call.until_ms, most=_MOST_BROUGHT + 1
    )


def _open_flows(connection: Connection, now_ms: int, until_ms: int) -> list[Row[Any]]:
    """Find the flows whose schedules may have due times that nobody has made runs of."""
    return list(
        connection.execute(
            select(
                _flow.c.id, _flow.c.materialised_ms, _flow.c.looked_ms, _version.c.flow_version_id
            )
            .join(
                _version,
                and_(
                    _version.c.flow_id == _flow.c.id,
                    _version.c.version == _flow.c.latest_version,
                ),
            )
            .where(
                _flow.c.schedule_active.is_(True),
                or_(_flow.c.materialised_ms <= until_ms, _flow.c.looked_ms > now_ms),
            )
        )
    )


def _make_due(
    connection: Connection,
    flow: Row[Any],
    version: FlowVersion,
    compute: Compute,
    now_ms: int,
    until_ms: int,
    *,
    most: int,
) -> int:
    """Make runs of what is due up to a time; answer how many are new."""
    schedule = version.schedule
    catch_up = schedule.catch_up if schedule else "last"
    # A clock that went back: what was taken for past, and perhaps dropped, is yet to come.
    reached_ms = (
        min(flow.materialised_ms, now_ms) if flow.looked_ms > now_ms else flow.materialised_ms
    )
    # Only what outlasts the time ahead counts: schedulers whose clocks differ must not take each
    # other for away, nor a slow one itself.
    was_away = 0 < flow.looked_ms < now_ms - AWAY_MS and reached_ms < now_ms
    if was_away and catch_up != "all":
        times = _missed(compute, reached_ms, now_ms) if catch_up == "last" else []
        _drop_waiting(connection, flow, times, now_ms, keep_newest=catch_up == "last")
        times += compute(_at(max(reached_ms, now_ms)), most)
    else:
        times = compute(_at(reached_ms), most)
    due = [time for time in times if _ms(time.at) <= until_ms]
    made = 0
    for at_ms, group in groupby(due, key=lambda time: _ms(time.at)):
        for place, time in enumerate(group):
            key = f"{at_ms}.{place}" if place else str(at_ms)
            made += bool(
                insert_run(
                    connection,
                    now_ms,
                    flow_id=flow.id,
                    version=version,
                    parameters=time.parameters,
                    labels=time.labels,
                    scheduled_ms=at_ms + _jitter_ms(version, flow.id, key),
                    due_key=key,
                    started=SCHEDULED,
                )
            )
    ends_ms = _ms(due[-1].at) if len(due) >= most else until_ms
    connection.execute(
        update(_flow).where(_flow.c.id == flow.id).values(materialised_ms=ends_ms, looked_ms=now_ms)
    )
    return made


def _missed(compute: Compute, reached_ms: int, now_ms: int) -> list[ScheduledTime]:
    """Find the newest due time that passed unseen, if there is one, with all that fire then."""
    for look_back_ms in LOOK_BACK_MS:
        after = _at(max(reached_ms, now_ms - look_back_ms))
        newest: list[ScheduledTime] = []
        for _ in range(_MOST_PAGES):
            times = compute(after, _PAGE)
            passed = [time for time in times if _ms(time.at) <= now_ms]
            newest = [time for time in passed if time.at == passed[-1].at] or newest
            if len(passed) < len(times) or len(times) < _PAGE:
                break
            after = passed[-1].at
        if newest or now_ms - look_back_ms <= reached_ms:
            return newest
    return []


def _drop_waiting(
    connection: Connection,
    flow: Row[Any],
    missed: list[ScheduledTime],
    now_ms: int,
    *,
    keep_newest: bool,
) -> None:
    """Take back runs that were made ahead and came due while nobody was there to run them."""
    waiting = and_(
        _run.c.flow_id == flow.id,
        _run.c.is_automatic.is_(True),
        _run.c.state == StateKind.SCHEDULED,
        _run.c.token == 0,
        _run.c.scheduled_ms > flow.looked_ms,
        _run.c.scheduled_ms <= now_ms,
    )
    if keep_newest and not missed:
        newest = connection.execute(select(func.max(_run.c.scheduled_ms)).where(waiting)).scalar()
        waiting = and_(waiting, _run.c.scheduled_ms < (newest or 0))
    connection.execute(delete(_run).where(waiting))


def _jitter_ms(version: FlowVersion, flow_id: int, key: str) -> int:
    """Choose how much later a run begins than it is due; every scheduler chooses alike."""
    most_ms = int(version.schedule.jitter_s * 1000) if version.schedule else 0
    if most_ms < 1:
        return 0
    digest = hashlib.sha256(f"{flow_id}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % (most_ms + 1)
