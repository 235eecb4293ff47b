"""Data versions: data of any kind described as name, source, content digest, schema, profile."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.data.buckets import BucketSource, is_bucket_url
from loopline.data.profile import Description
from loopline.data.queries import query_source, reader_of_query
from loopline.data.sources import ArraySource, FileSource, FolderSource, TableSource, described
from loopline.data.tables import as_table, is_table, library_of
from loopline.data.values import cut
from loopline.errors import InvalidInputError, MissingExtraError
from loopline.records.tracking import Dataset

if TYPE_CHECKING:
    from loopline.data.sources import Source
    from loopline.records.lineage import DatasetSnapshot

__all__ = ["HeldDataset", "as_dataset", "dataset"]

MOST_NAME = 500


class HeldDataset(Dataset, frozen=True, kw_only=True, dict=True, eq=False):
    """A data version whose data are still at hand, so that their bytes can be kept.

    It is equal to the record that was logged of it, and is stored and sent as that.
    """

    @property
    def held(self) -> Source | None:
        """The data; None after the record was copied to another process."""
        held: Source | None = self.__dict__.get("held_source")
        return held

    def snapshot(self) -> DatasetSnapshot:
        """Keep the data's bytes in the store; see ``loopline.data.snapshot``."""
        from loopline.data.snapshots import snapshot

        return snapshot(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dataset):
            return NotImplemented
        return msgspec.structs.astuple(self) == msgspec.structs.astuple(other)

    __hash__ = None  # type: ignore[assignment]  # Holds mappings, as every ``Dataset`` does.


def dataset(
    data: Any,  # noqa: ANN401 - told apart here
    *,
    name: str = "",
    source: str = "",
    connection: Any = None,  # noqa: ANN401 - any database's
    params: Any = None,  # noqa: ANN401 - as its driver takes them
    profile: bool = True,
) -> HeldDataset:
    """Describe data as a data version; equal content gives an equal digest.

    Tables have the same digest whichever library holds them, and in whichever process; see
    ``loopline.data.digest`` for what counts. The digest of a file is that of its bytes, as
    ``sha256sum`` prints it, and is found without reading when the file has not been touched.

    Args:
        data: A table of pandas, Polars, Arrow, DuckDB or any library that speaks Arrow; an
            array of NumPy or one that turns into it; a mapping from names to columns or
            arrays; a path of a file or folder; an ``s3://``, ``gs://`` or ``az://`` URL; or,
            with ``connection``, the text of a SQL query. Without ORDER BY a query may answer
            the same rows in another order, which are other data.
        name: What people call it, such as ``"green taxi 2022-01"``; the file's name, or
            ``"dataset"``, when empty.
        source: Where it came from; the path, URL or query when empty.
        connection: Where to ask a query: a DuckDB, SQLAlchemy or DB-API connection.
        params: Values for the query's placeholders.
        profile: Look into the columns too. Without it, no value of the data is recorded.

    Raises:
        InvalidInputError: The data are of another kind, or are not there.
        MissingExtraError: What it takes to read them is not installed.

    Example:
        >>> loopline.log_input(loopline.dataset(trips, name="trips"), context="training")
    """
    held = _source(data, connection, params)
    digest = held.digest()
    found = described(held, digest) if profile else Description()
    held.forget()
    made = HeldDataset(
        name=_checked(name or held.label or "dataset"),
        digest=digest,
        source=_checked_source(source or held.origin),
        kind=held.kind,
        rows=found.rows,
        size_bytes=held.size_bytes(),
        columns=found.columns,
        column_count=found.column_count,
        profile=found.profile,
        profiled_rows=found.profiled_rows,
        sampled_rows=found.sampled_rows,
    )
    made.__dict__["held_source"] = held
    return made


def as_dataset(data: Any, *, name: str = "") -> Dataset:  # noqa: ANN401
    """Take a data version as it is; make one of anything else that ``dataset`` takes."""
    if hasattr(data, "region") and hasattr(data, "dataset"):  # Rows of a feed.
        data = data.dataset()
    return data if isinstance(data, Dataset) else dataset(data, name=name)


def _source(data: Any, connection: Any, params: Any) -> Source:  # noqa: ANN401
    if connection is not None:
        if not isinstance(data, str):
            msg = f"With a connection, give the text of a query, not {type(data).__name__}."
            raise InvalidInputError(msg)
        return TableSource(
            reader_of_query(data, connection, params), origin=query_source(data, connection)
        )
    if isinstance(data, str) and is_bucket_url(data):
        return BucketSource(data)
    if isinstance(data, str | os.PathLike):
        return _of_path(data)
    if is_table(data):
        return TableSource(lambda: as_table(data), origin=_origin(data), label=_label(data))
    if isinstance(data, Mapping) and data:
        return _of_mapping(data)
    if hasattr(data, "__array__") and hasattr(data, "shape"):
        return ArraySource(_as_array(data))
    msg = (
        "A data version is made of a table (pandas, Polars, Arrow, DuckDB), an array, a mapping "
        "of columns, a path, a bucket's URL or a query with its connection, not of "
        f"{type(data).__name__}. Turn it into one of these, or write it to a file."
    )
    raise InvalidInputError(msg)


def _of_path(data: str | os.PathLike[str]) -> Source:
    path = Path(data).expanduser()
    if path.is_file():
        return FileSource(path)
    if path.is_dir():
        return FolderSource(path)
    is_sql = isinstance(data, str) and " " in data.strip()
    step = "For a query, give connection=... too." if is_sql else "Check the path."
    msg = f"There is no file or folder {str(data)[:200]!r} to describe. {step}"
    raise InvalidInputError(msg)


def _of_mapping(data: Mapping[Any, Any]) -> Source:
    """Take columns of one length as a table, and anything else as arrays under names."""
    arrays = {str(name): _as_array(values) for name, values in data.items()}
    if len(arrays) < len(data):
        msg = "Two names in the mapping are the same text. Tell them apart."
        raise InvalidInputError(msg)
    is_columns = all(array.ndim == 1 for array in arrays.values())
    if not is_columns or len({len(array) for array in arrays.values()}) > 1:
        return ArraySource(arrays)
    from loopline.data.tables import column_of, table_of_columns

    def read() -> Any:  # noqa: ANN401 - an Arrow table
        columns = [column_of(str(name), values) for name, values in data.items()]
        return table_of_columns(list(arrays), columns)

    return TableSource(read)


def _as_array(data: Any) -> Any:  # noqa: ANN401
    try:
        import numpy as np
    except ImportError:
        purpose = "Describing an array or a mapping of columns"
        raise MissingExtraError("numpy", extra="data", purpose=purpose) from None

    # A tensor on a GPU has to be brought here first, and says so itself.
    return np.asarray(data.detach() if hasattr(data, "detach") else data)


def _origin(data: Any) -> str:  # noqa: ANN401
    """Tell the query of a DuckDB relation."""
    if library_of(data) in {"duckdb", "_duckdb"} and hasattr(data, "sql_query"):
        return query_source(data.sql_query(), data)
    return ""


def _label(data: Any) -> str:  # noqa: ANN401
    """Find the name that a series or frame has been given."""
    name = getattr(data, "name", None) or getattr(data, "attrs", {}).get("name")
    return name if isinstance(name, str) and library_of(data) in {"pandas", "polars"} else ""


def _checked(name: str) -> str:
    _check_is_text("name", name)
    if "\0" in name or len(name) > MOST_NAME:
        msg = f"A data version's name has up to {MOST_NAME} characters and no NUL. Shorten it."
        raise InvalidInputError(msg)
    return name


def _check_is_text(argument: str, given: object) -> None:
    if not isinstance(given, str):
        msg = (
            f"The {argument} of a data version is text such as 'trips 2022-01', not "
            f"{type(given).__name__} ({given!r:.60}). Give {argument}=str(...)."
        )
        raise InvalidInputError(msg)


def _checked_source(source: str) -> str:
    _check_is_text("source", source)
    return cut(source, 20_000)
