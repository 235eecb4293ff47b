"""Arrow and Parquet: tables in and answers out, by their media types."""

from __future__ import annotations

import io
from typing import Any

from loopline.errors import MissingExtraError
from loopline.models.signature import is_array, is_series, is_table
from loopline.serving.errors import BadBodyError, MediaTypeError

__all__ = ["MEDIA_TYPES", "STREAM", "in_type", "read", "read_table", "write"]

STREAM = "application/vnd.apache.arrow.stream"
FILE = "application/vnd.apache.arrow.file"
PARQUET = frozenset({"application/vnd.apache.parquet", "application/x-parquet"})
MEDIA_TYPES = frozenset({STREAM, FILE, *PARQUET})

_KNOWN = f"application/json, text/csv, {STREAM}, {FILE}, application/vnd.apache.parquet"


def read(body: bytes, media_type: str) -> Any:  # noqa: ANN401 - a DataFrame
    """Read a table as pandas has it; see ``read_table``."""
    return read_table(body, media_type).to_pandas()


def read_table(body: bytes, media_type: str) -> Any:  # noqa: ANN401 - a pyarrow.Table
    """Read a table.

    Raises:
        MediaTypeError: There is no such type here.
        BadBodyError: The body is not of its type.
    """
    if media_type not in MEDIA_TYPES:
        msg = f"The body must be one of {_KNOWN}, and Content-Type says {media_type!r}."
        raise MediaTypeError(msg)
    pa = _pyarrow()
    try:
        if media_type == STREAM:
            return pa.ipc.open_stream(body).read_all()
        if media_type == FILE:
            return pa.ipc.open_file(io.BytesIO(body)).read_all()
        import pyarrow.parquet as pq

        return pq.read_table(io.BytesIO(body))
    except (pa.ArrowException, OSError) as error:
        msg = f"The body is not what its Content-Type ({media_type}) says: {error}."
        raise BadBodyError(msg) from None


def in_type(table: Any, media_type: str) -> bytes:  # noqa: ANN401 - a pyarrow.Table
    """Write a table as a media type has it."""
    pa = _pyarrow()
    sink = io.BytesIO()
    if media_type in PARQUET:
        import pyarrow.parquet as pq

        pq.write_table(table, sink)
        return sink.getvalue()
    new = pa.ipc.new_stream if media_type == STREAM else pa.ipc.new_file
    with new(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def write(found: Any) -> bytes:  # noqa: ANN401 - any answer
    """Write an answer as a stream: the columns of a table, else one named ``predictions``."""
    return in_type(as_table(found), STREAM)


def as_table(found: Any) -> Any:  # noqa: ANN401 - any answer to a pyarrow.Table
    """Make an Arrow table of an answer."""
    pa = _pyarrow()
    if is_table(found):
        return pa.Table.from_pandas(found, preserve_index=False)
    if isinstance(found, dict):
        return pa.table({name: _column(value) for name, value in found.items()})
    return pa.table({"predictions": _column(found)})


def _column(value: Any) -> Any:  # noqa: ANN401 - arrays, lists, one value
    pa = _pyarrow()
    if is_series(value):
        value = value.to_numpy()
    if is_array(value):
        return pa.array(value if value.ndim == 1 else value.tolist())
    return pa.array(value if isinstance(value, list) else [value])


def _pyarrow() -> Any:  # noqa: ANN401 - a module
    try:
        import pyarrow as pa
        import pyarrow.ipc
    except ImportError:
        raise MissingExtraError("pyarrow", extra="data", purpose="Arrow and Parquet") from None
    return pa
