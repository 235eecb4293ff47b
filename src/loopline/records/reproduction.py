"""Records of a reproduction: a run that was run again, and how alike the two came out."""

from __future__ import annotations

from enum import StrEnum

from loopline.records.base import Record

__all__ = ["DataFound", "Likeness", "MetricOutcome", "Reproduction", "Verdict"]


class Likeness(StrEnum):
    """How alike two values of a metric are."""

    IDENTICAL = "identical"
    WITHIN = "within tolerance"
    DIFFERENT = "different"
    MISSING = "missing"


class Verdict(StrEnum):
    """How a reproduction came out; the worst of its metrics."""

    IDENTICAL = "identical"
    WITHIN = "within tolerance"
    DIFFERENT = "different"


class MetricOutcome(Record, frozen=True, kw_only=True):
    """One metric of the original beside the reproduction's.

    Attributes:
        before: The original's latest value.
        after: The reproduction's; None when it has no such metric.
        first_step: The first step of the history at which the two differ; None: none does.
    """

    key: str
    before: float
    after: float | None = None
    likeness: Likeness
    first_step: int | None = None


class DataFound(Record, frozen=True, kw_only=True):
    """Where a data version that the original read was found.

    Attributes:
        how: ``"source"`` (its content has the recorded digest), ``"snapshot"`` (the kept bytes),
            ``"code"`` (made in memory by the code, and compared afterwards) or ``"gone"``.
        source: Where the original read it from.
        place: The file or folder where it is now.
        note: Why it is gone.
    """

    name: str
    digest: str
    context: str = ""
    how: str
    source: str = ""
    place: str = ""
    note: str = ""


class Reproduction(Record, frozen=True, kw_only=True):
    """What came of running a run again.

    Attributes:
        original: The run that was run again.
        run_id: The run that it became.
        title: What was asked for, such as ``"taxifare_model v3"``.
        verdict: The worst of the metrics.
        first_difference: What differs first, in words; empty when nothing does.
        code: What code ran, and where it came from.
        user: Who ran the original: it is their code.
        python: The interpreter that ran it.
        environment: What that interpreter has, in words.
        environment_seconds: How long it took to make it, or to find it made.
        command: What was run.
        folder: Where it ran; empty when that was cleared away.
        seconds: How long the run itself took.
        files: How many files of its own the original has.
        files_identical: How many of them the reproduction has with the same bytes.
        notes: What may make a difference and could not be had as it was.
    """

    original: str
    run_id: str
    title: str
    verdict: Verdict
    first_difference: str = ""
    code: str = ""
    user: str = ""
    python: str = ""
    environment: str = ""
    environment_seconds: float = 0.0
    command: list[str] = []
    folder: str = ""
    seconds: float = 0.0
    data: list[DataFound] = []
    metrics: list[MetricOutcome] = []
    files: int = 0
    files_identical: int = 0
    notes: list[str] = []
