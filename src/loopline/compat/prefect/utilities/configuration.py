"""``prefect.utilities.configuration``."""

from loopline.compat.prefect.configuration import set_temporary_config

__all__ = ["set_temporary_config"]
