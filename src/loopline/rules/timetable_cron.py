"""Cron expressions, as Prefect 1 took them, for ``cronsim`` to compute.

What is written otherwise there is rewritten: a sixth field has the seconds, ranges may go round
(``fri-mon``), the last Friday is ``L5``, and ``?`` is a star. Where day of month and day of week
are both given, one of them is enough, unless ``day_or`` is off.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from cronsim import CronSim, CronSimError

from loopline.errors import InvalidInputError

__all__ = ["CronWords", "explain_cron", "parse_cron"]

#: Shorthands that cron implementations share.
_SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_FIELDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L (last day) or LW (last weekday)",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 (0 and 7 are Sunday) or SUN-SAT",
    "second": "0-59",
}
_DAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
#: First and last number of the fields in which ranges may go round.
_ROUND = {"minute": (0, 59), "hour": (0, 23), "month": (1, 12), "day-of-week": (0, 6)}
_RANGE = re.compile(r"([0-9A-Z]+)-([0-9A-Z]+)(?:/([0-9]+))?")


class CronWords(NamedTuple):
    """What an expression says: cronsim's words, and whether both kinds of day must match."""

    words: str
    days_both: bool


def parse_cron(cron: str, wall: datetime, *, day_or: bool = True) -> CronSim:
    """Make the iterator over the wall-clock times of a cron expression after ``wall``.

    It ends when there is no match for 50 years.

    Raises:
        InvalidInputError: Naming the field that is wrong and what would be right.
    """
    fields = _fields(cron)
    seconds = [fields[5]] if len(fields) > 5 else []  # noqa: PLR2004 - a sixth
    try:
        simulated = CronSim(" ".join([*seconds, *map(_rewrite, _FIELDS, fields[:5])]), wall)
    except CronSimError as error:
        name = str(error).removeprefix("Bad ")
        field = dict(zip(_FIELDS, fields, strict=False)).get(name, cron)
        msg = (
            f"The {name} field {field!r} of cron {cron!r} is wrong. "
            f"Use {_FIELDS.get(name, 'numbers')}, with ranges 1-5, lists 1,3 and steps */15."
        )
        raise InvalidInputError(msg) from None
    simulated.day_and = _days_both(fields, day_or=day_or)
    return simulated


def explain_cron(cron: str, *, day_or: bool = True) -> CronWords:
    """Say when an expression matches, such as ``"At 02:30 on Monday through Friday"``.

    Raises:
        InvalidInputError: As ``parse_cron``.
    """
    simulated = parse_cron(cron, datetime(2019, 1, 1), day_or=day_or)  # noqa: DTZ001 - any will do
    return CronWords(simulated.explain(), bool(simulated.day_and))


def _fields(cron: str) -> list[str]:
    text = cron if isinstance(cron, str) else ""
    fields = _SHORTHANDS.get(text.strip().lower(), text).split()
    if not 5 <= len(fields) <= 6:  # noqa: PLR2004
        msg = (
            f"Cron {cron!r} has {len(fields)} fields instead of 5 (minute, hour, day of month, "
            "month, day of week; a sixth: second). Write it as in '30 2 * * 1-5', 02:30 on "
            "weekdays."
        )
        raise InvalidInputError(msg)
    return fields


def _days_both(fields: list[str], *, day_or: bool) -> bool:
    return not day_or or any(fields[place] in {"*", "?"} for place in (2, 4))


def _rewrite(name: str, field: str) -> str:
    field = field.upper()
    if field == "?" and name in {"day-of-month", "day-of-week"}:
        return "*"
    if name == "day-of-week":
        field = re.sub(r"\bL([0-7])\b", r"\1L", field)
    if name in _ROUND:
        field = _RANGE.sub(lambda found: _round(name, found), field)
    return field


def _round(name: str, found: re.Match[str]) -> str:
    """Write a range that goes round as a list; leave all others as they are."""
    first, last = _ROUND[name]
    try:
        begin, end = _number(name, found[1]), _number(name, found[2])
    except ValueError:
        return found[0]
    if begin <= end or not (first <= end and begin <= last):
        return found[0]
    step = int(found[3] or 1)
    if step < 1:
        return found[0]
    span = range(begin, end + last - first + 2, step)
    return ",".join(str((each - first) % (last - first + 1) + first) for each in span)


def _number(name: str, text: str) -> int:
    if name == "month" and text in _MONTHS:
        return _MONTHS.index(text) + 1
    if name == "day-of-week" and text in _DAY_NAMES:
        return _DAY_NAMES.index(text)
    return int(text)
