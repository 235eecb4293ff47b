"""``prefect.tasks.core``."""

__all__ = []
