"""Profiles: what each column of a table holds, in one pass and bounded memory.

Nulls, least and greatest values and means are exact over all rows. Quantiles, frequent and
different values are exact up to about 100,000 rows; of longer tables they rest on a sample of
between 100,000 and 200,000, drawn by the number of the row: the same data give the same
profile, and no rhythm in the data can fall in step with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from loopline.data.columns import Summary, summary_for, type_name
from loopline.data.tables import unique_names
from loopline.data.values import cut
from loopline.records.base import Record
from loopline.records.tracking import ColumnProfile

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Description", "RowSample", "describe_table", "describe_tables"]

#: Columns with a profile, and columns with a type; more would make records of megabytes.
MOST_PROFILES = 100
MOST_COLUMNS = 500
#: Rows that a sample has at least, if there are so many.
SAMPLE_ROWS = 100_000
#: Values that all columns of a sample have together, about.
SAMPLE_CELLS = 4_000_000
LEAST_SAMPLE = 10_000


class Description(Record, frozen=True, kw_only=True):
    """What is known of a table besides its digest; see ``Dataset`` for the fields."""

    rows: int | None = None
    columns: dict[str, str] = msgspec.field(default_factory=dict)
    column_count: int | None = None
    profile: dict[str, ColumnProfile] = msgspec.field(default_factory=dict)
    profiled_rows: int | None = None
    sampled_rows: int | None = None


def describe_table(table: pa.Table) -> Description:
    """Describe an Arrow table."""
    return describe_tables(table.schema, table.to_batches(max_chunksize=1 << 18))


def describe_tables(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Description:
    """Describe a table that comes in parts.

    Args:
        schema: Of every part.
        batches: Any number of them, of any size.
    """
    shown = unique_names(map(cut, schema.names[:MOST_COLUMNS]))
    summaries: list[Summary] = [summary_for(kind) for kind in schema.types[:MOST_PROFILES]]
    cells_each = SAMPLE_CELLS // max(1, len(summaries))
    sample = RowSample(max(LEAST_SAMPLE, min(SAMPLE_ROWS, cells_each)))
    rows = 0
    for batch in batches:
        keep = sample.choose(rows, batch.num_rows)
        for index, summary in enumerate(summaries):
            summary.add(batch.column(index), keep)
        if sample.is_full:
            thinned = sample.thin()
            for summary in summaries:
                summary.thin(thinned)
        rows += batch.num_rows
    is_sampled = sample.is_sampled
    return Description(
        rows=rows,
        columns=dict(zip(shown, map(type_name, schema.types), strict=False)),
        column_count=len(schema.names),
        profile={
            name: summary.profile(rows, sample.rows if is_sampled else None)
            for name, summary in zip(shown, summaries, strict=False)
        },
        sampled_rows=sample.rows if is_sampled else None,
    )


class RowSample:
    """Which rows are in the sample: those whose scrambled number lies under a threshold.

    The threshold is halved when there are too many; then half of those chosen go.
    """

    def __init__(self, least: int) -> None:
        self._most = 2 * least
        self._shift = 0
        self._parts: list[NDArray[np.uint64]] = []
        self.rows = 0

    @property
    def is_sampled(self) -> bool:
        """Whether some rows were left out."""
        return self._shift > 0

    @property
    def is_full(self) -> bool:
        """Whether there are more rows than there should be."""
        return self.rows > self._most

    def choose(self, start: int, rows: int) -> NDArray[np.bool_] | None:
        """Choose among the next rows; None: all of them."""
        import numpy as np

        scrambled = _scramble(np.arange(start, start + rows, dtype=np.uint64))
        keep = self._is_chosen(scrambled) if self._shift else None
        self._parts.append(scrambled if keep is None else scrambled[keep])
        self.rows += len(self._parts[-1])
        return keep

    def thin(self) -> NDArray[np.bool_]:
        """Halve the threshold until there is room; tell which of the chosen rows stay."""
        import numpy as np

        chosen = np.concatenate(self._parts)
        while True:
            self._shift += 1
            stay = self._is_chosen(chosen)
            if int(stay.sum()) <= self._most:
                break
        self._parts = [chosen[stay]]
        self.rows = len(self._parts[0])
        return stay

    def _is_chosen(self, scrambled: NDArray[np.uint64]) -> NDArray[np.bool_]:
        import numpy as np

        chosen: NDArray[np.bool_] = (scrambled >> np.uint64(64 - self._shift)) == 0
        return chosen


def _scramble(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread row numbers over all 64-bit numbers.

    Source:
        The finaliser of SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom
        number generators", OOPSLA 2014.
    """
    import numpy as np

    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
