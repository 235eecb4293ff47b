"""Clocks as users import them: ``from loopline.schedules.clocks import IntervalClock``."""

from loopline.flows.clocks import CronClock, IntervalClock

__all__ = ["CronClock", "IntervalClock"]
