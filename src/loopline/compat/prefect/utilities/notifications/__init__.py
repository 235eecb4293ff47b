"""``prefect.utilities.notifications``."""

from loopline.compat.prefect.refusals import refusing
from loopline.compat.prefect.utilities.notifications.notifications import (
    callback_factory,
    gmail_notifier,
    slack_notifier,
)

__all__ = ["callback_factory", "gmail_notifier", "slack_notifier"]

__getattr__ = refusing(__name__)
