"""``prefect.run_configs.local``."""

from loopline.compat.prefect.run_configs import LocalRun

__all__ = ["LocalRun"]
