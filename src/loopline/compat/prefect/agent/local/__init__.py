"""``prefect.agent.local``."""

from loopline.compat.prefect.agent.local.agent import LocalAgent
from loopline.compat.prefect.refusals import refusing

__all__ = ["LocalAgent"]

__getattr__ = refusing(__name__)
