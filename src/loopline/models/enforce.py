"""Data checked against a signature before a model sees it; errors name the column."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.models.signature import is_array, is_series, is_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from loopline.models.schema import Column, Param, Schema, Tensor

__all__ = ["enforce_params", "enforce_schema"]

#: NumPy's type for each number type.
_NUMBERS = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
}

#: Up to where a decimal type tells every whole number from the next.
_WHOLE_UP_TO = {"float": 2**24, "double": 2**53}

_MOST_NAMES = 12

#: From which other NumPy kinds a type is reached without losing anything that is checked.
_REACHED_FROM = {
    "boolean": "b",
    "integer": "iu",
    "long": "iu",
    "float": "iuf",
    "double": "iuf",
}


def enforce_schema(data: Any, schema: Schema) -> Any:  # noqa: ANN401 - any kind of data
    """Bring data into the form a schema asks for.

    Args:
        data: A DataFrame, an array, a dict of columns or of arrays, or a list of dicts.
        schema: What the model takes.

    Returns:
        For columns a DataFrame with exactly the schema's columns in their order; columns it
        does not know are left out. For tensors an array, or a dict of arrays by name. Whole
        numbers widen to decimals where none loses a digit; nothing is rounded or parsed but
        ISO dates.

    Raises:
        InvalidInputError: A column is missing, empty where it must not be, or of another type.
    """
    if schema.columns:
        try:
            table = _as_table(data, schema.columns)
        except InvalidInputError:
            raise
        except (ValueError, IndexError, TypeError) as error:  # What pandas makes no table of.
            msg = (
                f"The data are no table ({error}). Give a DataFrame, or columns of the same "
                "length in a dict."
            )
            raise InvalidInputError(msg) from error
        return _enforce_columns(table, schema.columns)
    return _enforce_tensors(data, schema.tensors)


def enforce_params(given: dict[str, Any] | None, params: tuple[Param, ...]) -> dict[str, Any]:
    """Fill in defaults and check the parameters of ``predict``.

    Raises:
        InvalidInputError: One that the signature does not know, or of another type.
    """
    from loopline.models.signature import infer_signature

    known = {param.name: param for param in params}
    for name, value in (given or {}).items():
        if name not in known:
            raise _unknown_param(name, list(known))
        (found,) = infer_signature(params={name: value}).params
        wanted = known[name]
        same = found.type == wanted.type or (found.type, wanted.type) in {
            ("long", "double"),
            ("long", "integer"),
            ("long", "float"),
            ("double", "float"),
        }
        if not same or (found.shape is None) != (wanted.shape is None):
            msg = (
                f"Parameter {name!r} must be {wanted.type}"
                f"{' in a list' if wanted.shape else ''}, not {value!r}. Convert it first."
            )
            raise InvalidInputError(msg)
    return {param.name: (given or {}).get(param.name, param.default) for param in params}


def _as_table(data: Any, columns: tuple[Column, ...]) -> pd.DataFrame:  # noqa: ANN401 - any kind
    """Make a table of whatever holds rows."""
    import pandas as pd

    if is_table(data):
        return data  # type: ignore[no-any-return]
    if is_series(data):
        return data.to_frame(name=columns[0].name)  # type: ignore[no-any-return]
    names = [position if c.name is None else c.name for position, c in enumerate(columns)]
    if is_array(data):
        if any(isinstance(name, str) for name in names) and len(names) > 1:
            msg = (
                f"The model takes columns by name ({_listing(names)}), and an array has none. "
                "Give a DataFrame, or a dict of lists."
            )
            raise InvalidInputError(msg)
        flat = data if data.ndim == 2 else data.reshape(len(data), -1)  # noqa: PLR2004 - a table
        return pd.DataFrame(flat, columns=pd.Index(names))
    if isinstance(data, dict):
        single = not any(
            isinstance(value, (list, tuple)) or is_array(value) or is_series(value)
            for value in data.values()
        )
        return pd.DataFrame([data]) if single else pd.DataFrame(data)
    if isinstance(data, (list, tuple)):
        if all(isinstance(row, dict) for row in data):
            return pd.DataFrame(list(data))
        return pd.DataFrame(list(data), columns=pd.Index(names[:1]) if len(names) == 1 else None)
    msg = (
        f"The model takes a table, not {type(data).__name__}. Give a DataFrame, a dict of lists, "
        "or a list of dicts."
    )
    raise InvalidInputError(msg)


def _enforce_columns(table: pd.DataFrame, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Pick, order and convert the columns."""
    import pandas as pd

    if len(columns) == 1 and columns[0].name is None:
        series = _enforce_column(table.iloc[:, 0], columns[0], table.columns[0])
        return series.to_frame()
    found: dict[str | int, pd.Series[Any]] = {}
    for position, column in enumerate(columns):
        name = position if column.name is None else column.name
        if name in table.columns:
            if (table.columns == name).sum() > 1:
                msg = f"The data have column {name!r} more than once. Keep or rename one of them."
                raise InvalidInputError(msg)
            found[name] = _enforce_column(table[name], column, name)
        elif column.required:
            raise _missing_input(name, list(table.columns), what="column")
    return pd.DataFrame(found, index=table.index)


def _enforce_column(series: pd.Series[Any], column: Column, name: object) -> pd.Series[Any]:
    """Convert one column where that loses nothing."""
    if column.required and series.isna().any() and column.type not in {"float", "double"}:
        msg = (
            f"Column {name!r} must not be empty ({column.type}), and row "
            f"{series.index[series.isna()][0]!r} is. Fill it in, or log the model with a "
            "signature inferred from data where it is empty too."
        )
        raise InvalidInputError(msg)
    if column.type in _NUMBERS:
        return _enforce_number(series, column, name)
    if column.type == "datetime" and getattr(series.dtype, "kind", "O") != "M":
        import pandas as pd

        try:
            dates: pd.Series[Any] = pd.to_datetime(series, format="ISO8601")
        except (ValueError, TypeError) as error:
            raise _wrong(name, column.type, series, "values that are no ISO dates") from error
        return dates
    if column.type == "string":
        values = series.dropna()
        if not values.map(lambda value: isinstance(value, str)).all():
            raise _wrong(name, column.type, series, "values that are no text")
    return series


def _enforce_number(series: pd.Series[Any], column: Column, name: object) -> pd.Series[Any]:
    """Convert a number column to its type; whole numbers become decimals, never back."""
    values = _as_numbers(series)
    kind = getattr(values.dtype, "kind", "O")
    empty = bool(values.isna().any())
    if kind not in _REACHED_FROM[column.type] and not values.isna().all():
        raise _wrong(name, column.type, series, str(series.dtype))
    if empty and column.type not in {"float", "double"}:
        # A column that may be empty stays what pandas made of it: whole numbers have no NaN.
        return values
    if kind in "iu" and not _holds(values, column.type):
        raise _wrong(name, column.type, series, "whole numbers too large for it")
    return _cast(_cast(values, "double") if empty else values, column.type)


def _as_numbers(series: pd.Series[Any]) -> pd.Series[Any]:
    """Let pandas look again at a column of Python objects, as rows from JSON have them."""
    if getattr(series.dtype, "kind", "O") != "O":
        return series
    values: pd.Series[Any] = series.infer_objects()
    if getattr(values.dtype, "kind", "O") == "O" and bool(series.isna().any()):
        return series.convert_dtypes()
    return values


def _holds(values: pd.Series[Any], kind: str) -> bool:
    """Whether a type has room for every digit of whole numbers."""
    import numpy as np

    if kind in _WHOLE_UP_TO:
        least, most = -_WHOLE_UP_TO[kind], _WHOLE_UP_TO[kind]
    else:
        room = np.iinfo(_NUMBERS[kind])
        least, most = int(room.min), int(room.max)
    present = values.dropna()
    return present.empty or (int(present.min()) >= least and int(present.max()) <= most)


def _cast(values: pd.Series[Any], kind: str) -> pd.Series[Any]:
    """Convert to the NumPy type of a number type."""
    import numpy as np

    converted: pd.Series[Any] = values.astype(np.dtype(_NUMBERS[kind]))
    return converted


def _enforce_tensors(data: Any, tensors: tuple[Tensor, ...]) -> Any:  # noqa: ANN401 - any kind
    """Convert to the arrays a schema names."""
    import numpy as np

    if len(tensors) == 1 and tensors[0].name is None:
        array = data.to_numpy() if is_table(data) or is_series(data) else np.asarray(data)
        return _enforce_tensor(array, tensors[0], "The input")
    if not isinstance(data, dict) and not is_table(data):
        msg = f"The model takes a dict of arrays by name: {_listing([t.name for t in tensors])}."
        raise InvalidInputError(msg)
    arrays: dict[str, Any] = {}
    for tensor in tensors:
        name = tensor.name or ""
        if name not in data:
            raise _missing_input(name, list(data), what="input")
        arrays[name] = _enforce_tensor(np.asarray(data[name]), tensor, f"Input {name!r}")
    return arrays


def _enforce_tensor(array: np.ndarray[Any, Any], tensor: Tensor, what: str) -> Any:  # noqa: ANN401
    """Convert one array where that loses nothing but the last digits of decimals."""
    import numpy as np

    shape = tuple(tensor.shape)
    fits = array.ndim == len(shape) and all(
        want in (-1, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        msg = (
            f"{what} must have shape {shape} (-1: any length), not {array.shape}. Reshape it, "
            "or log the model with the signature of such data."
        )
        raise InvalidInputError(msg)
    if tensor.dtype in {"object", "str"}:
        return array
    target = np.dtype(tensor.dtype)
    if not np.can_cast(array.dtype, target, casting="same_kind"):
        msg = f"{what} must be {target.name}, not {array.dtype.name}. Convert it with .astype()."
        raise InvalidInputError(msg)
    return array.astype(target, copy=False)


def _missing_input(name: object, known: list[Any], *, what: str) -> InvalidInputError:
    """Make the error for a column or input that the data lack, naming the nearest."""
    return InvalidInputError(
        f"The model needs {what} {name!r}.{_meant(name, known)} The data have {_listing(known)}."
    )


def _unknown_param(name: str, known: list[Any]) -> InvalidInputError:
    """Make the error for a parameter that the signature does not have, naming the nearest."""
    return InvalidInputError(
        f"The model does not know parameter {name!r}.{_meant(name, known)} Its signature has "
        f"{_listing(known)}."
    )


def _meant(name: object, known: list[Any]) -> str:
    near = get_close_matches(str(name), [str(each) for each in known], n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _wrong(name: object, wanted: str, series: pd.Series[Any], found: str) -> InvalidInputError:
    example = next((value for value in series.tolist() if value is not None), None)
    return InvalidInputError(
        f"Column {name!r} must be {wanted} and holds {found}, such as {example!r}. Convert the "
        "column before asking the model."
    )


def _listing(names: list[Any]) -> str:
    """List names, not more than fit a line."""
    shown = ", ".join(repr(name) for name in names[:_MOST_NAMES])
    more = len(names) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
