"""``prefect.schedules.adjustments``."""

from loopline.schedules.adjustments import add, next_weekday

__all__ = ["add", "next_weekday"]
