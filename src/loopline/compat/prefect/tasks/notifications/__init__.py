"""``prefect.tasks.notifications``; Loopline's own task is ``loopline.tasks.SendMessage``."""

from loopline.compat.prefect.refusals import refusing
from loopline.compat.prefect.tasks.notifications.slack_task import SlackTask

__all__ = ["SlackTask"]

__getattr__ = refusing(__name__)
