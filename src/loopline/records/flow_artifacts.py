"""Artifacts of flow runs: what a task made to be shown to people, and the operation about them."""

from __future__ import annotations

from loopline.records.base import Record
from loopline.records.operation import Operation

__all__ = ["FlowArtifact", "ListFlowArtifacts"]


class FlowArtifact(Record, frozen=True, kw_only=True):
    """A link, a text or a table that a task of a flow run made.

    Attributes:
        kind: ``"link"``, ``"markdown"`` or ``"table"``.
        data: What it shows, as JSON text: of a link ``{"link": ...}``, of a text ``{"markdown":
            ...}``, of a table ``{"columns": [...], "rows": [[...]]}``.
        created_ms: Unix time in milliseconds.
    """

    artifact_id: str
    flow_run_id: str
    task_slug: str = ""
    map_index: int = -1
    kind: str
    data: str
    created_ms: int


class ListFlowArtifacts(Operation[list[FlowArtifact]], frozen=True, kw_only=True):
    """List the artifacts of a flow run, oldest first."""

    flow_run_id: str
