"""Policies: what a registered model must show, on which data, and who may say yes."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from loopline.records.base import Record
from loopline.records.operation import Operation

__all__ = [
    "Approval",
    "Bound",
    "DeletePolicy",
    "Gain",
    "Gate",
    "GetPolicy",
    "KeptPolicy",
    "Latency",
    "ListPolicies",
    "Policy",
    "Rollback",
    "SetPolicy",
    "Size",
    "Slices",
]


class Bound(Record, frozen=True, kw_only=True, tag_field="gate", tag="bound"):
    """The challenger's score lies within bounds, in the metric's own unit."""

    at_most: float | None = None
    at_least: float | None = None


class Gain(Record, frozen=True, kw_only=True, tag_field="gate", tag="gain"):
    """The challenger is better than the champion on the same rows, and surely so.

    Attributes:
        at_least: Part of the champion's error that must go, 0 to below 1: 0.05 asks for 5 %.
        confidence: Of the two-sided interval of the gain, which must lie above 0; 0.95 is 95 %.
        test: ``"bootstrap"`` over pairs, ``"mcnemar"`` for accuracy, ``"delong"`` for auc, or
            ``"auto"``: the one of these that is made for the metric.
        min_rows: How many rows both must be scored on: on fewer, resampling shows less chance
            than there is.
        resamples: Bootstrap resamples, at least 100.
        seed: The same rows and seed give the same numbers.
    """

    at_least: float = 0.05
    confidence: float = 0.95
    test: str = "auto"
    min_rows: int = 30
    resamples: int = 1000
    seed: int = 0


class Slices(Record, frozen=True, kw_only=True, tag_field="gate", tag="slices"):
    """On no part of the rows is the challenger surely worse.

    Attributes:
        by: Column of the rows whose values make the parts, such as ``"borough"``.
        at_most_worse: Part by which the error may grow on each: 0.05 allows 5 %.
        confidence: With which a part must be worse to count, all parts together (Holm).
        min_rows: Parts with fewer rows are named, and not judged.
    """

    by: str
    at_most_worse: float = 0.05
    confidence: float = 0.95
    min_rows: int = 30


class Latency(Record, frozen=True, kw_only=True, tag_field="gate", tag="latency"):
    """The challenger answers one row in at most so many milliseconds (the median of its calls)."""

    at_most_ms: float


class Size(Record, frozen=True, kw_only=True, tag_field="gate", tag="size"):
    """The challenger's files take at most so many megabytes, of 1,000,000 bytes."""

    at_most_mb: float


class Approval(Record, frozen=True, kw_only=True, tag_field="gate", tag="approval"):
    """A person says yes, with a reason.

    Attributes:
        by: Names of those who may; empty: whoever may edit the model.
    """

    by: list[str] = []


Gate = Bound | Gain | Slices | Latency | Size | Approval


class Rollback(Record, frozen=True, kw_only=True):
    """When the model goes back to the version before it.

    Attributes:
        at_most_worse: Part by which its live error may lie above the error that the version
            before it had, while that was live: 0.2 allows 20 %.
        for_s: For how long, in seconds, at the least.
        min_rows: Predictions whose truth is known, at the least.
    """

    at_most_worse: float = 0.2
    for_s: float = 3600.0
    min_rows: int = 100


class Policy(Record, frozen=True, kw_only=True):
    """What decides over the versions of a model.

    Attributes:
        model: Name of the registered model; empty in a policy that is passed along and not set.
        stage: Which place is decided on, such as ``"Production"``.
        metric: ``"rmse"``, ``"mae"``, ``"accuracy"``, ``"log_loss"``, ``"brier"`` or ``"auc"``.
        target: Column with what came true.
        features: Columns that the model takes; empty: those that its signature names.
        feed: Name of the feed that new rows come from; empty: whoever calls brings them.
        window: What is evaluated on: the last ``"month"``, ``"7 days"``, … of the rows.
        train_window: What a challenger learns from, such as ``"2 months"`` before that; empty:
            all rows that lie before.
        retrain_when_worse_by: A challenger is trained when the champion's error lies above that
            of its promotion by this part, 0.1 for 10 %; None: each time.
        gates: All of them must let a version through.
        rollback: When it is taken back by itself; None: never.
        notify: Whom to tell of decisions: Apprise addresses.
    """

    model: str = ""
    stage: str = "Production"
    metric: str = "rmse"
    target: str = ""
    features: list[str] = []
    feed: str = ""
    window: str = "month"
    train_window: str = ""
    retrain_when_worse_by: float | None = None
    gates: list[Gate] = msgspec.field(default_factory=lambda: [Gain()])
    rollback: Rollback | None = None
    notify: list[str] = []


class KeptPolicy(Record, frozen=True, kw_only=True):
    """A policy as the store has it.

    Attributes:
        number: Of this model's policies for the stage, counted from 1; each change makes one.
        at_ms: Since when, Unix time in milliseconds.
        actor: Who set it.
    """

    policy: Policy
    number: int
    at_ms: int
    actor: str = ""


class SetPolicy(Operation[KeptPolicy], frozen=True, kw_only=True):
    """Decide over a model by this from now on; the same again changes nothing.

    A model that is not there yet is made, so that its first version is decided on, too.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    policy: Policy
    actor: str = ""


class GetPolicy(Operation[KeptPolicy], frozen=True, kw_only=True):
    """Get the policy of a model's stage; none is an error."""

    name: str
    stage: str = "Production"


class ListPolicies(Operation[list[KeptPolicy]], frozen=True, kw_only=True):
    """List the policies that count now, by model and stage; of one model, or of all."""

    name: str = ""


class DeletePolicy(Operation[KeptPolicy], frozen=True, kw_only=True):
    """Decide by no policy any more; answers what it was. What was decided stays."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    stage: str = "Production"
    actor: str = ""
