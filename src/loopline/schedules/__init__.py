"""Schedules as users import them: ``from loopline.schedules import IntervalSchedule``."""

from loopline.flows.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule
from loopline.schedules import adjustments, clocks, filters

__all__ = [
    "CronSchedule",
    "IntervalSchedule",
    "RRuleSchedule",
    "Schedule",
    "adjustments",
    "clocks",
    "filters",
]
