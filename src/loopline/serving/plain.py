"""Requests of every shape that MLflow's scoring protocol knows, read as its server reads them.

The thorough way beside the quick one of ``rows``: text that is a number becomes one where the
signature wants it, and an error names the field and the row.
"""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.models.enforce import enforce_schema
from loopline.serving.errors import BadBodyError, BadDataError

if TYPE_CHECKING:
    import pandas as pd

    from loopline.models.schema import Column, Schema, Tensor

__all__ = ["FORMATS", "enforced", "read_csv", "read_json"]

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")

_NUMBERS = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
}


def read_json(body: bytes, schema: Schema | None) -> tuple[Any, dict[str, Any] | None]:
    """Read a request in JSON: data as the model takes them, and its parameters.

    Raises:
        BadDataError: With field and row, where there are such.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        msg = f"The body is no JSON ({error}). Send an object with one of {_listed(FORMATS)}."
        raise BadBodyError(msg) from None
    if not isinstance(content, dict):
        msg = (
            f"The body must be an object with one of {_listed(FORMATS)}, not "
            f"{_kind(content)}. Put the data under one of these names."
        )
        raise BadBodyError(msg)
    there = [name for name in FORMATS if name in content]
    if len(there) != 1:
        found = _listed(list(content)) if content else "nothing"
        msg = f"The body must have exactly one of {_listed(FORMATS)}, and has {found}."
        raise BadBodyError(msg)
    data = _shaped(there[0], content[there[0]], schema)
    params = content.get("params")
    return enforced(data, schema), params if isinstance(params, dict) else None


def read_csv(body: bytes, schema: Schema | None) -> Any:  # noqa: ANN401 - a frame or an array
    """Read a table in CSV, with a line of names.

    Raises:
        BadDataError: With field and row, where there are such.
    """
    import pandas as pd

    texts = {}
    if schema is not None:
        texts = {c.name: str for c in schema.columns if c.name is not None and c.type == "string"}
    try:
        frame = pd.read_csv(io.StringIO(body.decode()), dtype=texts)
    except (ValueError, UnicodeDecodeError) as error:
        msg = f"The body is no CSV in UTF-8 with a line of names ({error})."
        raise BadBodyError(msg) from None
    return enforced(_cast_table(frame, schema), schema)


def enforced(data: Any, schema: Schema | None) -> Any:  # noqa: ANN401 - any kind of data
    """Check data against a schema, and give them the form that the model takes."""
    if schema is None:
        return data
    try:
        return enforce_schema(data, schema)
    except BadDataError:
        raise
    except InvalidInputError as error:
        raise BadDataError(str(error), field=_field_of(error, schema)) from None


def _field_of(error: Exception, schema: Schema) -> str | int | None:
    """Find which field an error is about: the first one that its sentence names."""
    text = str(error)
    named = [(text.find(repr(name)), name) for name in schema.names if repr(name) in text]
    return min(named, key=lambda each: each[0])[1] if named else None


def _shaped(form: str, content: Any, schema: Schema | None) -> Any:  # noqa: ANN401 - JSON
    """Make a table, arrays or lists of what stands under one of the four names."""
    import pandas as pd

    if form == "dataframe_split":
        return _cast_table(_split(content), schema)
    if form == "dataframe_records":
        if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
            msg = f"dataframe_records must be a list of objects, a row each, not {_kind(content)}."
            raise BadBodyError(msg)
        return _cast_table(pd.DataFrame(content), schema)
    if schema is not None and schema.columns:
        return _columns_of(form, content, schema)
    return _arrays_of(form, content, () if schema is None else schema.tensors)


def _split(content: Any) -> pd.DataFrame:  # noqa: ANN401 - JSON
    import pandas as pd

    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        msg = (
            f"dataframe_split must be an object with columns and data, not {_kind(content)}: "
            '{"columns": ["a", "b"], "data": [[1, 2]]}.'
        )
        raise BadBodyError(msg)
    names, rows = content.get("columns"), content["data"]
    for number, row in enumerate(rows):
        if not isinstance(row, list) or (names is not None and len(row) != len(names)):
            found = f"{len(row)} values" if isinstance(row, list) else _kind(row)
            wanted = "a list" if names is None else f"{len(names)} values, one a column"
            msg = f"Row {number} of dataframe_split has {found}, and must have {wanted}."
            raise BadBodyError(msg, row=number)
    try:
        return pd.DataFrame(rows, columns=names, index=content.get("index"))
    except (ValueError, TypeError) as error:
        msg = f"dataframe_split is no table: {error}."
        raise BadBodyError(msg) from None


def _columns_of(form: str, content: Any, schema: Schema) -> Any:  # noqa: ANN401 - JSON
    """Make a table of ``inputs`` or ``instances``."""
    import pandas as pd

    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        return _cast_table(pd.DataFrame(content), schema)
    single = len(schema.columns) == 1
    if isinstance(content, list) and single and not any(isinstance(x, dict) for x in content):
        name = schema.columns[0].name
        if schema.columns[0].type != "array" and any(isinstance(x, list) for x in content):
            content = [x[0] if isinstance(x, list) and len(x) == 1 else x for x in content]
        return _cast_table(pd.DataFrame({0 if name is None else name: content}), schema)
    if isinstance(content, dict) and form == "inputs":
        lists = {name: v if isinstance(v, list) else [v] for name, v in content.items()}
        lengths = {len(values) for values in lists.values()}
        if len(lengths) > 1:
            field = min(lists, key=lambda name: len(lists[name]))
            msg = (
                "The columns must have the same length: "
                + ", ".join(f"{name!r} has {len(values)}" for name, values in lists.items())
                + "."
            )
            raise BadDataError(msg, field=field)
        return _cast_table(pd.DataFrame(lists), schema)
    names = _listed([c.name for c in schema.columns])
    msg = (
        f"The model takes columns by name ({names}), and {form} has {_kind(content)} without "
        'names. Send {"inputs": {"a": [1], "b": [2]}} or dataframe_records.'
    )
    raise BadDataError(msg)


def _arrays_of(form: str, content: Any, tensors: tuple[Tensor, ...]) -> Any:  # noqa: ANN401 - JSON
    """Make an array, or arrays by name, of ``inputs`` or ``instances``."""
    types = {tensor.name: tensor.dtype for tensor in tensors}
    if form == "instances" and isinstance(content, list) and content:
        if all(isinstance(row, dict) for row in content):
            names = list(content[0])
            for number, row in enumerate(content):
                if set(row) != set(names):
                    msg = f"Row {number} of instances has other names than row 0."
                    raise BadBodyError(msg, row=number)
            content = {name: [row[name] for row in content] for name in names}
        elif len(tensors) == 1 and tensors[0].name is not None:
            content = {tensors[0].name: content}
    if isinstance(content, dict):
        return {name: _array(value, types.get(name), name) for name, value in content.items()}
    if isinstance(content, list) and not any(isinstance(row, dict) for row in content):
        if len(tensors) == 1 and tensors[0].name is not None:
            return {tensors[0].name: _array(content, tensors[0].dtype, tensors[0].name)}
        return _array(content, types.get(None), None)
    return content


def _array(value: Any, dtype: str | None, name: str | None) -> Any:  # noqa: ANN401 - JSON
    import numpy as np

    kind = None if dtype in {None, "object", "str"} else np.dtype(str(dtype))
    try:
        return np.array(value, dtype=kind)
    except (ValueError, TypeError, OverflowError) as error:
        what = "The data are" if name is None else f"Input {name!r} is"
        msg = f"{what} no array of {dtype or 'one type'}: {error}."
        raise BadDataError(msg, field=name) from None


def _cast_table(frame: pd.DataFrame, schema: Schema | None) -> pd.DataFrame:
    """Convert columns to the signature's types, as far as their values can be: ``"2"`` to 2."""
    if schema is None or not schema.columns:
        return frame
    for place, column in enumerate(schema.columns):
        name: str | int = place if column.name is None else column.name
        if column.name is None and len(schema.columns) == 1 and len(frame.columns):
            name = frame.columns[0]
        if name in frame.columns and (frame.columns == name).sum() == 1:
            frame[name] = _cast(frame[name], column, name)
    return frame


def _cast(series: pd.Series[Any], column: Column, name: str | int) -> Any:  # noqa: ANN401 - a Series
    import pandas as pd

    kind = column.type
    try:
        if kind == "binary":
            return series.map(
                lambda text: base64.b64decode(text) if isinstance(text, str) else text
            )
        if kind == "datetime":
            return pd.to_datetime(series)
        if kind not in _NUMBERS or series.dtype == _NUMBERS[kind]:
            return series
        if kind not in {"float", "double"} and bool(series.isna().any()):
            return series  # Whole numbers have no NaN: whether it may be empty is asked next.
        if kind == "boolean" and series.dtype.kind not in "biuf":
            return series.infer_objects()
        return series.astype(_NUMBERS[kind])  # type: ignore[call-overload]
    except (ValueError, TypeError, OverflowError):
        row, value = _first_wrong(series, kind)
        msg = (
            f"Column {name!r} must be {kind}, and row {row} has {value!r}. Send a value of that "
            "type."
        )
        raise BadDataError(msg, field=name, row=row) from None


def _first_wrong(series: pd.Series[Any], kind: str) -> tuple[int, Any]:
    """Find the first value that has no form in a type."""
    import pandas as pd

    for row, value in enumerate(series.tolist()):
        try:
            if kind == "datetime":
                pd.to_datetime(value)
            elif kind == "binary":
                base64.b64decode(value)
            elif value is not None or kind not in {"float", "double"}:
                pd.Series([value]).astype(_NUMBERS[kind])  # type: ignore[call-overload]
        except (ValueError, TypeError, OverflowError):
            return row, value
    return 0, series.iloc[0]


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean"}
    return names.get(type(value), "nothing" if value is None else "a number")


def _listed(names: Any) -> str:  # noqa: ANN401 - names in any order
    return ", ".join(str(name) for name in names)
