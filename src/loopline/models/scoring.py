"""Batch scoring: a table of any length through a model, chunk by chunk, into a new table."""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from loopline.errors import AlreadyExistsError, InvalidInputError, MissingExtraError, NotFoundError
from loopline.models import pyfunc
from loopline.models.signature import is_array, is_series, is_table
from loopline.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from loopline.models.pyfunc import PyFuncModel

__all__ = ["Scored", "score"]

#: Rows that are in memory at a time, unless said.
CHUNK_ROWS = 100_000
FORMATS = {".parquet": "parquet", ".csv": "csv"}


class Scored(Record, frozen=True, kw_only=True):
    """What came of scoring a table.

    Attributes:
        rows: How many there were.
        target: Where they are now.
    """

    rows: int
    target: str


def score(
    model_uri: str | Path,
    source: str | Path,
    target: str | Path,
    *,
    chunk_rows: int = CHUNK_ROWS,
    keep: Sequence[str] | None = None,
    overwrite: bool = False,
    allow_pickle: bool = False,
    on_progress: Callable[[int, int], object] | None = None,
) -> Scored:
    """Score all rows of a table; the answers appear in whole, or not at all.

    Args:
        model_uri: Such as ``models:/taxifare_model/Production``.
        source: A Parquet or CSV file, or a folder of one kind of them, read in order of names.
        target: The file to write, ``.parquet`` or ``.csv``: the source's columns, then
            ``prediction`` (or ``prediction.NAME`` where the model gives several).
        chunk_rows: Rows in memory at a time.
        keep: Columns of the source to write beside the answers; all when None.
        overwrite: Write over a file that is there.
        allow_pickle: Allow code from the model's file to run, where its format needs that.
        on_progress: Called after each chunk with the rows done and all rows; 0: nobody knows.

    Raises:
        NotFoundError: There is no such model, or nothing at ``source``.
        AlreadyExistsError: There is something at ``target``.
        InvalidInputError: The data do not fit the model; the message names the column, and the
            first row of the chunk. Nothing is written then.
    """
    path = Path(target)
    if path.suffix not in FORMATS:
        msg = f"{path} must end in .parquet or .csv. Name such a file."
        raise InvalidInputError(msg)
    if path.exists() and not overwrite:
        msg = f"There is something at {path}. Name another file, or say overwrite=True."
        raise AlreadyExistsError(msg)
    total, chunks = _chunks(Path(source), chunk_rows)
    model = pyfunc.load_model(model_uri, allow_pickle=allow_pickle)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    rows = 0
    try:
        with ExitStack() as stack:
            writer: Any = None
            for chunk in chunks:
                answered = _score_chunk(model, chunk, keep, first_row=rows)
                if writer is None:
                    writer = stack.enter_context(_writer(partial, path.suffix, answered.schema))
                writer.write_table(answered.cast(writer.schema))
                rows += len(chunk)
                if on_progress is not None:
                    on_progress(rows, total)
        if writer is None:
            msg = f"{source} has no rows. Give a table that has some."
            raise InvalidInputError(msg)
        os.replace(partial, path)  # noqa: PTH105 - over a file that may be there
    finally:
        partial.unlink(missing_ok=True)
    return Scored(rows=rows, target=str(path))


def _chunks(source: Path, chunk_rows: int) -> tuple[int, Iterator[Any]]:
    """Read a table in chunks; also tell how many rows there are, 0 where that is not known."""
    try:
        import pyarrow as pa
        import pyarrow.dataset as ds
    except ImportError:
        raise MissingExtraError("pyarrow", extra="data", purpose="Batch scoring") from None
    files = sorted(p for p in source.rglob("*") if p.suffix in FORMATS) if source.is_dir() else []
    files = files or ([source] if source.is_file() else [])
    if not files:
        msg = f"There is no Parquet or CSV file at {source}. Give a file, or a folder of them."
        raise NotFoundError(msg)
    kinds = {FORMATS.get(file.suffix, "parquet") for file in files}
    if len(kinds) > 1:
        msg = f"{source} has Parquet and CSV files. Give a folder with one kind of them."
        raise InvalidInputError(msg)
    try:
        data = ds.dataset([str(file) for file in files], format=kinds.pop())
        total = data.count_rows() if files[0].suffix == ".parquet" else 0
    except (pa.ArrowException, OSError) as error:
        msg = f"{source} cannot be read: {error}."
        raise InvalidInputError(msg) from None

    def read() -> Iterator[Any]:
        # One fragment after the other, each in order, so that the rows keep their places.
        waiting: list[Any] = []
        count = 0
        for batch in data.scanner(
            batch_size=chunk_rows, batch_readahead=1, fragment_readahead=1
        ).to_batches():
            if not batch.num_rows:
                continue
            waiting.append(batch)
            count += batch.num_rows
            if count >= chunk_rows:
                yield pa.Table.from_batches(waiting)
                waiting, count = [], 0
        if waiting:
            yield pa.Table.from_batches(waiting)

    return total, read()


def _score_chunk(
    model: PyFuncModel,
    chunk: Any,  # noqa: ANN401 - a pyarrow.Table
    keep: Sequence[str] | None,
    *,
    first_row: int,
) -> Any:  # noqa: ANN401 - a pyarrow.Table
    """Add the answers to a chunk's columns."""
    try:
        found = model.predict(chunk.to_pandas())
    except InvalidInputError as error:
        msg = f"Rows {first_row} to {first_row + len(chunk) - 1}: {error}"
        raise InvalidInputError(msg) from error
    table = chunk if keep is None else chunk.select(list(keep))
    for name, column in _answers(found).items():
        table = table.append_column(name, column)
    return table


def _answers(found: Any) -> dict[str, Any]:  # noqa: ANN401 - any answer
    """Make columns of what a model gave."""
    import pyarrow as pa

    if is_table(found):
        return {f"prediction.{name}": pa.array(found[name]) for name in found.columns}
    if isinstance(found, dict):
        return {f"prediction.{name}": pa.array(list(value)) for name, value in found.items()}
    if is_series(found):
        found = found.to_numpy()
    if is_array(found):
        return {"prediction": pa.array(found if found.ndim == 1 else found.tolist())}
    return {"prediction": pa.array(list(found))}


def _writer(path: Path, suffix: str, schema: Any) -> Any:  # noqa: ANN401 - of pyarrow
    import pyarrow.parquet as pq

    if suffix == ".csv":
        return _CsvWriter(path, schema)
    return pq.ParquetWriter(path, schema)


class _CsvWriter:
    """pyarrow's, which tells its schema as the one of Parquet does."""

    def __init__(self, path: Path, schema: Any) -> None:  # noqa: ANN401 - of pyarrow
        import pyarrow.csv

        self.schema = schema
        self._writer = pyarrow.csv.CSVWriter(path, schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write_table(self, table: Any) -> None:  # noqa: ANN401 - of pyarrow
        self._writer.write_table(table)
