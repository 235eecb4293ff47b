"""Files that hold a table: Parquet, Arrow, CSV and JSON lines, read batch after batch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from loopline.data.profile import Description, describe_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

__all__ = ["describe_files", "describe_npy", "format_of", "read_file", "stream_file"]

#: Format by a file name's ending.
FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".npy": "npy",
}
#: Bytes of a CSV or JSON file parsed at a time; types are guessed from the first ones.
BLOCK_BYTES = 1 << 24
#: Rows of a longer Parquet file or folder that its profile is made of, in row groups that lie
#: evenly over it: the file may be larger than a day can read.
MOST_ROWS = 20_000_000


class Stream(NamedTuple):
    """A table in a file.

    Attributes:
        schema: Of every batch.
        batches: Reads the batches; what is wrong with the file may only show then.
        rows: How many there are, when that can be told without reading them.
        profiled_rows: How many the batches have, when these are not all.
    """

    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]
    rows: int | None = None
    profiled_rows: int | None = None


def format_of(name: str) -> str:
    """Tell the format of a file by its name: ``"parquet"``, ``"csv"``, ...; or empty."""
    lower = name.lower()
    return next((kind for ending, kind in FORMATS.items() if lower.endswith(ending)), "")


def describe_files(files: Sequence[tuple[str, Any]]) -> Description:
    """Describe the table that files hold together, one after another.

    Args:
        files: (name, path or a function that opens the file for reading and seeking) each.

    Returns:
        An empty description when they are not all tables of one format, their columns do not
        go together, or pyarrow is not installed. Files that claim a format and cannot be read
        are warned about: their digest counts all the same.
    """
    shown = [(name, file) for name, file in files if not _is_hidden(name)]
    kinds = {format_of(name) for name, _ in shown}
    if len(kinds) != 1 or "" in kinds:
        return Description()
    (kind,) = kinds
    try:
        import pyarrow as pa
    except ImportError:
        return Description()
    if kind == "npy":
        return describe_npy(shown[0][1]) if len(shown) == 1 else Description()
    try:
        return _describe(shown)
    except (pa.ArrowException, OSError) as error:
        what = f"A file of {len(shown)}" if len(shown) > 1 else shown[0][0]
        warnings.warn(
            f"{what} cannot be read as {kind} ({str(error).splitlines()[0]}): the data version has "
            "its bytes and no profile. Check the file.",
            RuntimeWarning,
            stacklevel=2,
        )
        return Description()


def _describe(files: list[tuple[str, Any]]) -> Description:
    import pyarrow as pa

    def described(*, as_text: bool) -> Description:
        most = MOST_ROWS // len(files)
        streams = [stream_file(*file, most_rows=most, as_text=as_text) for file in files]
        return _describe_streams(streams)

    try:
        return described(as_text=False)
    except pa.ArrowInvalid:
        if format_of(files[0][0]) != "csv":
            raise
        # A later row does not have the type that the first ones let guess.
        return described(as_text=True)


def _describe_streams(streams: list[Stream]) -> Description:
    import pyarrow as pa

    if len(streams) == 1:
        schema = streams[0].schema
    else:
        try:
            schema = pa.unify_schemas(
                [stream.schema for stream in streams], promote_options="permissive"
            )
        except pa.ArrowException:
            return Description()
    batches = (
        batch for stream in streams for part in stream.batches() for batch in _fit(part, schema)
    )
    found = describe_tables(schema, batches)
    totals = [stream.rows for stream in streams]
    if all(stream.profiled_rows is None for stream in streams) or None in totals:
        return found
    rows = sum(total or 0 for total in totals)
    return msgspec.structs.replace(found, rows=rows, profiled_rows=found.rows)


def _fit(batch: pa.RecordBatch, schema: pa.Schema) -> list[pa.RecordBatch]:
    """Bring a batch of one file into the form that all files have together."""
    import pyarrow as pa

    if batch.schema.equals(schema):
        return [batch]
    parts = [schema.empty_table(), pa.Table.from_batches([batch])]
    fitted: list[pa.RecordBatch] = (
        pa.concat_tables(parts, promote_options="permissive").combine_chunks().to_batches()
    )
    return fitted


def stream_file(
    name: str,
    file: Any,  # noqa: ANN401 - a path or a function
    *,
    most_rows: int | None = None,
    as_text: bool = False,
) -> Stream:
    """Open a table for reading in batches.

    Args:
        name: Its ending tells the format.
        file: A path, or a function that opens the file for reading and seeking.
        most_rows: Read no more than about so many rows of a Parquet file.
        as_text: Guess no types of a CSV file: every column is text.

    Raises:
        pyarrow.ArrowException: The file is not what its name says; also later, while reading.
    """
    match format_of(name):
        case "parquet":
            return _stream_parquet(file, most_rows)
        case "arrow":
            return _stream_arrow(file)
        case "csv":
            return _stream_csv(name, file, as_text=as_text)
        case _:
            return _stream_json(file)


def read_file(name: str, path: Path) -> pa.Table:
    """Read a table whole."""
    import pyarrow as pa

    stream = stream_file(name, path)
    return pa.Table.from_batches(stream.batches(), stream.schema)


def _opened(file: Any) -> Any:  # noqa: ANN401 - a path or a function
    """Open for pyarrow, which takes a path or a Python file."""
    return file() if callable(file) else str(file)


def _stream_parquet(file: Any, most_rows: int | None) -> Stream:  # noqa: ANN401
    from pyarrow import parquet

    def batches() -> Iterator[pa.RecordBatch]:
        with parquet.ParquetFile(_opened(file), pre_buffer=False) as opened:
            yield from opened.iter_batches(row_groups=groups, batch_size=1 << 17)

    with parquet.ParquetFile(_opened(file), pre_buffer=False) as opened:
        meta = opened.metadata
        groups = list(range(meta.num_row_groups))
        if most_rows is not None and meta.num_rows > most_rows:
            step = -(-meta.num_rows // most_rows)
            groups = groups[step // 2 :: step] or groups[:1]
        chosen = sum(meta.row_group(group).num_rows for group in groups)
        is_part = chosen < meta.num_rows
        return Stream(opened.schema_arrow, batches, meta.num_rows, chosen if is_part else None)


def _stream_arrow(file: Any) -> Stream:  # noqa: ANN401
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        with pa.ipc.open_file(source()) as reader:
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)

    def source() -> Any:  # noqa: ANN401 - a file of pyarrow's or Python's
        return file() if callable(file) else pa.memory_map(str(file))

    with pa.ipc.open_file(source()) as reader:
        return Stream(reader.schema, batches)


def _stream_csv(name: str, file: Any, *, as_text: bool) -> Stream:  # noqa: ANN401
    import pyarrow as pa
    from pyarrow import csv

    parse = csv.ParseOptions(delimiter="\t" if ".tsv" in name.lower() else ",")
    read = csv.ReadOptions(block_size=BLOCK_BYTES)

    def reader(schema: pa.Schema | None) -> Any:  # noqa: ANN401 - pyarrow's types
        convert = csv.ConvertOptions(column_types=schema, strings_can_be_null=True)
        return csv.open_csv(_opened(file), read, parse, convert)

    with reader(None) as opened:
        schema = opened.schema
    if as_text:
        schema = pa.schema([(name, pa.string()) for name in schema.names])

    def batches() -> Iterator[pa.RecordBatch]:
        with reader(schema) as opened:
            yield from opened

    return Stream(schema, batches)


def _stream_json(file: Any) -> Stream:  # noqa: ANN401
    from pyarrow import json

    def batches() -> Iterator[pa.RecordBatch]:
        yield from table.to_batches()

    # Whole: a field that first stands in the last line belongs to the schema, too.
    source = file() if callable(file) else str(file)
    table: pa.Table = json.read_json(source, json.ReadOptions(block_size=BLOCK_BYTES))
    return Stream(table.schema, batches)


def describe_npy(file: Any) -> Description:  # noqa: ANN401 - as above
    """Describe an array in NumPy's format by its head alone."""
    import numpy as np

    with file() if callable(file) else Path(file).open("rb") as opened:
        version = np.lib.format.read_magic(opened)
        read = np.lib.format.read_array_header_1_0
        read = read if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(opened)
    return Description(
        rows=shape[0] if shape else None, columns={"array": f"{dtype}{list(shape[1:])}"}
    )


def _is_hidden(name: str) -> bool:
    """Whether a file only accompanies the data, as ``_SUCCESS`` and ``.crc`` files do."""
    return any(part.startswith((".", "_")) for part in name.split("/"))
