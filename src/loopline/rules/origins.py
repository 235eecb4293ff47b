"""Who or what started a flow run, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.records.flows import Origin

if TYPE_CHECKING:
    from loopline.records.flows import FlowRun

__all__ = ["started_by_words"]

#: Letters of an id that people are shown.
SHOWN = 8


def started_by_words(run: FlowRun) -> str:
    """Say it: "vera", "its schedule", "automation 'tell'", "event version/taxifare/3", "hand"."""
    match run.origin:
        case Origin.SCHEDULE:
            return "its schedule"
        case Origin.AUTOMATION:
            return f"automation {run.started_by!r}"
        case Origin.EVENT:
            return f"event {run.started_by}"
        case Origin.FLOW_RUN:
            return f"flow run {run.started_by[:SHOWN]}"
        case Origin.PERSON:
            return run.started_by or "hand"
