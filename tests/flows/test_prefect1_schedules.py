"""Schedules answer as Prefect 1.4.1 does, but for what is listed here."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.flows.prefect1_schedules import MEASURED, answers, cases

import loopline.schedules

#: What is better here, with why.
DIFFERENT: dict[str, tuple[str, list[str]]] = {
    "adjustment, a day over a skipped hour": (
        "What is moved to later than asked for counts, whenever it fired.",
        ["2022-03-12T09:00:00-05:00", "2022-03-13T10:00:00-04:00", "2022-03-14T09:00:00-04:00",
         "2022-03-15T09:00:00-04:00"],
    ),
    "adjustment, the next weekday": (
        "Saturday's and Sunday's run are one on Monday, which nobody has twice.",
        ["2022-01-06T09:00:00-05:00", "2022-01-07T09:00:00-05:00", "2022-01-10T09:00:00-05:00",
         "2022-01-11T09:00:00-05:00"],
    ),
    "cron, doubled half past one": (
        "The first time, as its documentation says; it takes the second.",
        ["2022-11-06T01:30:00-04:00", "2022-11-07T01:30:00-05:00", "2022-11-08T01:30:00-05:00",
         "2022-11-09T01:30:00-05:00"],
    ),
    "cron, hourly over a doubled hour": (
        "As above.",
        ["2022-11-06T01:00:00-04:00", "2022-11-06T02:00:00-05:00", "2022-11-06T03:00:00-05:00",
         "2022-11-06T04:00:00-05:00"],
    ),
    "cron, skipped midnight": (
        "Its tables of time zones are those of 2020; Chile changed the day in 2022.",
        ["2022-09-10T00:00:00-04:00", "2022-09-11T01:00:00-03:00", "2022-09-12T00:00:00-03:00",
         "2022-09-13T00:00:00-03:00"],
    ),
    "filter, a date": (
        "It gives up after a thousand times of a cron clock.",
        ["2022-02-14T09:00:00-05:00", "2023-02-14T09:00:00-05:00", "2024-02-14T09:00:00-05:00",
         "2025-02-14T09:00:00-05:00"],
    ),
    "interval, 5 hours over a skipped hour": (
        "Five hours, as its documentation says; there it is four across the change.",
        ["2022-03-12T15:00:00-05:00", "2022-03-12T20:00:00-05:00", "2022-03-13T01:00:00-05:00",
         "2022-03-13T07:00:00-04:00"],
    ),
    "interval, a day at half past one": (
        "The first time, as for cron; it takes the second.",
        ["2022-11-06T01:30:00-04:00", "2022-11-07T01:30:00-05:00", "2022-11-08T01:30:00-05:00",
         "2022-11-09T01:30:00-05:00"],
    ),
    "interval, an hour over a doubled hour": (
        "Every hour, as its documentation says; it leaves one out, and gives the time asked after.",
        ["2022-11-06T01:00:00-04:00", "2022-11-06T01:00:00-05:00", "2022-11-06T02:00:00-05:00",
         "2022-11-06T03:00:00-05:00"],
    ),
}  # fmt: skip


def at(zone: str, *when: int) -> datetime:
    return datetime(*when, tzinfo=ZoneInfo(zone))  # type: ignore[arg-type, misc]


CASES = cases(loopline.schedules, at)
THEIRS = json.loads(MEASURED.read_text())


def in_utc(events: list[list[Any]]) -> list[list[Any]]:
    utc = ZoneInfo("UTC")
    return [
        [datetime.fromisoformat(when).astimezone(utc).isoformat(), *more] for when, *more in events
    ]


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_schedule_answers_as_in_prefect_1(name: str) -> None:
    (ours,) = answers({name: CASES[name]}).values()
    if name in DIFFERENT:
        assert [when for when, *_ in ours] == DIFFERENT[name][1]
        assert in_utc(ours) != in_utc(THEIRS[name])
    else:
        assert in_utc(ours) == in_utc(THEIRS[name])


def test_each_case_was_measured() -> None:
    assert sorted(THEIRS) == sorted(CASES)
    assert set(DIFFERENT) <= set(CASES)
