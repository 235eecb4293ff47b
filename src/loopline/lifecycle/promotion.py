"""Promotion: a decision becomes a move in the registry, with its reason in the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.errors import ConflictError
from loopline.lifecycle.scoring import in_stage
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
        found = in_stage(name, stage)
        champion = found.version if found else None
        if champion == decision.challenger:
            return True  # Moved already: a task that is run again must not fail for that.
        if champion != decision.champion:
            msg = (
                f"The decision was made against version {decision.champion}, but by now version "
                f"{champion} is in {stage}. Compare again."
            )
            raise ConflictError(msg)
        transition_stage(name, decision.challenger, stage, reason=decision.sentence)
    return decision.promote
