"""Many rows by one statement, handed to the driver as they are.

SQLAlchemy looks at each value of each row on its way; where thousands of rows are written and
nothing needs converting, that is most of the cost.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Insert

__all__ = ["ManyRows"]


class ManyRows:
    """An INSERT of rows whose values the driver takes as they are.

    Args:
        statement: The INSERT, without values.
        columns: The columns that every row gives; the others get their defaults.
    """

    def __init__(self, statement: Insert, columns: Sequence[str]) -> None:
        self._statement = statement
        self._columns = list(columns)
        self._by_place: tuple[str, Callable[[dict[str, Any]], Any]] | None = None

    def execute(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Write the rows."""
        if not rows:
            return
        if not connection.dialect.positional:  # PostgreSQL's driver takes values by name.
            connection.execute(self._statement, rows)
            return
        if self._by_place is None:
            written = self._statement.compile(dialect=connection.dialect, column_keys=self._columns)
            places = written.positiontup or self._columns
            self._by_place = str(written), itemgetter(*places)
        sql, take = self._by_place
        connection.exec_driver_sql(sql, list(map(take, rows)))
