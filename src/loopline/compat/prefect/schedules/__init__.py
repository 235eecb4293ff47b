"""``prefect.schedules``."""

from loopline.compat.prefect.refusals import refusing
from loopline.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule

__all__ = ["CronSchedule", "IntervalSchedule", "RRuleSchedule", "Schedule"]

__getattr__ = refusing(__name__)
