"""Data versions in MLflow's words, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from loopline.errors import InvalidInputError
from loopline.records.tracking import Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_dataset", "dataset_of", "dataset_words"]

#: Types of columns as MLflow's schemas name them, by how others begin.
_TYPES = (
    ("bool", "boolean"),
    ("int64", "long"),
    ("uint", "long"),
    ("int", "integer"),
    ("float32", "float"),
    ("float", "double"),
    ("double", "double"),
    ("long", "long"),
    ("datetime", "datetime"),
    ("timestamp", "datetime"),
    ("date", "datetime"),
    ("binary", "binary"),
)
#: Characters that MLflow keeps of each.
_MOST = {
    "name": 500,
    "digest": 36,
    "source": 65_535,
    "schema": 1_048_575,
    "profile": 16_777_215,
}
_MOST_TAG_KEY, _MOST_TAG_VALUE = 255, 500
#: What MLflow writes of a data version, besides its name and digest.
WORDS = ("source_type", "source", "schema", "profile")


def check_dataset(words: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Check that a data version and the tags of its reading are no longer than MLflow's.

    Raises:
        InvalidInputError: One is.
    """
    for name, most in _MOST.items():
        _check_length(name, words.get(name, ""), most)
    for key, value in tags.items():
        _check_length("key", key, _MOST_TAG_KEY)
        _check_length("value", value, _MOST_TAG_VALUE)


def _check_length(name: str, text: str, most: int) -> None:
    if len(text) > most:
        msg = f"'{name}' exceeds the maximum length of {most} characters. Send a shorter one."
        raise InvalidInputError(msg)


def dataset_of(words: Mapping[str, str]) -> Dataset:
    """Make a data version of what MLflow wrote of it.

    Args:
        words: ``name``, ``digest``, ``source_type``, ``source``, ``schema`` and ``profile``. The
            columns, the number of rows and a readable source are taken out of the last three;
            all are kept word for word, too.
    """
    rows = _mapping(words.get("profile", "")).get("num_rows")
    columns = _columns(_mapping(words.get("schema", "")))
    return Dataset(
        name=words["name"],
        digest=words["digest"],
        source=_readable(words.get("source", "")),
        rows=rows if isinstance(rows, int) else None,
        columns=columns,
        column_count=len(columns) or None,
        mlflow={name: words[name] for name in WORDS if words.get(name)},
    )


def dataset_words(dataset: Dataset) -> dict[str, str]:
    """Write a data version as MLflow does: word for word where it came from there."""
    words = {
        "name": dataset.name,
        "digest": dataset.digest,
        "source_type": "local",
        "source": msgspec.json.encode({"uri": dataset.source}).decode(),
    }
    if dataset.columns:
        columns = [
            {"name": name, "type": _type_of(kind), "required": True}
            for name, kind in dataset.columns.items()
        ]
        words["schema"] = msgspec.json.encode({"mlflow_colspec": columns}).decode()
    if dataset.rows is not None:
        words["profile"] = msgspec.json.encode({"num_rows": dataset.rows}).decode()
    return words | dataset.mlflow


def _type_of(kind: str) -> str:
    lower = kind.lower()
    return next((name for start, name in _TYPES if lower.startswith(start)), "string")


def _mapping(text: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _readable(source: str) -> str:
    """Take the address out of a source that is a mapping with one; else keep it whole."""
    mapping = _mapping(source)
    for key in ("uri", "url", "path"):
        if isinstance(mapping.get(key), str):
            return str(mapping[key])
    return source


def _columns(schema: dict[str, Any]) -> dict[str, str]:
    columns = schema.get("mlflow_colspec")
    if not isinstance(columns, list):
        return {}
    return {
        str(column["name"]): str(column.get("type", ""))
        for column in columns
        if isinstance(column, dict) and "name" in column
    }
