"""``prefect.tasks.database``; for other databases see ``loopline.tasks.SQLQuery``."""

from loopline.compat.prefect.tasks.database.sqlite import SQLiteQuery, SQLiteScript

__all__ = ["SQLiteQuery", "SQLiteScript"]
