"""The caller's own ids: a column of the rows that names predictions, and is none of the model's.

A model whose signature has columns leaves others out by itself, so its requests go on as they came.
For any other model the column is taken out of the body.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.serving import arrow
from loopline.serving.errors import BadDataError

if TYPE_CHECKING:
    from loopline.serving.model import ServedModel

__all__ = ["Named", "leaves_out", "take_ids"]


class Named(NamedTuple):
    """A request whose rows have ids.

    Attributes:
        ids: One of each row.
        body: Without their column.
    """

    ids: tuple[str, ...]
    body: bytes


def leaves_out(model: ServedModel) -> bool:
    """Tell whether a model leaves columns out that its signature does not have."""
    columns = () if model.inputs is None else model.inputs.columns
    return bool(columns) and all(isinstance(column.name, str) for column in columns)


def take_ids(body: bytes, content_type: str, column: str, *, out: bool) -> Named:
    """Take the ids out of a request.

    Args:
        body: All of it.
        content_type: Header of that name.
        column: Where the ids are.
        out: Take the column out of the body, too.

    Raises:
        BadDataError: Rows have no id.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json":
        ids, body = _of_json(body, column, out=out)
    elif media_type == "text/csv":
        ids, body = _of_csv(body, column, out=out)
    elif media_type in arrow.MEDIA_TYPES:
        ids, body = _of_arrow(body, media_type, column, out=out)
    else:
        return Named((), body)  # Refused by whoever reads it next.
    if ids is None:
        msg = f"The rows must have the column {column!r}, which names their predictions. Add it."
        raise BadDataError(msg, field=column)
    return Named(tuple(_text(each, at, column) for at, each in enumerate(ids)), body)


def _text(value: object, row: int, column: str) -> str:
    """Write an id: a text, or a whole number."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        msg = f"Row {row} has no id: column {column!r} must be a text or a whole number."
        raise BadDataError(msg, field=column, row=row)
    return str(value)


def _of_json(body: bytes, column: str, *, out: bool) -> tuple[list[Any] | None, bytes]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return [], body  # Whoever reads it next says what is wrong.
    if not isinstance(content, dict):
        return [], body
    for shape in ("dataframe_split", "dataframe_records", "instances", "inputs"):
        if shape in content:
            ids = _taken(content[shape], column)
            return ids, json.dumps(content).encode() if out and ids else body
    return [], body


def _taken(data: Any, column: str) -> list[Any] | None:  # noqa: ANN401 - of JSON
    """Take a column out of data in place; None: it is not there."""
    if isinstance(data, list):
        if not data or not all(isinstance(row, dict) and column in row for row in data):
            return None
        return [row.pop(column) for row in data]
    if not isinstance(data, dict):
        return None
    if column in data:
        found = data.pop(column)
        return found if isinstance(found, list) else [found]
    names, rows = data.get("columns"), data.get("data")
    if not isinstance(names, list) or column not in names or not isinstance(rows, list):
        return None
    at = names.index(column)
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    names.pop(at)
    return [row.pop(at) for row in rows]


def _of_csv(body: bytes, column: str, *, out: bool) -> tuple[list[Any] | None, bytes]:
    try:
        rows = list(csv.reader(io.StringIO(body.decode(), newline="")))
    except (UnicodeDecodeError, csv.Error):
        return [], body
    rows = [row for row in rows if row]
    if not rows or column not in rows[0] or any(len(row) != len(rows[0]) for row in rows):
        return None, body
    at = rows[0].index(column)
    ids = [row.pop(at) for row in rows][1:]
    if not out:
        return ids, body
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return ids, text.getvalue().encode()


def _of_arrow(
    body: bytes, media_type: str, column: str, *, out: bool
) -> tuple[list[Any] | None, bytes]:
    table = arrow.read_table(body, media_type)
    if column not in table.column_names:
        return None, body
    ids = table[column].to_pylist()
    return ids, arrow.in_type(table.drop_columns([column]), media_type) if out else body
