"""Records of reasons: why a model version is where it is."""

from __future__ import annotations

from loopline.records.base import Record
from loopline.records.decisions import KeptDecision
from loopline.records.lineage import LineageNode
from loopline.records.predictions import Predictions
from loopline.records.registry import ModelVersion, VersionEvent
from loopline.records.tracking import Run, RunInput

__all__ = ["Reasons"]


class Reasons(Record, frozen=True, kw_only=True):
    """Why a version is where it is; what the caller may not view is left out.

    Attributes:
        version: The version.
        decision: The move that put it into the stage where it stands; None: nothing moved it.
        weighed: The newest decision on record about whether it takes a place; None: none.
        decided_by: Who or what made that move, in words.
        before: Version that stood there until then; 0: none.
        history: All moves of this version, newest first.
        run: The run that made it; None: not said, gone, or not to be viewed.
        inputs: The data that run read.
        compared: Runs that scored it when it was decided, newest first.
        compared_on: The data that those runs read.
        made_by: The schedule, flow run and task run that the run was started in.
        consequences: What came of it: stages, deployments, decisions.
        predictions: What it predicted while it was served with ``--record``, by serving process,
            the newest first; at most 100.
    """

    version: ModelVersion
    decision: VersionEvent | None = None
    weighed: KeptDecision | None = None
    decided_by: str = ""
    before: int = 0
    history: list[VersionEvent] = []
    run: Run | None = None
    inputs: list[RunInput] = []
    compared: list[Run] = []
    compared_on: list[RunInput] = []
    made_by: list[LineageNode] = []
    consequences: list[LineageNode] = []
    predictions: list[Predictions] = []
