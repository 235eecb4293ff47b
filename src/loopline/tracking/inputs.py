"""Data versions as people pass them: ours, MLflow's, or the data themselves."""

from __future__ import annotations

from typing import Any

from loopline.errors import InvalidInputError
from loopline.records.tracking import Dataset
from loopline.rules.names import check_text

__all__ = ["as_dataset", "check_context"]

MAX_NAME = 500
MAX_DIGEST = 250
MAX_SOURCE = 65_535
MAX_CONTEXT = 500


def as_dataset(data: Any, name: str = "") -> Dataset:  # noqa: ANN401 - told apart here
    """Turn what a run reads into a data version.

    Raises:
        InvalidInputError: It is nothing that can be described.
    """
    if hasattr(data, "region") and hasattr(data, "dataset"):  # Rows of a feed.
        data = data.dataset()
    if isinstance(data, Dataset):
        found = data
    elif isinstance(getattr(data, "digest", None), str) and hasattr(data, "name"):
        found = _of_mlflow(data)
    else:
        from loopline.data import dataset

        found = dataset(data, name=name)
    for what, text, most in (
        ("dataset's name", found.name, MAX_NAME),
        ("dataset's digest", found.digest, MAX_DIGEST),
        ("dataset's source", found.source, MAX_SOURCE),
    ):
        check_text(what, text, most)
    return found


def check_context(context: str) -> None:
    """Check what a run reads a data version for."""
    if not isinstance(context, str):
        msg = f"The context of an input is text such as 'training', not {type(context).__name__}."
        raise InvalidInputError(msg)
    check_text("context of an input", context, MAX_CONTEXT)


def _of_mlflow(data: Any) -> Dataset:  # noqa: ANN401
    """Read a dataset of MLflow's by the attributes it has."""
    profile = getattr(data, "profile", None)
    rows = profile.get("num_rows") if isinstance(profile, dict) else None
    schema = getattr(data, "schema", None)
    columns = {}
    inputs = getattr(schema, "inputs", None)
    for column in inputs if isinstance(inputs, list) else []:
        columns[str(getattr(column, "name", ""))] = str(getattr(column, "type", ""))
    source = getattr(data, "source", "")
    for name in ("uri", "url", "path"):
        source = getattr(source, name, source)
    return Dataset(
        name=str(data.name),
        digest=data.digest,
        source=source if isinstance(source, str) else type(source).__name__,
        rows=rows if isinstance(rows, int) else None,
        columns=columns,
    )
