"""Adjustments as users import them: ``from loopline.schedules.adjustments import next_weekday``."""

from loopline.flows.timing.schedule_filters import add, next_weekday

__all__ = ["add", "next_weekday"]
