"""INSERT for rows that may be there already, in the words both databases understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Insert, Table
from sqlalchemy.ext.compiler import compiles

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

__all__ = ["InsertOrIgnore", "InsertOrReplace"]


class InsertOrIgnore(Insert):
    """INSERT that leaves a row alone which any unique constraint says is there already."""

    inherit_cache = True


class InsertOrReplace(Insert):
    """INSERT that puts a row in the place of the one with the same primary key.

    Columns that are not given get their defaults, as in a new row.
    """

    inherit_cache = True


@compiles(InsertOrIgnore)
def _ignore(element: InsertOrIgnore, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"{_insert(element, compiler, options)} ON CONFLICT DO NOTHING"


@compiles(InsertOrReplace)
def _replace(element: InsertOrReplace, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    assert isinstance(element.table, Table)  # noqa: S101 - what INSERT goes into
    quote = compiler.preparer.quote
    keys = ", ".join(quote(column.name) for column in element.table.primary_key)
    changes = ", ".join(
        f"{quote(column.name)} = excluded.{quote(column.name)}"
        for column in element.table.columns
        if not column.primary_key
    )
    plain = _insert(element, compiler, options)
    return f"{plain} ON CONFLICT ({keys}) DO UPDATE SET {changes}"


def _insert(element: Insert, compiler: SQLCompiler, options: dict[str, Any]) -> str:
    written: str = compiler.visit_insert(element, **options)  # type: ignore[no-untyped-call]
    return written
