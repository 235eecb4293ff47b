"""Search results as a DataFrame: the store answers columns, and each becomes one of the frame's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import MissingExtraError
from loopline.records.tracking import RunTable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["available_format", "joined", "runs_frame"]

#: pandas holds times as nanoseconds of 64 bits; a clock may have been set to anything.
MOST_MS = 2**63 // 1_000_000 - 1
#: What a RunTable has once a run, and what it has by key.
_LISTS = ("run_ids", "experiment_ids", "names", "statuses", "lifecycles", "start_ms", "end_ms")
_BY_KEY = ("metrics", "params", "tags")


def available_format() -> str:
    """Tell the first of pandas, Polars and plain lists that is installed."""
    from importlib.util import find_spec

    return next((kind for kind in ("pandas", "polars") if find_spec(kind)), "list")


def joined(pages: Sequence[RunTable]) -> RunTable:
    """Put the pages of a search one below the other."""
    if len(pages) == 1:
        return pages[0]
    columns: dict[str, Any] = {
        name: [value for page in pages for value in getattr(page, name)] for name in _LISTS
    }
    for name in _BY_KEY:
        keys = sorted({key for page in pages for key in getattr(page, name)})
        columns[name] = {
            key: [
                value
                for page in pages
                for value in getattr(page, name).get(key) or [None] * len(page.run_ids)
            ]
            for key in keys
        }
    return RunTable(**columns)


def runs_frame(table: RunTable, kind: str) -> Any:  # noqa: ANN401 - of a library that may be absent
    """Make a DataFrame with a row a run and MLflow's columns; no cell is touched in Python.

    Args:
        table: In the order the rows shall have.
        kind: ``"pandas"`` or ``"polars"``.

    Raises:
        MissingExtraError: The library is not installed.
    """
    texts = {
        "run_id": table.run_ids,
        "experiment_id": table.experiment_ids,
        "status": [status.value for status in table.statuses],
        "artifact_uri": [f"runs:/{run_id}" for run_id in table.run_ids],
    }
    times = {"start_time": table.start_ms, "end_time": table.end_ms}
    numbers = {f"metrics.{key}": column for key, column in table.metrics.items()}
    facts = {f"params.{key}": column for key, column in table.params.items()}
    facts |= {f"tags.{key}": column for key, column in table.tags.items()}
    make = _polars if kind == "polars" else _pandas
    return make(texts, times, numbers, facts)


def _representable(times: Sequence[int | None], missing: int | None) -> list[int | None]:
    return [
        at_ms if at_ms is not None and -MOST_MS < at_ms < MOST_MS else missing for at_ms in times
    ]


def _pandas(texts: Any, times: Any, numbers: Any, facts: Any) -> Any:  # noqa: ANN401
    try:
        import numpy as np
        import pandas as pd
    except ImportError:
        raise MissingExtraError("pandas", purpose="A DataFrame") from None
    # How pandas holds text is asked once, not found out for each column anew.
    text: Any = pd.Series(["text"]).dtype
    columns: dict[str, Any] = {name: pd.array(values, dtype=text) for name, values in texts.items()}
    for name, values in times.items():
        stamps = np.array(_representable(values, np.iinfo("i8").min), dtype="M8[ms]")
        columns[name] = pd.DatetimeIndex(stamps, tz="UTC").as_unit("us")
    for name, values in numbers.items():
        columns[name] = np.array(values, dtype="f8")  # None becomes NaN.
    for name, values in facts.items():
        columns[name] = pd.array(values, dtype=text)
    return pd.DataFrame(columns, copy=False)


def _polars(texts: Any, times: Any, numbers: Any, facts: Any) -> Any:  # noqa: ANN401
    try:
        import polars as pl
    except ImportError:
        raise MissingExtraError("polars", extra="polars", purpose="This format") from None
    columns: dict[str, Any] = {
        name: pl.Series(name, values, dtype=pl.String) for name, values in texts.items()
    }
    for name, values in times.items():
        stamps = pl.Series(name, _representable(values, None), dtype=pl.Int64)
        columns[name] = stamps.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    for name, values in numbers.items():
        columns[name] = pl.Series(name, values, dtype=pl.Float64)
    for name, values in facts.items():
        columns[name] = pl.Series(name, values, dtype=pl.String)
    return pl.DataFrame(columns)
