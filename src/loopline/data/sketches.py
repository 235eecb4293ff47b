"""Sketches of columns for drift: one pass, memory that does not grow with the rows.

Numbers and times keep a sample of 100,000 to 200,000 rows (all of them up to that), values are
counted one by one up to 10,000 different ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.data.columns import decoded
from loopline.data.profile import RowSample
from loopline.rules.drift import Numbers, Values

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from loopline.records.tracking import ColumnProfile, Dataset
    from loopline.rules.drift import Column

__all__ = ["sketch_of_profile", "sketch_tables"]

SAMPLE_ROWS = 100_000
MOST_DIFFERENT = 10_000
#: Values drawn through the quantiles of a profile.
DRAWN = 10_000
US_IN_SECOND = 1_000_000


def sketch_tables(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> dict[str, Column]:
    """Sketch a table that comes in parts.

    Args:
        schema: Of every part.
        batches: Any number of them, of any size.
    """
    parts: list[tuple[str, _Numbers | _Values]] = []
    for field in schema:
        made = _for(field.type)
        if made is not None:
            parts.append((field.name, made))
    places = {name: schema.get_field_index(name) for name, _ in parts}
    sample = RowSample(SAMPLE_ROWS)
    rows = 0
    for batch in batches:
        keep = sample.choose(rows, batch.num_rows)
        for name, part in parts:
            part.add(decoded(batch.column(places[name])), keep)
        if sample.is_full:
            stay = sample.thin()
            for _, part in parts:
                part.thin(stay)
        rows += batch.num_rows
    return {name: part.done(rows) for name, part in parts}


def _for(kind: pa.DataType) -> _Numbers | _Values | None:
    """Make what sketches a type; None: lists and the like are not compared."""
    import pyarrow as pa
    import pyarrow.types as t

    inner = kind.value_type if t.is_dictionary(kind) else kind
    inner = inner.storage_type if isinstance(inner, pa.BaseExtensionType) else inner
    if t.is_integer(inner) or t.is_floating(inner) or t.is_decimal(inner):
        return _Numbers()
    if t.is_timestamp(inner) or t.is_date(inner):
        return _Numbers(is_time=True)
    if t.is_boolean(inner) or t.is_string(inner) or t.is_large_string(inner):
        return _Values()
    return _Values() if "string_view" in str(inner) else None


class _Numbers:
    """Gathers a sample of numbers; a row without one is NaN in it."""

    def __init__(self, *, is_time: bool = False) -> None:
        self._is_time = is_time
        self._missing = 0
        self._kept: list[NDArray[np.float64]] = []

    def add(self, column: pa.Array, keep: NDArray[np.bool_] | None) -> None:
        import numpy as np
        import pyarrow as pa

        if self._is_time:
            column = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        elif pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        values = column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
        self._missing += int(np.count_nonzero(np.isnan(values)))
        self._kept.append(values if keep is None else values[keep])

    def thin(self, stay: NDArray[np.bool_]) -> None:
        import numpy as np

        self._kept = [np.concatenate(self._kept)[stay]]

    def done(self, rows: int) -> Numbers:
        import numpy as np

        values = np.concatenate(self._kept) if self._kept else np.empty(0)
        values = np.sort(values[np.isfinite(values)])
        if self._is_time:
            values = values / US_IN_SECOND
        return Numbers(rows, self._missing, values, is_time=self._is_time)


class _Values:
    """Counts values."""

    def __init__(self) -> None:
        self._missing = 0
        self._others = 0
        self._counts: dict[str, int] = {}

    def add(self, column: pa.Array, keep: NDArray[np.bool_] | None) -> None:
        import pyarrow.compute as pc

        del keep  # Every row is counted.
        self._missing += column.null_count
        counted = pc.value_counts(column.drop_null())
        pairs = zip(
            counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True
        )
        for value, count in pairs:
            label = _label(value)
            if label in self._counts or len(self._counts) < MOST_DIFFERENT:
                self._counts[label] = self._counts.get(label, 0) + count
            else:
                self._others += count

    def thin(self, stay: NDArray[np.bool_]) -> None:
        """Keep all: nothing here is a sample."""

    def done(self, rows: int) -> Values:
        return Values(rows, self._missing, self._counts, self._others)


def _label(value: Any) -> str:  # noqa: ANN401 - a value of the column
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:200]


def sketch_of_profile(data: Dataset) -> dict[str, Column]:
    """Sketch the columns of a data version by its profile: what is known when its rows are gone."""
    rows = data.rows or 0
    found: dict[str, Column] = {}
    for name, column in data.profile.items():
        made = _of_profile(column, rows)
        if made is not None:
            found[name] = made
    return found


def _of_profile(column: ColumnProfile, rows: int) -> Column | None:
    import numpy as np

    held = max(0, rows - column.nulls)
    if column.type == "bool" and isinstance(column.mean, float):
        yes = round(column.mean * held)
        return Values(rows, column.nulls, {"true": yes, "false": held - yes}, is_coarse=False)
    if column.type in {"string", "utf8"}:
        counts = {each.value: each.count for each in column.top}
        others = max(0, held - sum(counts.values()))
        return Values(rows, column.nulls, counts, others, is_coarse=others > 0)
    shares = [float(key.rstrip("%")) / 100 for key in column.quantiles]
    is_time = column.type.startswith(("timestamp", "date"))
    places = [_place(value) for value in column.quantiles.values()]
    ends = [_place(column.min), _place(column.max)]
    if not places or any(place is None for place in (*places, *ends)):
        return None
    at = (np.arange(DRAWN) + 0.5) / DRAWN
    values = np.interp(at, [0, *shares, 1], [ends[0], *places, ends[1]])  # type: ignore[arg-type]
    count = min(DRAWN, held)
    drawn = values if count == DRAWN else values[np.linspace(0, DRAWN - 1, count).astype(int)]
    return Numbers(rows, column.nulls, np.sort(drawn), is_coarse=True, is_time=is_time)


def _place(value: float | str | None) -> float | None:
    """Read a number, or a time as seconds since 1970."""
    from datetime import UTC, datetime

    if value is None or isinstance(value, int | float):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
