"""Clocks as users import them: ``from loopline.schedules.clocks import IntervalClock``."""

from loopline.flows.clocks import Clock, ClockEvent, CronClock, DatesClock, IntervalClock
from loopline.flows.timing.rrules import RRuleClock

__all__ = ["Clock", "ClockEvent", "CronClock", "DatesClock", "IntervalClock", "RRuleClock"]
