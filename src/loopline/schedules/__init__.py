"""Schedules as users import them: ``from loopline.schedules import IntervalSchedule``."""

from loopline.flows.schedules import CronSchedule, IntervalSchedule, Schedule
from loopline.schedules import clocks

__all__ = ["CronSchedule", "IntervalSchedule", "Schedule", "clocks"]
