"""``prefect.tasks.database``; for other databases see ``loopline.tasks.SQLQuery``."""

from loopline.compat.prefect.refusals import refusing
from loopline.compat.prefect.tasks.database.sqlite import SQLiteQuery, SQLiteScript

__all__ = ["SQLiteQuery", "SQLiteScript"]

__getattr__ = refusing(__name__)
