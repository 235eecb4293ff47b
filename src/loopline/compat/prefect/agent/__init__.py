"""``prefect.agent``: the agent of this machine is Loopline's worker."""

from loopline.compat.prefect.agent.local import LocalAgent
from loopline.compat.prefect.refusals import refusing

__all__ = ["LocalAgent"]

__getattr__ = refusing(__name__)
