"""``prefect.storage.base``."""

from loopline.compat.prefect.storage import Storage

__all__ = ["Storage"]
