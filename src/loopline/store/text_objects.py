"""Keys and values of many rows gathered into one JSON object, in each database's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

__all__ = ["TextObject"]


class TextObject(FunctionElement[str]):
    """``TextObject(key, value)``: the text of a JSON object; NULL or ``{}`` without rows."""

    inherit_cache = True
    type = Text()


@compiles(TextObject)
def _sqlite(element: TextObject, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"json_group_object({compiler.process(element.clauses, **options)})"


@compiles(TextObject, "postgresql")
def _postgresql(element: TextObject, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"json_object_agg({compiler.process(element.clauses, **options)})::text"
