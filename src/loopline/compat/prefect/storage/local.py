"""``prefect.storage.local``."""

from loopline.compat.prefect.storage import Local

__all__ = ["Local"]
