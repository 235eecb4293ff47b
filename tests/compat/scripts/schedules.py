"""Schedules, clocks, filters and adjustments: the next times, and a run by the schedule."""

import datetime

from dateutil.rrule import DAILY, rrule
from prefect import Flow, Parameter, task
from prefect.schedules import CronSchedule, IntervalSchedule, Schedule, adjustments, filters
from prefect.schedules.clocks import CronClock, DatesClock, IntervalClock, RRuleClock
from seen import refused, show

UTC = datetime.timezone.utc
START = datetime.datetime(2022, 3, 25, 12, tzinfo=UTC)
HOUR = datetime.timedelta(hours=1)


def times(schedule, n=4, after=START):
    return [moment.isoformat() for moment in schedule.next(n, after=after)]


show(
    "interval",
    times(
        IntervalSchedule(interval=HOUR, start_date=datetime.datetime(2022, 1, 1, 0, 20, tzinfo=UTC))
    ),
)
show(
    "interval, end",
    times(IntervalSchedule(interval=HOUR, start_date=START, end_date=START + 2 * HOUR)),
)
show("cron, weekday", times(CronSchedule("0 9 * * 1-5")))
show(
    "dates",
    times(
        Schedule(
            clocks=[
                DatesClock(
                    [
                        datetime.datetime(2022, 4, 1, tzinfo=UTC),
                        datetime.datetime(2022, 3, 30, tzinfo=UTC),
                    ]
                )
            ]
        )
    ),
)
show(
    "rrule",
    times(
        Schedule(
            clocks=[RRuleClock(rrule(DAILY, dtstart=datetime.datetime(2022, 3, 20, 7), interval=3))]
        )
    ),
)
two = Schedule(
    clocks=[
        IntervalClock(HOUR, start_date=START),
        CronClock("30 * * * *"),
        IntervalClock(2 * HOUR, start_date=START),
    ]
)
show("two clocks", times(two, 6))
FILTERS = {
    "on_datetime": filters.on_datetime(datetime.datetime(2022, 3, 26, 12, tzinfo=UTC)),
    "on_date": filters.on_date(3, 27),
    "at_time": filters.at_time(datetime.time(6)),
    "between_datetimes": filters.between_datetimes(
        datetime.datetime(2022, 3, 26, tzinfo=UTC), datetime.datetime(2022, 3, 27, tzinfo=UTC)
    ),
    "between_times": filters.between_times(datetime.time(22), datetime.time(3)),
    "between_dates": filters.between_dates(3, 27, 4, 1),
    "is_weekday": filters.is_weekday,
    "is_weekend": filters.is_weekend,
    "is_month_end": filters.is_month_end,
    "is_month_start": filters.is_month_start,
    "is_day_of_week": filters.is_day_of_week(2),
}
for name, one in FILTERS.items():
    show(name, times(Schedule(clocks=[IntervalClock(HOUR, start_date=START)], filters=[one])))
show(
    "or, not",
    times(
        Schedule(
            clocks=[IntervalClock(6 * HOUR, start_date=START)],
            or_filters=[filters.is_month_end, filters.on_date(3, 27)],
            not_filters=[filters.at_time(datetime.time(6))],
        ),
        5,
    ),
)
for name, one in {
    "add": adjustments.add(datetime.timedelta(minutes=5)),
    "next_weekday": adjustments.next_weekday,
}.items():
    show(
        name,
        times(Schedule(clocks=[IntervalClock(12 * HOUR, start_date=START)], adjustments=[one])),
    )
events = Schedule(
    clocks=[IntervalClock(HOUR, start_date=START, parameter_defaults={"x": 1}, labels=["gpu"])]
).next(1, after=START, return_events=True)
show("events", [[e.start_time.isoformat(), e.parameter_defaults, e.labels] for e in events])
refused("too short", lambda: IntervalClock(datetime.timedelta(0)))
refused("bad cron", lambda: CronClock("every hour"))
show(
    "nothing left",
    times(Schedule(clocks=[DatesClock([datetime.datetime(2020, 1, 1, tzinfo=UTC)])])),
)
show(
    "is naive",
    times(IntervalSchedule(interval=HOUR, start_date=datetime.datetime(2022, 1, 1, 0, 20)), 2),
)

now = datetime.datetime.now(UTC)
soon = [now + datetime.timedelta(seconds=1), now + datetime.timedelta(seconds=2)]
seen = []
with Flow(
    "scheduled", schedule=Schedule(clocks=[DatesClock(soon, parameter_defaults={"x": 5})])
) as flow:
    x = Parameter("x", default=1)
    doubled = task(lambda x: seen.append(x) or 2 * x, name="double")(x)
state = flow.run()
show("by its schedule", state, doubled=doubled)
show("runs", seen)
show("not by its schedule", flow.run(run_on_schedule=False), doubled=doubled)
