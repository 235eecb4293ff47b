"""Input examples: a few rows kept beside a model, in the files MLflow has for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.models.mlmodel import inside
from loopline.models.signature import is_array, is_series, is_table

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_example", "write_example"]

EXAMPLE = "input_example.json"
SERVING_EXAMPLE = "serving_input_example.json"


def write_example(folder: Path, example: Any) -> dict[str, Any]:  # noqa: ANN401 - any kind of data
    """Write an example twice: as it is, and as the body of a scoring request.

    Returns:
        What MLmodel says about it under ``saved_input_example_info``.

    Raises:
        InvalidInputError: It cannot be written as JSON.
    """
    if is_series(example):
        example = example.to_frame()
    info = {"artifact_path": EXAMPLE, "serving_input_path": SERVING_EXAMPLE}
    if is_table(example):
        content = _table(example)
        serving: dict[str, Any] = {"dataframe_split": content}
        orient = "split" if "columns" in content else "values"
        info |= {"type": "dataframe", "pandas_orient": orient}
    else:
        arrays = example.values() if isinstance(example, dict) else [example]
        content = _plain(example)
        serving = {"inputs": content}
        info["type"] = "ndarray" if all(is_array(part) for part in arrays) else "json_object"
    try:
        text = json.dumps(content, allow_nan=False)
        serving_text = json.dumps(serving, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = (
            f"The input example cannot be written as JSON: {error}. Give a DataFrame, an array, "
            "or lists and dicts of numbers, text and booleans."
        )
        raise InvalidInputError(msg) from error
    (folder / EXAMPLE).write_text(text, encoding="utf-8")
    (folder / SERVING_EXAMPLE).write_text(serving_text, encoding="utf-8")
    return info


def read_example(folder: Path, info: dict[str, Any]) -> Any:  # noqa: ANN401 - any kind of data
    """Read the example of a model folder: a DataFrame, arrays, or plain lists and dicts."""
    content = json.loads(inside(folder, info["artifact_path"]).read_text(encoding="utf-8"))
    if info["type"] == "dataframe":
        import pandas as pd

        return pd.DataFrame(content["data"], columns=content.get("columns"))
    if info["type"] == "ndarray":
        import numpy as np

        if isinstance(content, dict):
            return {name: np.asarray(value) for name, value in content.items()}
        return np.asarray(content)
    return content


def _table(frame: Any) -> dict[str, Any]:  # noqa: ANN401 - a pandas DataFrame
    """Turn a table into columns and rows; columns that are only counted have no names."""
    rows = [[_plain(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    if list(frame.columns) == list(range(len(frame.columns))):
        return {"data": rows}
    return {"columns": [str(name) for name in frame.columns], "data": rows}


def _plain(value: Any) -> Any:  # noqa: ANN401 - a table of types
    """Turn a value into what JSON has; missing values and NaN become null."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if is_array(value) or is_series(value):
        return _plain(value.tolist())
    if hasattr(value, "isoformat"):
        return value.isoformat() if value == value else None  # noqa: PLR0124 - NaT
    if isinstance(value, bytes):
        from base64 import b64encode

        return b64encode(value).decode()
    if hasattr(value, "item") and hasattr(value, "dtype"):
        return _plain(value.item())
    if isinstance(value, float):
        return value if value - value == 0 else None
    return None if type(value).__name__ == "NAType" else value
