"""Why a model version is where it is, read from the history of its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.decisions import KeptDecision
    from loopline.records.registry import ModelVersion, VersionEvent

__all__ = ["decided_by", "decision_of", "version_before"]

MOVED = "stage"
#: What gates write at the beginning of their reasons.
BY_RULE = ("promoted v", "kept v")
BACK = "rolled back"


def decision_of(version: ModelVersion, events: Sequence[VersionEvent]) -> VersionEvent | None:
    """Find the move that put a version where it stands; None: nothing ever moved it.

    Args:
        version: The version.
        events: Of its model, in any order.
    """
    moves = [
        event
        for event in events
        if event.version == version.version and event.kind == MOVED and event.after == version.stage
    ]
    return max(moves, key=lambda event: event.at_ms, default=None)


def version_before(decision: VersionEvent | None, events: Sequence[VersionEvent]) -> int:
    """Find the version that a decision put out of its place; 0: the place was empty.

    The two moves are one transaction: they bear the same time.
    """
    if decision is None:
        return 0
    for event in events:
        gave_way = event.kind == MOVED and event.before == decision.after
        if gave_way and event.version != decision.version and event.at_ms == decision.at_ms:
            return event.version
    return 0


def decided_by(move: VersionEvent | None, weighed: KeptDecision | None = None) -> str:
    """Say who or what made a move.

    Args:
        move: The move; None: there was none.
        weighed: A decision on record about the version.
    """
    if move is None:
        return ""
    who = move.actor or "somebody"
    if move.reason.startswith(BACK):
        return f"{who}, who rolled it back"
    if weighed is None or not weighed.is_promoted or weighed.stage != move.after:
        return f"a gate, run by {who}" if move.reason.startswith(BY_RULE) else who
    policy = f" of policy {weighed.policy}" if weighed.policy else ""
    said = f"a gate{policy}, run by {weighed.actor or who}"
    if weighed.answered_by:
        said += f", approved by {weighed.answered_by}: {weighed.answer}"
    return said
