"""Artifacts of flow runs in a few words, for lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from loopline.records.flow_artifacts import FlowArtifact

__all__ = ["artifact_words"]

_LONGEST = 80


def artifact_words(artifact: FlowArtifact) -> str:
    """Tell in one line what it shows."""
    try:
        data = msgspec.json.decode(artifact.data)
        match artifact.kind:
            case "table":
                return f"{len(data['rows'])} rows of {', '.join(data['columns'])}"[:_LONGEST]
            case "link":
                return str(data["link"])
            case _:
                lines = str(data["markdown"]).strip().splitlines()
                return lines[0][:_LONGEST] if lines else ""
    except (msgspec.DecodeError, LookupError, TypeError):
        return artifact.data[:_LONGEST]
