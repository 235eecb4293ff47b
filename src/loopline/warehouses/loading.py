"""Files to be loaded into a table, as one reader of batches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loopline.data.formats import format_of, stream_file
from loopline.data.tables import need_pyarrow
from loopline.errors import InvalidInputError, NotFoundError
from loopline.warehouses.schemas import fitted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

__all__ = ["reader_of_files"]

_TABLES = frozenset({"parquet", "arrow", "csv", "json"})


def reader_of_files(files: Sequence[str | Path]) -> pa.RecordBatchReader:
    """Read files one after another, in the columns of the first.

    Raises:
        NotFoundError: A file is not there.
        InvalidInputError: A file is no table.
        TableSchemaError: A file has other columns than the first; raised while reading.
    """
    pa = need_pyarrow("Loading files")
    for file in files:
        if not Path(file).is_file():
            msg = f"There is no file {str(file)!r}. Check the path."
            raise NotFoundError(msg)
        if format_of(str(file)) not in _TABLES:
            msg = f"{file} is no Parquet, CSV, Arrow or JSON-lines file by its name. Rename it."
            raise InvalidInputError(msg)
    try:
        schema = stream_file(str(files[0]), Path(files[0])).schema
    except pa.ArrowException as error:
        msg = f"{files[0]} cannot be read: {error}"
        raise InvalidInputError(msg) from None
    return pa.RecordBatchReader.from_batches(schema, _batches(files, schema))


def _batches(files: Sequence[str | Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for file in files:
        row = 0
        for batch in stream_file(str(file), Path(file)).batches():
            part = fitted(
                pa.Table.from_batches([batch]), schema, table=Path(file).name, row_offset=row
            )
            row += batch.num_rows
            yield from part.to_batches()
