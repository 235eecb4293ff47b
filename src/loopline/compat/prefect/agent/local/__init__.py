"""``prefect.agent.local``."""

from loopline.compat.prefect.agent.local.agent import LocalAgent

__all__ = ["LocalAgent"]
