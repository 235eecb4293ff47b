"""Describing data: digest of the content, schema, rows, and a short profile a column."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records.tracking import Dataset

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["dataset"]

CHUNK = 1 << 20


def dataset(data: Any, *, name: str, source: str = "") -> Dataset:  # noqa: ANN401 - told apart here
    """Describe data as a data version; equal content gives an equal digest.

    Args:
        data: A pandas DataFrame, a NumPy array, or the path of a file.
        name: What people call it, such as ``"green taxi 2022-01"``.
        source: Where it came from: a path, URL or query; a file's own path when empty.

    Raises:
        InvalidInputError: The data are of another kind.

    Example:
        >>> loopline.log_input(loopline.data.dataset(trips, name="trips"), context="training")
    """
    if isinstance(data, (str, Path)):
        return _of_file(Path(data), name, source)
    if hasattr(data, "columns") and hasattr(data, "dtypes") and hasattr(data, "memory_usage"):
        return _of_frame(data, name, source)
    if hasattr(data, "tobytes") and hasattr(data, "dtype") and hasattr(data, "shape"):
        return _of_array(data, name, source)
    msg = (
        f"A data version is made of a pandas DataFrame, a NumPy array or a file, not of "
        f"{type(data).__name__}. Write the data to a file and give its path."
    )
    raise InvalidInputError(msg)


def _of_file(path: Path, name: str, source: str) -> Dataset:
    if not path.is_file():
        msg = f"There is no file {str(path)!r} to describe."
        raise InvalidInputError(msg)
    hasher = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return Dataset(name=name, digest=hasher.hexdigest(), source=source or str(path))


def _of_array(data: Any, name: str, source: str) -> Dataset:  # noqa: ANN401
    hasher = sha256(f"{data.dtype.str}{data.shape}".encode())
    hasher.update(data.tobytes())
    return Dataset(
        name=name,
        digest=hasher.hexdigest(),
        source=source,
        rows=int(data.shape[0]) if data.shape else None,
        columns={"tensor": f"{data.dtype}{list(data.shape[1:])}"},
    )


def _of_frame(frame: pd.DataFrame, name: str, source: str) -> Dataset:
    from pandas.util import hash_pandas_object

    hasher = sha256()
    columns = {}
    for column in frame.columns:
        columns[str(column)] = str(frame[column].dtype)
        hasher.update(f"{column}\0{frame[column].dtype}\0".encode())
        # Row by row, so that the same rows in another order are other data.
        hasher.update(hash_pandas_object(frame[column], index=False).to_numpy().tobytes())
    return Dataset(
        name=name,
        digest=hasher.hexdigest(),
        source=source,
        rows=len(frame),
        columns=columns,
        profile={str(column): _profile(frame[column]) for column in frame.columns},
    )


def _profile(column: pd.Series[Any]) -> str:
    """Say in a line what a column holds."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    nulls = int(column.isna().sum())
    if is_numeric_dtype(column) and not is_bool_dtype(column) and len(column) > nulls:
        facts = f"min {column.min():g}, mean {column.mean():g}, max {column.max():g}"
    else:
        facts = f"{column.nunique()} different values"
    return f"{facts}, {nulls} nulls"
