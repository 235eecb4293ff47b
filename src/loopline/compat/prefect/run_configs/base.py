"""``prefect.run_configs.base``."""

from loopline.compat.prefect.run_configs import RunConfig, UniversalRun

__all__ = ["RunConfig", "UniversalRun"]
