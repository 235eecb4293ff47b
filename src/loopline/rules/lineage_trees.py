"""Drawing a part of the graph as trees in text: what led to a node, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.records.lineage import Lineage, LineageEdge, LineageNode

__all__ = ["node_words", "tree_lines"]

BRANCH, LAST, PIPE, BLANK = "├─ ", "└─ ", "│  ", "   "
MORE = "… more: raise --depth or --limit"


def tree_lines(lineage: Lineage, direction: str) -> list[str]:
    """Draw what leads to the root (``"up"``) or comes of it (``"down"``), a line a node.

    A node that is reached on several ways is drawn whole once, and named on the others. The root
    itself is not drawn. Empty when there is nothing that way.
    """
    nodes = {node.node: node for node in lineage.nodes}
    links: dict[str, list[tuple[LineageEdge, str]]] = {}
    for edge in lineage.edges:
        here, there = edge.source, edge.target
        if direction == "up":
            here, there = there, here
        links.setdefault(here, []).append((edge, there))
    lines: list[str] = []
    drawn = {lineage.root}

    def draw(node: str, indent: str) -> None:
        following = links.get(node, [])
        has_more = _has_more(nodes[node], direction)
        for index, (edge, other) in enumerate(following):
            is_last = index == len(following) - 1 and not has_more
            words = node_words(nodes[other], edge.label)
            is_new = other not in drawn
            drawn.add(other)
            again = "" if is_new or not links.get(other) else " (see above)"
            lines.append(f"{indent}{LAST if is_last else BRANCH}{words}{again}")
            if is_new:
                draw(other, indent + (BLANK if is_last else PIPE))
        if has_more:
            lines.append(f"{indent}{LAST}{MORE}")

    draw(lineage.root, "")
    return lines


def node_words(node: LineageNode, label: str = "") -> str:
    """Name a node: its kind, what people call it, its id where that is short, how it stands."""
    words = f"{node.kind} {node.title}"
    if node.kind in {"run", "flow run", "data"} and node.key[:8] not in node.title:
        words += f" [{node.key[:12]}]"
    told = ", ".join(part for part in (node.state, label) if part)
    return f"{words} ({told})" if told else words


def _has_more(node: LineageNode, direction: str) -> bool:
    return node.has_more_up if direction == "up" else node.has_more_down
