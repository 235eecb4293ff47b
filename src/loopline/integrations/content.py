"""Data as a fit gets them: their version, their first rows, and what a model makes of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.data import dataset
from loopline.errors import InvalidInputError
from loopline.models.signature import infer_signature, is_array, is_series, is_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.models.schema import Signature
    from loopline.records.tracking import Dataset

__all__ = ["EXAMPLE_ROWS", "data_version", "first_rows", "signature_of"]

#: Rows of an input example, and rows that a signature is inferred from.
EXAMPLE_ROWS = 5
SIGNATURE_ROWS = 100


def data_version(data: Any, *, name: str) -> Dataset | None:  # noqa: ANN401 - any data
    """Describe data by their content, so that ``loopline.data.uses(data)`` finds the run.

    Args:
        data: Features or targets, in whichever form a library takes them.
        name: What they are called, unless they have a name (``frame.attrs["name"]``) themselves.

    Returns:
        None for data of a kind that has no version, such as a generator or a loader.
    """
    if not (is_table(data) or is_series(data) or isinstance(data, dict)):
        data = _as_array(data) if isinstance(data, (list, tuple)) else data
    label = getattr(data, "attrs", None)
    named = label.get("name") if isinstance(label, dict) else None
    try:
        return dataset(data, name=named if isinstance(named, str) else name)
    except (InvalidInputError, TypeError):
        return None


def _as_array(data: Any) -> Any:  # noqa: ANN401 - any data
    """Take lists and tensors as arrays; None for what holds no plain values."""
    if not isinstance(data, (list, tuple)) and not hasattr(data, "__array__"):
        return None
    import numpy as np

    try:
        array = np.asarray(data)
    except (TypeError, ValueError):
        return None
    return None if array.dtype == object or array.ndim == 0 else array


def first_rows(data: Any, rows: int = EXAMPLE_ROWS) -> Any:  # noqa: ANN401 - any data
    """Take the first rows of data, in their own kind; None where that makes no sense."""
    if is_table(data) or is_series(data):
        return data.iloc[:rows]
    if is_array(data):
        return data[:rows]
    array = _as_array(data)
    return None if array is None else array[:rows]


def signature_of(data: Any, predict: Callable[[Any], Any] | None) -> Signature | None:  # noqa: ANN401
    """Infer a signature from the first rows and what the model says to them.

    Returns:
        None where there is no way to ask, or the data have no schema.
    """
    rows = first_rows(data, SIGNATURE_ROWS)
    if rows is None or predict is None:
        return None
    try:
        return infer_signature(rows, predict(rows))
    except InvalidInputError:
        return None
