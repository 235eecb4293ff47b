"""Texts of params and tags: an index holds the beginning, a column beside it the rest.

An entry of PostgreSQL's indexes has room for 2,704 bytes, and a param's value may be longer. Most
are not, and then nothing is different: the rest is empty and no condition looks at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

__all__ = ["HEAD", "is_one_of", "same", "split", "whole"]

#: Characters in the index. Four bytes each, with a key of 250 characters, fit in an entry.
HEAD = 400


def split(text: str) -> dict[str, str]:
    """Divide a text into its columns."""
    return {"value": text[:HEAD], "rest": text[HEAD:]}


def whole(table: Any) -> ColumnElement[str]:  # noqa: ANN401 - a table or an alias of one
    """Put a text together again."""
    text: ColumnElement[str] = table.c.value.concat(table.c.rest)
    return text


def same(table: Any, text: str) -> ColumnElement[bool]:  # noqa: ANN401
    """Say that a text is this one."""
    is_head: ColumnElement[bool] = table.c.value == text[:HEAD]
    # What goes on after a short text has another head: the rest need not be looked at.
    return is_head if len(text) < HEAD else and_(is_head, table.c.rest == text[HEAD:])


def is_one_of(table: Any, texts: list[str]) -> ColumnElement[bool]:  # noqa: ANN401
    """Say that a text is one of these."""
    short = [text for text in texts if len(text) < HEAD]
    long = [same(table, text) for text in texts if len(text) >= HEAD]
    among: ColumnElement[bool] = table.c.value.in_(short)
    return or_(among, *long) if long else among
