"""``prefect.run_configs``: how a flow's runs start.

Labels, environment variables and the working folder apply to the runs of what is registered.
Containers and the orchestrators of others are refused when they are imported.
"""

from loopline.compat.prefect.refusals import refusing
from loopline.flows.run_configs import LocalRun, RunConfig, UniversalRun

__all__ = ["LocalRun", "RunConfig", "UniversalRun"]

__getattr__ = refusing(__name__)
