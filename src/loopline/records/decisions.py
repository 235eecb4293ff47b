"""Decisions: what was weighed, what came out, and who had the last word."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from loopline.records.base import Record
from loopline.records.operation import Operation
from loopline.records.registry import ModelVersion

__all__ = [
    "AnswerDecision",
    "Check",
    "Comparison",
    "Decision",
    "DecisionStatus",
    "GetDecision",
    "KeptDecision",
    "ListDecisions",
    "RecordDecision",
    "RollBack",
    "SliceCheck",
]


class Comparison(Record, frozen=True, kw_only=True):
    """Champion and challenger scored on the same rows.

    Attributes:
        metric: Such as ``"rmse"``.
        rows: How many rows both were scored on.
        champion: The champion's score, in the metric's unit.
        challenger: The challenger's.
        gain: Part of the champion's error that is gone: 0.24 is 24 % better, negative is worse.
        low: Lower end of the interval of the gain.
        high: Upper end of the interval of the gain.
        p: Chance to see such a gain by the luck of the rows, one-sided, never exactly 0.
        confidence: Of the interval.
    """

    metric: str
    rows: int
    champion: float
    challenger: float
    gain: float
    low: float
    high: float
    p: float
    confidence: float = 0.95


class SliceCheck(Record, frozen=True, kw_only=True):
    """Champion and challenger on a part of the rows.

    Attributes:
        value: Of the column that makes the parts.
        champion: The champion's score there.
        challenger: The challenger's.
        gain: Part of the champion's error that is gone there.
        is_worse: Surely worse than allowed.
        is_judged: It has rows enough to be judged.
    """

    value: str
    rows: int
    champion: float
    challenger: float
    gain: float
    is_worse: bool = False
    is_judged: bool = True


class Check(Record, frozen=True, kw_only=True):
    """What one gate said.

    Attributes:
        gate: Its kind, such as ``"gain"`` or ``"slices"``.
        passed: Whether it lets the challenger through.
        sentence: Why, in a few words.
        slices: What was found on each part, the worst first; of the gate for slices alone.
        measured: The number that was held against the limit, if there is one.
        limit: The limit.
    """

    gate: str
    passed: bool
    sentence: str
    slices: list[SliceCheck] = []
    measured: float | None = None
    limit: float | None = None


class Decision(Record, frozen=True, kw_only=True):
    """Whether the challenger takes the champion's place, with the reason.

    Attributes:
        promote: Whether it does, once whoever must has said yes.
        rule: ``"first"`` (there was no champion), ``"better"``, ``"not better"``,
            ``"too little"`` (better, but less than asked), ``"unsure"`` (the interval reaches
            0), ``"too few"`` (rows), ``"bound"``, ``"slices"``, ``"latency"``, ``"size"``,
            ``"seen"`` (one of them was trained on these rows)
            or ``"no score"`` (nothing to compare on, or a prediction that is not a number).
        sentence: What a person would say.
        champion: Its version, or None when there was none.
        challenger: Its version.
        metric: By which it was decided.
        score: The challenger's score on the rows, or None when it has none.
        comparison: The numbers, or None when there was nothing to compare.
        checks: What each gate said, in their order.
        approvers: Who may say yes, of those who must be asked.
        needs_approval: A person must say yes.
        data: Digest of the data version it was scored on; empty: the caller did not say.
        unseen: How it is known that neither saw these rows in training: ``"feed"`` (by the rows'
            places), ``"digest"`` (no run of theirs logged this data version), empty: nobody knows.
        decision_id: Tells it from all others; a decision recorded again is not another.
    """

    promote: bool
    rule: str
    sentence: str
    champion: int | None = None
    challenger: int
    metric: str = ""
    score: float | None = None
    comparison: Comparison | None = None
    checks: list[Check] = []
    approvers: list[str] = []
    needs_approval: bool = False
    data: str = ""
    unseen: str = ""
    decision_id: str = ""


class DecisionStatus(StrEnum):
    """What became of a decision."""

    PROMOTED = "promoted"
    KEPT = "kept"
    WAITING = "waiting"
    REFUSED = "refused"
    OVERTAKEN = "overtaken"
    ROLLED_BACK = "rolled back"
    DRY_RUN = "dry run"


class KeptDecision(Record, frozen=True, kw_only=True):
    """A decision on record.

    Attributes:
        name: Of the registered model.
        at_ms: When it was decided, Unix time in milliseconds.
        actor: Who decided, or whose flow.
        policy: Number of the policy that was followed; 0: none.
        run_id: The run with its plots and report; empty: none.
        flow_run_id: The flow run that decided; empty: none.
        answered_ms: When a person answered; 0: nobody has, or nobody must.
        answered_by: Who.
        answer: Their reason.
    """

    decision_id: str
    name: str
    stage: str
    status: DecisionStatus
    decision: Decision
    at_ms: int
    actor: str = ""
    policy: int = 0
    run_id: str = ""
    flow_run_id: str = ""
    answered_ms: int = 0
    answered_by: str = ""
    answer: str = ""

    @property
    def is_promoted(self) -> bool:
        """Whether the challenger took the place by it."""
        return self.status is DecisionStatus.PROMOTED

    @property
    def has_moved(self) -> bool:
        """Whether a version took the place by it, forward or back."""
        return self.status in {DecisionStatus.PROMOTED, DecisionStatus.ROLLED_BACK}

    def __bool__(self) -> bool:
        """Read as ``if promote(...)``: whether the challenger took the place by it."""
        return self.is_promoted


class RecordDecision(Operation[KeptDecision], frozen=True, kw_only=True):
    """Keep a decision and act on it, both or neither: the version moves, or waits for a yes.

    When another version took the place since they were compared, nothing moves and the decision
    is kept as overtaken.

    Attributes:
        dry_run: Keep it, and move nothing.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    stage: str = "Production"
    decision: Decision
    dry_run: bool = False
    run_id: str = ""
    flow_run_id: str = ""
    actor: str = ""


class AnswerDecision(Operation[KeptDecision], frozen=True, kw_only=True):
    """Say yes or no to a decision that waits for it, with a reason."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    decision_id: str
    approve: bool
    reason: str
    actor: str = ""


class GetDecision(Operation[KeptDecision], frozen=True, kw_only=True):
    """Get a decision."""

    decision_id: str


class ListDecisions(Operation[list[KeptDecision]], frozen=True, kw_only=True):
    """List decisions, newest first.

    Attributes:
        name: Of the registered model; empty: of all.
        status: Such as ``"waiting"``; empty: any.
        limit: At most so many, 1 to 1,000.
    """

    name: str = ""
    stage: str = ""
    status: str = ""
    limit: int = 100


class RollBack(Operation[ModelVersion], frozen=True, kw_only=True):
    """Give a stage back to the version that was its champion before, and say why.

    Answers the version that stands there now.

    Attributes:
        to: Which version; None: the champion before the one that is there.
        only_from: The version that must be the champion until now; None: whichever it is.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    stage: str = "Production"
    to: int | None = None
    only_from: int | None = None
    reason: str
    actor: str = ""
