"""``prefect.tasks.database.sqlite``."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from loopline.flows.defaults import defaults_from_attrs
from loopline.flows.task import Task

__all__ = ["SQLiteQuery", "SQLiteScript"]


class SQLiteQuery(Task):
    """Runs a statement on a file of SQLite's.

    Args:
        db: The file; ``":memory:"`` for none.
        query: The statement, with ``?`` for values.
        data: The values.
        **kwargs: As ``Task`` has them.
    """

    def __init__(
        self,
        db: str | None = None,
        query: str | None = None,
        data: tuple[Any, ...] = (),
        **kwargs: Any,
    ) -> None:
        self.db = db
        self.query = query
        self.data = data
        super().__init__(**kwargs)

    @defaults_from_attrs("db", "query", "data")
    def run(
        self, db: str | None = None, query: str | None = None, data: tuple[Any, ...] = ()
    ) -> list[tuple[Any, ...]]:
        """Run it; return all rows.

        Raises:
            ValueError: The file or the statement is missing.
        """
        if not db or not query:
            msg = "SQLiteQuery needs a db and a query."
            raise ValueError(msg)
        with closing(sqlite3.connect(db)) as connection, connection:
            return connection.execute(query, data).fetchall()


class SQLiteScript(Task):
    """Runs several statements on a file of SQLite's.

    Args:
        db: The file.
        script: The statements, with ``;`` between them.
        **kwargs: As ``Task`` has them.
    """

    def __init__(self, db: str | None = None, script: str | None = None, **kwargs: Any) -> None:
        self.db = db
        self.script = script
        super().__init__(**kwargs)

    @defaults_from_attrs("db", "script")
    def run(self, db: str | None = None, script: str | None = None) -> None:
        """Run them.

        Raises:
            ValueError: The file or the script is missing.
        """
        if not db or not script:
            msg = "SQLiteScript needs a db and a script."
            raise ValueError(msg)
        with closing(sqlite3.connect(db)) as connection, connection:
            connection.executescript(script)
