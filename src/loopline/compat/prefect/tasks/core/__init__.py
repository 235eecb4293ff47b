"""``prefect.tasks.core``."""

from loopline.compat.prefect.refusals import refusing

__all__: list[str] = []

__getattr__ = refusing(__name__)
