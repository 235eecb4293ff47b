"""Records of drift: how the rows of now differ from those that a model learnt from."""

from __future__ import annotations

from loopline.records.base import Record

__all__ = ["DATA_TAG", "SENTENCE_TAG", "VERSION_TAG", "Bin", "ColumnDrift", "DriftReport"]

#: Tags of a run with a report: what it says, the version whose data it compares with (such as
#: ``"taxifare_model/3"``), and the data version that it is about, by its digest.
SENTENCE_TAG = "loopline.drift"
VERSION_TAG = "loopline.drift.version"
DATA_TAG = "loopline.drift.data"


class Bin(Record, frozen=True, kw_only=True):
    """A part of a column's values, before and now.

    Attributes:
        label: Such as ``"2.5 to 4"``, or a value.
        before: Share of the rows with a value, 0 to 1.
        now: Likewise.
    """

    label: str
    before: float
    now: float


class ColumnDrift(Record, frozen=True, kw_only=True):
    """How a column differs.

    Attributes:
        column: Its name.
        kind: ``"numbers"``, ``"times"`` or ``"values"``.
        is_drifted: It surely differs, and by enough to matter.
        psi: Population stability index: below 0.1 is calm, above 0.25 is much.
        distance: Largest difference of the cumulative shares (Kolmogorov and Smirnov) of numbers
            and times; half the sum of the differences of shares of values. 0 to 1.
        shift: Wasserstein distance in the column's unit (seconds for times); None for values.
        missing_before: Share of rows without a value.
        missing_now: Likewise.
        new_values: Values that were not there before, the most frequent first, at most 10.
        new_share: Share of the rows with such.
        p: Chance of so large a distance between two draws of the same rows.
        p_adjusted: The same, with all columns looked at (Benjamini and Hochberg).
        bins: Shares by part, for a picture.
        is_coarse: What is known of before is five quantiles or five values, and not rows.
        words: What differs, as a person would say it.
    """

    column: str
    kind: str
    is_drifted: bool = False
    psi: float = 0.0
    distance: float = 0.0
    shift: float | None = None
    missing_before: float = 0.0
    missing_now: float = 0.0
    new_values: list[str] = []
    new_share: float = 0.0
    p: float = 1.0
    p_adjusted: float = 1.0
    bins: list[Bin] = []
    is_coarse: bool = False
    words: str = ""


class DriftReport(Record, frozen=True, kw_only=True):
    """How rows differ from those before, column by column.

    Attributes:
        rows_before: How many there were.
        rows_now: How many there are.
        columns: The one that differs most first.
        only_before: Columns that are gone.
        only_now: Columns that are new.
        name: What the rows of now are called.
        against: What the rows of before are called.
        version: The model version that learnt from these, such as ``"taxifare_model/3"``; empty:
            none was named.
        data: Digest of the rows of now; empty when they are no data version.
    """

    rows_before: int
    rows_now: int
    columns: list[ColumnDrift]
    only_before: list[str] = []
    only_now: list[str] = []
    name: str = ""
    against: str = ""
    version: str = ""
    data: str = ""

    @property
    def drifted(self) -> list[ColumnDrift]:
        """Columns that differ."""
        return [column for column in self.columns if column.is_drifted]

    @property
    def share(self) -> float:
        """Share of the columns that differ, 0 to 1."""
        return len(self.drifted) / len(self.columns) if self.columns else 0.0

    @property
    def sentence(self) -> str:
        """The outcome as a person would say it."""
        drifted = self.drifted
        if not drifted:
            said = f"None of {len(self.columns)} columns drifted."
        else:
            names = ", ".join(column.column for column in drifted[:3])
            more = f" and {len(drifted) - 3} more" if len(drifted) > 3 else ""  # noqa: PLR2004
            said = f"{len(drifted)} of {len(self.columns)} columns drifted: {names}{more}."
        if self.only_before:
            said += f" Gone: {', '.join(self.only_before[:5])}."
        return said

    def metrics(self) -> dict[str, float]:
        """Give the numbers under the names of metrics, such as ``"drift/psi/miles"``."""
        found = {"drift/share": self.share}
        for column in self.columns:
            found[f"drift/psi/{column.column}"] = column.psi
            found[f"drift/distance/{column.column}"] = column.distance
            found[f"drift/missing/{column.column}"] = column.missing_now
        return found
