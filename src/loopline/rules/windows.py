"""Windows of time: how rows are cut into what is evaluated on and what is learnt from."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from loopline.errors import InvalidInputError

__all__ = ["Span", "Window", "cut", "parse_window", "spans_between"]

_WINDOW = re.compile(r"\s*(\d*)\s*(months?|weeks?|days?|hours?|minutes?|[hdw])\s*")
_SECONDS = {"minute": 60, "hour": 3600, "h": 3600, "day": 86400, "d": 86400, "week": 604800,
            "w": 604800}  # fmt: skip
MOST_MONTHS = 1_200


class Window(NamedTuple):
    """A length of time: some calendar months, or some seconds."""

    months: int = 0
    seconds: int = 0


class Span(NamedTuple):
    """From a moment on, until just before another."""

    since: datetime
    until: datetime

    def __str__(self) -> str:
        return f"{_short(self.since)} to {_short(self.until)}"


def parse_window(text: str) -> Window:
    """Read ``"month"``, ``"2 months"``, ``"week"``, ``"7 days"``, ``"12h"``.

    Raises:
        InvalidInputError: It is none of these.
    """
    found = _WINDOW.fullmatch(text.lower())
    count = int(found[1] or 1) if found else 0
    if found is None or not count or count > MOST_MONTHS * 31 * 24:
        msg = f"No window {text!r}. Write month, 2 months, week, 7 days or 12 hours."
        raise InvalidInputError(msg)
    unit = found[2].rstrip("s") if len(found[2]) > 1 else found[2]
    if unit == "month":
        return Window(months=count)
    return Window(seconds=count * _SECONDS[unit])


def before(moment: datetime, window: Window) -> datetime:
    """Go back by a window; from the 31st into a month without one: its last day."""
    if not window.months:
        return moment - timedelta(seconds=window.seconds)
    return _months_on(moment, -window.months)


def after(moment: datetime, window: Window) -> datetime:
    """Go on by a window."""
    if not window.months:
        return moment + timedelta(seconds=window.seconds)
    return _months_on(moment, window.months)


def _months_on(moment: datetime, months: int) -> datetime:
    count = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(count, 12)
    for day in range(moment.day, 27, -1):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return moment.replace(year=year, month=month + 1, day=min(moment.day, 28))


def cut(until: datetime, window: str, train_window: str) -> tuple[Span, Span | None]:
    """Cut what is evaluated on, the last window before a moment, and what is learnt from before.

    Args:
        until: The rows before this moment are there.
        window: What is evaluated on, such as ``"month"``.
        train_window: What is learnt from; empty: all that lies before.

    Returns:
        Both; None for what is learnt from when it has no beginning.
    """
    new = Span(before(until, parse_window(window)), until)
    if not train_window:
        return new, None
    return new, Span(before(new.since, parse_window(train_window)), new.since)


def spans_between(since: datetime, until: datetime, window: str) -> list[Span]:
    """Cut a stretch of time into windows, one after the other; the last one is whole, too.

    Raises:
        InvalidInputError: There is no window in it, or there are more than 10,000.
    """
    length = parse_window(window)
    spans: list[Span] = []
    start = since
    while (end := after(start, length)) <= until:
        spans.append(Span(start, end))
        start = end
        if len(spans) > 10_000:  # noqa: PLR2004 - said in the message
            msg = f"From {_short(since)} to {_short(until)} there are more than 10,000 windows."
            raise InvalidInputError(msg)
    if not spans:
        msg = (
            f"From {_short(since)} to {_short(until)} there is not one whole {window}. "
            "Begin earlier or end later."
        )
        raise InvalidInputError(msg)
    return spans


def _short(moment: datetime) -> str:
    """Write a moment without what is nought."""
    if moment.hour or moment.minute or moment.second:
        return moment.isoformat(sep=" ", timespec="minutes")
    return moment.date().isoformat()
