"""Promotion: a decision becomes a move in the registry, with its reason in the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.registry import transition_stage

if TYPE_CHECKING:
    from loopline.rules.gates import Decision

__all__ = ["promote"]


def promote(name: str, decision: Decision, *, stage: str = "Production") -> bool:
    """Move the challenger into the stage if that was decided; tell whether it was.

    The version that was there goes to Archived, and the decision's sentence is the reason that
    the history keeps.

    Args:
        name: Of the registered model.
        decision: From ``compare``.
        stage: Such as ``"Production"``.

    Raises:
        NotFoundError: There is no such version.
        ConflictError: Another version is in the stage by now than the one compared with.
        BackendUnavailableError: The store cannot be reached; nothing was moved, or it was and
            the answer was lost.
    """
    if decision.promote:
        transition_stage(
            name,
            decision.challenger,
            stage,
            only_after=decision.champion or 0,
            reason=decision.sentence,
        )
    return decision.promote
