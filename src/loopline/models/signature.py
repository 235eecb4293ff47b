"""Signatures inferred from data: from a table, an array or plain lists to a schema."""

from __future__ import annotations

import datetime
import sys
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.models.schema import Column, Param, Schema, Signature, Tensor

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["infer_schema", "infer_signature", "is_array", "is_table"]

_DATETIMES = (datetime.date, datetime.datetime)


def infer_signature(
    model_input: Any = None,  # noqa: ANN401 - any kind of data
    model_output: Any = None,  # noqa: ANN401 - any kind of data
    params: dict[str, Any] | None = None,
) -> Signature:
    """Tell a model's signature from what it takes and gives.

    Args:
        model_input: A pandas DataFrame or Series, a NumPy array, a dict of arrays, a dict of
            equally long lists or of single values, or a list of dicts (one per row).
        model_output: What ``predict`` gave, in the same forms.
        params: Parameters of ``predict`` with their defaults.

    Raises:
        InvalidInputError: Data of a kind that has no schema; the message names the column.
    """
    return Signature(
        inputs=None if model_input is None else infer_schema(model_input),
        outputs=None if model_output is None else infer_schema(model_output),
        params=tuple(_infer_param(name, value) for name, value in (params or {}).items()),
    )


def infer_schema(data: Any) -> Schema:  # noqa: ANN401 - any kind of data
    """Tell the schema of data; arrays give tensors, everything else columns."""
    if is_table(data):
        return Schema(columns=tuple(_series(name, data[name]) for name in data.columns))
    if is_series(data):
        return Schema(columns=(_series(data.name, data),))
    if is_array(data):
        return Schema(tensors=(_tensor(data),))
    if isinstance(data, dict) and data:
        if all(is_array(value) for value in data.values()):
            return Schema(tensors=tuple(_tensor(value, name) for name, value in data.items()))
        return Schema(columns=tuple(_values(name, _listed(v)) for name, v in data.items()))
    if isinstance(data, (list, tuple)) and data:
        if all(isinstance(row, dict) for row in data):
            return Schema(columns=_row_columns(list(data)))
        return Schema(columns=(_values(None, data),))
    if isinstance(data, (str, bytes, bool, int, float)):
        return Schema(columns=(_values(None, [data]),))
    msg = (
        f"No signature can be inferred from {type(data).__name__}. Give a pandas DataFrame, a "
        "NumPy array, a dict of lists, or a list of dicts that is not empty."
    )
    raise InvalidInputError(msg)


def is_table(data: object) -> bool:
    """Whether it is a pandas DataFrame; pandas is not imported for the question."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def is_series(data: object) -> bool:
    """Whether it is a pandas Series; pandas is not imported for the question."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.Series)


def is_array(data: object) -> bool:
    """Whether it is a NumPy array; NumPy is not imported for the question."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(data, numpy.ndarray)


def _tensor(array: np.ndarray[Any, Any], name: str | None = None) -> Tensor:
    """Describe an array; its first dimension, the rows, may have any length."""
    dtype = (
        array.dtype.name if array.dtype.kind not in "US" else array.dtype.kind.replace("U", "str")
    )
    return Tensor(name=name, dtype=dtype, shape=(-1, *array.shape[1:]))


def _series(name: Any, series: pd.Series[Any]) -> Column:  # noqa: ANN401 - a pandas label
    """Describe a column of a table."""
    import pandas as pd

    label = name if isinstance(name, (str, int)) or name is None else str(name)
    values = series.dropna()
    required = len(values) == len(series)
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
    kind = str(getattr(dtype, "kind", "O"))
    if kind in "biuf":
        itemsize = int(getattr(dtype, "itemsize", 8))
        return Column(name=label, type=_number_type(kind, itemsize), required=required)
    if kind == "M":
        return Column(name=label, type="datetime", required=required)
    if isinstance(dtype, pd.StringDtype):
        return Column(name=label, type="string", required=required)
    column = _values(label, values.tolist())
    return Column(name=label, type=column.type, required=required, details=column.details)


def _number_type(kind: str, itemsize: int) -> str:
    """Name a NumPy number type in MLflow's words; unsigned ones go to the next wider."""
    if kind == "b":
        return "boolean"
    if kind == "f":
        return "double" if itemsize > 4 else "float"  # noqa: PLR2004 - bytes of a float32
    small = itemsize < 4 or (kind == "i" and itemsize == 4)  # noqa: PLR2004 - bytes of an int32
    return "integer" if small else "long"


def _values(name: Any, values: Any) -> Column:  # noqa: ANN401 - a label, a list
    """Describe a column from its Python values; None and NaN count as missing."""
    present = [value for value in values if value is not None and value == value]  # noqa: PLR0124
    required = len(present) == len(values)
    if not present:
        return Column(name=name, type="string", required=False)
    kinds = {_scalar_type(value) for value in present}
    if kinds == {"long", "double"}:
        kinds = {"double"}
    if len(kinds) > 1:
        msg = (
            f"Column {name!r} mixes {' and '.join(sorted(kinds))}. Convert it to one type, for "
            f"example with `frame[{name!r}].astype(str)`, and infer the signature again."
        )
        raise InvalidInputError(msg)
    (kind,) = kinds
    if kind == "array":
        items = _values(name, [item for value in present for item in value])
        details: dict[str, Any] = {"items": {"type": items.type, **items.details}}
        return Column(name=name, type=kind, required=required, details=details)
    if kind == "object":
        properties = {
            str(part.name): {"type": part.type, **part.details, "required": part.required}
            for part in _row_columns(present)
        }
        return Column(name=name, type=kind, required=required, details={"properties": properties})
    return Column(name=name, type=kind, required=required)


def _scalar_type(value: object) -> str:
    """Name the type of one value."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if isinstance(value, bool) or kind == "b":
        return "boolean"
    if isinstance(value, int) or (kind and kind in "iu"):
        return "long"
    if isinstance(value, float) or kind == "f":
        return "double"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (bytes, bytearray)):
        return "binary"
    if isinstance(value, _DATETIMES) or kind == "M":
        return "datetime"
    if isinstance(value, (list, tuple)) or is_array(value):
        return "array"
    if isinstance(value, dict):
        return "object"
    msg = (
        f"A value of type {type(value).__name__} has no place in a signature. Convert the column "
        "to numbers, text, booleans or datetimes first."
    )
    raise InvalidInputError(msg)


def _listed(value: Any) -> Any:  # noqa: ANN401 - a list or one value
    """Take one value as a column of one row."""
    if isinstance(value, (list, tuple)) or is_array(value) or is_series(value):
        return value
    return [value]


def _row_columns(rows: list[dict[str, Any]]) -> tuple[Column, ...]:
    """Describe the columns of rows; one that a row leaves out is not required."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return tuple(_values(name, [row.get(name) for row in rows]) for name in names)


def _infer_param(name: str, value: Any) -> Param:  # noqa: ANN401 - any default
    """Describe a parameter from its default."""
    listed = isinstance(value, (list, tuple))
    column = _values(name, list(value) if listed else [value])
    return Param(
        name=name,
        type=column.type,
        default=list(value) if listed else value,
        shape=(-1,) if listed else None,
    )
