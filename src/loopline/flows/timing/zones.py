"""Dates and time zones as users give them, as text that every machine understands."""

from __future__ import annotations

from datetime import UTC, datetime

from loopline.errors import InvalidInputError
from loopline.rules.timetable_zones import find_zone

__all__ = ["aware", "time_text", "zone_name"]

#: Where tables of time zones lie in a file system, and in a path of ``dateutil``.
_TABLES = "zoneinfo/"


def aware(date: datetime | None, name: str) -> datetime | None:
    """Put a date without a time zone into UTC.

    Raises:
        TypeError: It is no ``datetime``.
    """
    if date is None:
        return None
    if not isinstance(date, datetime):
        msg = f"{name} must be a datetime, not {date!r}. Give one such as datetime(2022, 3, 1)."
        raise TypeError(msg)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def time_text(date: datetime | None) -> str:
    """Write an aware date as ISO 8601; None as nothing."""
    return date.isoformat() if date else ""


def zone_name(date: datetime | None) -> str:
    """Name the time zone of a date by which any machine finds it.

    Raises:
        InvalidInputError: It has none, such as the local time of a machine.
    """
    zone = date.tzinfo if date else None
    if zone is None:
        return "UTC"
    # zoneinfo says `key`, pendulum `name`, pytz `zone`.
    names = [getattr(zone, attribute, None) for attribute in ("key", "name", "zone")]
    names += [str(zone), zone.tzname(None)]  # datetime.timezone says "UTC+02:00".
    path = str(getattr(zone, "_filename", ""))  # dateutil has read a file.
    names.append(path.rpartition(_TABLES)[2] or path)
    offset = zone.utcoffset(None)
    if offset is not None:
        minutes = round(offset.total_seconds() / 60)
        names.append(
            f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
        )
    for name in names:
        if isinstance(name, str) and name and _is_known(name):
            return name
    msg = (
        f"The time zone {zone!r} has no name that a worker elsewhere would know. "
        "Use zoneinfo.ZoneInfo('America/New_York')."
    )
    raise InvalidInputError(msg)


def _is_known(name: str) -> bool:
    try:
        find_zone(name)
    except InvalidInputError:
        return False
    return True
