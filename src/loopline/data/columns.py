"""Summaries of one column, by kind: numbers, times, yes-or-no, text, and what is only counted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from loopline.data.values import MOST_TEXT, cut, finite, time_text
from loopline.records.tracking import ColumnProfile, ValueCount

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Mask: TypeAlias = NDArray[np.bool_]

__all__ = ["Summary", "decoded", "summary_for", "type_name"]

QUANTILES = {"5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95}
MOST_TOP = 5
#: Rows of a sample that must have a value before its frequency is guessed from them.
LEAST_SAMPLED = 20


def type_name(kind: pa.DataType) -> str:
    """Name a type without what is only its layout in memory, such as ``large_``."""
    import pyarrow.types as t

    if t.is_dictionary(kind):
        return type_name(kind.value_type)
    return cut(str(kind).replace("large_", "").replace("_view", ""))


def summary_for(kind: pa.DataType) -> Summary:
    """Make the summary that fits a type."""
    import pyarrow as pa
    import pyarrow.types as t

    inner = kind.value_type if t.is_dictionary(kind) else kind
    inner = inner.storage_type if isinstance(inner, pa.BaseExtensionType) else inner
    name = type_name(kind)
    if t.is_boolean(inner):
        return _Booleans(name)
    if t.is_integer(inner) or t.is_floating(inner) or t.is_decimal(inner):
        return _Numbers(name)
    if t.is_temporal(inner) and not t.is_interval(inner):
        return _Times(name, inner)
    if t.is_string(inner) or t.is_large_string(inner) or "string_view" in str(inner):
        return _Texts(name)
    return Summary(name)


class Summary:
    """Counts gaps: all that can be said of a column of lists, structs or bytes."""

    def __init__(self, type_: str) -> None:
        """Begin a summary of a column whose type has this name."""
        self._type = type_
        self._nulls = 0
        #: The sample, in parts; gaps have their places in it, so that rows can be counted off.
        self._kept: list[pa.Array] = []

    def add(self, column: pa.Array, keep: Mask | None) -> None:
        """Take the next rows into account, and the chosen of them (None: all) as a sample."""
        del keep
        self._nulls += column.null_count

    def thin(self, stay: Mask) -> None:
        """Keep only some rows of the sample."""
        import pyarrow as pa

        if self._kept:
            self._kept = [pa.concat_arrays(self._kept).filter(pa.array(stay))]

    def profile(self, rows: int, sampled: int | None) -> ColumnProfile:
        """Say what the column held.

        Args:
            rows: Rows in all.
            sampled: Rows in the sample, or None when that is all of them.
        """
        del rows, sampled
        return ColumnProfile(type=self._type, nulls=self._nulls)

    def _keep(self, column: pa.Array, keep: Mask | None) -> None:
        import pyarrow as pa

        self._kept.append(column if keep is None else column.filter(pa.array(keep)))

    def _sample(self) -> pa.Array:
        """Get the values in the sample, without gaps."""
        import pyarrow as pa

        return pa.concat_arrays(self._kept).drop_null() if self._kept else pa.nulls(0)

    def _frequencies(
        self, sample: pa.Array, rows: int, sampled: int | None
    ) -> tuple[int | None, list[ValueCount]]:
        """Count different values, and the most frequent of those that stand more than once."""
        import pyarrow.compute as pc

        counted = pc.value_counts(sample)
        values, counts = counted.field("values"), counted.field("counts")
        order = pc.select_k_unstable(counts, MOST_TOP * 4, [("counts", "descending")])
        found = [(counts[i.as_py()].as_py(), values[i.as_py()].as_py()) for i in order]
        # Of equally frequent ones the least, and not the one that a hash table has first.
        found.sort(key=lambda pair: (-pair[0], pair[1]))
        scale = rows / sampled if sampled else 1.0
        top = [
            ValueCount(value=self._label(value), count=round(count * scale))
            for count, value in found[:MOST_TOP]
            if count >= (LEAST_SAMPLED if sampled else 2)
        ]
        return (None if sampled else len(counted)), top

    def _label(self, value: Any) -> str:  # noqa: ANN401 - a value of the column
        return cut(str(value).removesuffix(".0") if isinstance(value, float) else str(value))


def decoded(column: pa.Array) -> pa.Array:
    """Get the values themselves of a dictionary or an extension."""
    import pyarrow as pa

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


class _Numbers(Summary):
    """Whole numbers, floats and decimals."""

    def __init__(self, type_: str) -> None:
        super().__init__(type_)
        self._infinite = 0
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0  # Sum of squared distances from the mean.
        self._least: int | float | None = None
        self._most: int | float | None = None

    def add(self, column: pa.Array, keep: Mask | None) -> None:
        """Take the next rows into account; NaN is a gap."""
        import numpy as np

        plain = self._plain(decoded(column))
        self._keep(plain, keep)
        held: NDArray[Any] = plain.drop_null().to_numpy(zero_copy_only=False)
        is_float = held.dtype.kind == "f"
        if is_float:
            held = held[~np.isnan(held)]
        self._nulls += len(column) - len(held)
        if not len(held):
            return
        least, most = held.min().item(), held.max().item()
        self._least = least if self._least is None else min(self._least, least)
        self._most = most if self._most is None else max(self._most, most)
        if is_float and (math.isinf(least) or math.isinf(most)):
            is_finite = np.isfinite(held)
            self._infinite += int((~is_finite).sum())
            held = held[is_finite]
        self._merge(held)

    def _merge(self, held: NDArray[Any]) -> None:
        """Merge mean and squares with those of what came before.

        Source:
            Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
            sample variances", 1979.
        """
        import numpy as np

        if not len(held):
            return
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(held.mean(dtype=np.float64))
            squares = float(np.square(held - mean, dtype=np.float64).sum())
        total = self._count + len(held)
        distance = mean - self._mean
        self._squares += squares + distance * distance * self._count * len(held) / total
        self._mean += distance * len(held) / total
        self._count = total

    def profile(self, rows: int, sampled: int | None) -> ColumnProfile:
        """Say what the numbers are."""
        import numpy as np
        import pyarrow.compute as pc
        import pyarrow.types as t

        sample = self._sample()
        if t.is_floating(sample.type):
            sample = sample.filter(pc.invert(pc.is_nan(sample)))
        distinct, top = self._frequencies(sample, rows, sampled)
        sure = sample.to_numpy(zero_copy_only=False).astype(np.float64)
        sure = sure[np.isfinite(sure)]
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.quantile(sure, list(QUANTILES.values())).tolist() if len(sure) else []
        variance = self._squares / self._count if self._count else math.nan
        said = {name: self._said(value) for name, value in zip(QUANTILES, found, strict=False)}
        return ColumnProfile(
            type=self._type,
            nulls=self._nulls,
            infinite=self._infinite,
            min=self._extreme(self._least),
            max=self._extreme(self._most),
            mean=self._said(self._mean) if self._count else None,
            std=self._deviation(math.sqrt(variance)) if math.isfinite(variance) else None,
            quantiles={name: value for name, value in said.items() if value is not None},
            distinct=distinct,
            top=top,
        )

    def _plain(self, column: pa.Array) -> pa.Array:
        """Turn what NumPy has no numbers for into 64-bit floats."""
        import pyarrow as pa
        import pyarrow.types as t

        is_other = t.is_decimal(column.type) or t.is_float16(column.type)
        return column.cast(pa.float64()) if is_other else column

    def _said(self, value: float) -> float | str | None:
        return finite(value)

    def _extreme(self, value: float | None) -> int | float | str | None:
        if value is None or math.isfinite(value):
            return value
        return "Infinity" if value > 0 else "-Infinity"

    def _deviation(self, value: float) -> float:
        return value


class _Times(_Numbers):
    """Instants, dates, times of day and durations: numbers of ticks, said as times."""

    def __init__(self, type_: str, kind: pa.DataType) -> None:
        import pyarrow.types as t

        super().__init__(type_)
        self._kind = next(
            word
            for word, is_it in {
                "date": t.is_date(kind),
                "time": t.is_time(kind),
                "duration": t.is_duration(kind),
                "timestamp": True,
            }.items()
            if is_it
        )
        self._unit = "D" if self._kind == "date" else kind.unit

    def _plain(self, column: pa.Array) -> pa.Array:
        import pyarrow as pa
        import pyarrow.types as t

        if t.is_date(column.type):
            column = column.cast(pa.date32(), safe=False).cast(pa.int32())
        elif t.is_time32(column.type):
            column = column.cast(pa.int32())
        return column.cast(pa.int64())

    def _said(self, value: float) -> float | str | None:
        return time_text(value, self._unit, self._kind)

    def _extreme(self, value: float | None) -> int | float | str | None:
        return None if value is None else self._said(value)

    def _deviation(self, value: float) -> float:
        per_second = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
        return value * 86_400.0 if self._unit == "D" else value / per_second[self._unit]

    def _label(self, value: Any) -> str:  # noqa: ANN401 - ticks
        return time_text(value, self._unit, self._kind)


class _Booleans(Summary):
    """Yes or no."""

    def __init__(self, type_: str) -> None:
        super().__init__(type_)
        self._yes = 0
        self._no = 0

    def add(self, column: pa.Array, keep: Mask | None) -> None:
        """Count; no sample is needed."""
        super().add(column, keep)
        yes = decoded(column).true_count
        self._yes += yes
        self._no += len(column) - column.null_count - yes

    def profile(self, rows: int, sampled: int | None) -> ColumnProfile:
        """Say how often it is yes."""
        del rows, sampled
        counts = {"true": self._yes, "false": self._no}
        shown = sorted(counts.items(), key=lambda pair: -pair[1])
        total = self._yes + self._no
        return ColumnProfile(
            type=self._type,
            nulls=self._nulls,
            mean=self._yes / total if total else None,
            distinct=sum(count > 0 for count in counts.values()),
            top=[ValueCount(value=value, count=count) for value, count in shown if count],
        )


class _Texts(Summary):
    """Text."""

    def __init__(self, type_: str) -> None:
        super().__init__(type_)
        self._least: str | None = None
        self._most: str | None = None
        self._is_cut = False

    def add(self, column: pa.Array, keep: Mask | None) -> None:
        """Compare whole texts; the sample has only as much of them as is shown."""
        import pyarrow as pa
        import pyarrow.compute as pc

        plain = decoded(column).cast(pa.large_string())
        self._nulls += plain.null_count
        if len(plain) == plain.null_count:
            return self._keep(plain, keep)
        found = pc.min_max(plain).as_py()
        self._least = min(found["min"], self._least or found["min"])
        self._most = max(found["max"], self._most or found["max"])
        if pc.max(pc.binary_length(plain)).as_py() > MOST_TEXT:
            self._is_cut = True
            plain = pc.utf8_slice_codeunits(plain, 0, MOST_TEXT + 1)
        return self._keep(plain, keep)

    def profile(self, rows: int, sampled: int | None) -> ColumnProfile:
        """Say which texts are frequent."""
        distinct, top = self._frequencies(self._sample(), rows, sampled)
        return ColumnProfile(
            type=self._type,
            nulls=self._nulls,
            min=None if self._least is None else cut(self._least),
            max=None if self._most is None else cut(self._most),
            distinct=None if self._is_cut else distinct,
            top=top,
        )
