"""Decisions on record: a version moves by one, waits for a person's yes, or is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.backend.context import current_task
from loopline.backend.recorder import get_recorder
from loopline.records.operations import (
    AnswerDecision,
    GetDecision,
    ListDecisions,
    RecordDecision,
    RollBack,
)
from loopline.registry.given import actor, as_number

if TYPE_CHECKING:
    from loopline.records.decisions import Decision, KeptDecision
    from loopline.records.registry import ModelVersion

__all__ = ["approve", "get_decision", "list_decisions", "promote", "refuse", "roll_back"]


def promote(
    name: str,
    decision: Decision,
    *,
    stage: str = "Production",
    dry_run: bool = False,
    run_id: str = "",
) -> KeptDecision:
    """Keep a decision, and move the challenger into the stage if that was decided.

    Both happen, or neither. The version that was there goes to Archived, and the decision's
    sentence is the reason that the history keeps. When a person must say yes, the decision waits
    for ``approve``. When another version took the place since the two were compared, nothing moves
    and the decision is kept as overtaken: compare again.

    Args:
        name: Of the registered model.
        decision: From ``compare``.
        stage: Such as ``"Production"``.
        dry_run: Keep it, and move nothing.
        run_id: A run with more about the decision, such as plots.

    Returns:
        The decision as it is on record; true if the challenger took the place by it.

    Raises:
        NotFoundError: There is no such version.
        BackendUnavailableError: The store cannot be reached; nothing was moved, or it was and
            the answer was lost: sent again, the decision is found.
    """
    task = current_task.get()
    return get_recorder().call(
        RecordDecision(
            name=name,
            stage=stage,
            decision=decision,
            dry_run=dry_run,
            run_id=run_id,
            flow_run_id=task.flow_run_id if task else "",
            actor=actor(),
        )
    )


def approve(decision_id: str, reason: str) -> KeptDecision:
    """Say yes to a decision that waits for it: the version moves.

    Raises:
        ConflictError: The decision waits for nobody.
        ForbiddenError: Others must say it, by the policy.
    """
    return _answer(decision_id, reason, says_yes=True)


def refuse(decision_id: str, reason: str) -> KeptDecision:
    """Say no to a decision that waits for a yes: nothing moves."""
    return _answer(decision_id, reason, says_yes=False)


def _answer(decision_id: str, reason: str, *, says_yes: bool) -> KeptDecision:
    return get_recorder().call(
        AnswerDecision(decision_id=decision_id, approve=says_yes, reason=reason, actor=actor())
    )


def get_decision(decision_id: str) -> KeptDecision:
    """Get a decision on record."""
    return get_recorder().call(GetDecision(decision_id=decision_id))


def list_decisions(
    name: str = "", *, stage: str = "", status: str = "", limit: int = 100
) -> list[KeptDecision]:
    """List decisions, newest first.

    Args:
        name: Of the registered model; empty: of all.
        stage: Such as ``"Production"``; empty: any.
        status: ``"promoted"``, ``"kept"``, ``"waiting"``, ``"refused"``, ``"overtaken"``,
            ``"rolled back"`` or ``"dry run"``; empty: any.
        limit: At most so many.
    """
    return get_recorder().call(ListDecisions(name=name, stage=stage, status=status, limit=limit))


def roll_back(
    name: str,
    *,
    reason: str,
    stage: str = "Production",
    to: int | str | None = None,
    only_from: int | None = None,
) -> ModelVersion:
    """Give a stage back to the version that was its champion before, in one step.

    Args:
        name: Of the registered model.
        reason: Why, kept in the history.
        stage: Such as ``"Production"``.
        to: Which version; left out, the champion before the one that is there.
        only_from: The version that must be there until now; left out, whichever it is.

    Raises:
        ConflictError: There is none to go back to, or another one is there.
    """
    return get_recorder().call(
        RollBack(
            name=name,
            stage=stage,
            to=None if to is None else as_number(to),
            only_from=only_from,
            reason=reason,
            actor=actor(),
        )
    )
