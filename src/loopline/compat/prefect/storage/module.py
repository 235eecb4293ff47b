"""``prefect.storage.module``."""

from loopline.compat.prefect.storage import Module

__all__ = ["Module"]
