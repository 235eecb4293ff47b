"""Artifacts on the page of a flow run: what its tasks made to be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from loopline.rules.words import task_words
from loopline.server.pages import parts
from loopline.server.pages.html import Child, Markup, join, tag
from loopline.server.pages.parts import Column

if TYPE_CHECKING:
    from loopline.records.flow_artifacts import FlowArtifact

__all__ = ["flow_artifacts"]

MOST_ROWS = 100


def flow_artifacts(artifacts: list[FlowArtifact]) -> Markup | None:
    """Show artifacts one below the other; None when there are none.

    Markdown is shown as it was written: what a task wrote must not become markup of this page.
    """
    if not artifacts:
        return None
    blocks = [
        tag(
            "div", tag("p", tag("code", task_words(each.task_slug, each.map_index))), _content(each)
        )
        for each in artifacts
    ]
    return parts.section("Artifacts", *blocks, count=len(artifacts))


def _content(artifact: FlowArtifact) -> Child:
    try:
        data = msgspec.json.decode(artifact.data)
        if artifact.kind == "link":
            return _link(str(data["link"]))
        if artifact.kind == "table":
            return _table(data["columns"], data["rows"])
        return tag("pre", str(data["markdown"]))
    except (msgspec.DecodeError, LookupError, TypeError):
        return tag("pre", artifact.data)  # Not as our own functions write it.


def _link(address: str) -> Child:
    if not address.startswith(("https://", "http://")):
        return tag("code", address)  # Such as a bucket's; a script's is none that one may click.
    return tag("a", address, href=address, rel="noopener noreferrer nofollow")


def _table(columns: list[Any], rows: list[list[Any]]) -> Child:
    shown = parts.table(
        [Column(str(name)) for name in columns],
        [["" if cell is None else str(cell) for cell in row] for row in rows[:MOST_ROWS]],
        label="Table",
    )
    return join(shown, parts.more(len(rows), MOST_ROWS, "rows"))
