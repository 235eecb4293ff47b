"""Drawing a part of the graph as trees in text: what led to a node, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from loopline.records.lineage import Lineage, LineageEdge, LineageNode

__all__ = ["Branch", "branch_of", "node_words", "tree_lines"]

BRANCH, LAST, PIPE, BLANK = "├─ ", "└─ ", "│  ", "   "
MORE = "… more: raise --depth or --limit"


class Branch(NamedTuple):
    """A node with what follows it on one way.

    Attributes:
        label: How it is connected with the one before it; empty at the root.
        following: What comes next.
        has_more: Whether more follows than is told.
        is_again: What follows it is drawn where it was met before.
    """

    node: LineageNode
    label: str = ""
    following: tuple[Branch, ...] = ()
    has_more: bool = False
    is_again: bool = False


def branch_of(lineage: Lineage, direction: str) -> Branch:
    """Make a tree of what leads to the root (``"up"``) or comes of it (``"down"``).

    What follows a node that is reached on several ways is told once.
    """
    nodes = {node.node: node for node in lineage.nodes}
    links: dict[str, list[tuple[LineageEdge, str]]] = {}
    for edge in lineage.edges:
        here, there = edge.source, edge.target
        if direction == "up":
            here, there = there, here
        links.setdefault(here, []).append((edge, there))
    drawn: set[str] = set()

    def grow(name: str, label: str) -> Branch:
        node = nodes[name]
        if name in drawn:
            return Branch(node, label, is_again=name in links)
        drawn.add(name)
        following = tuple(grow(other, edge.label) for edge, other in links.get(name, ()))
        return Branch(node, label, following, _has_more(node, direction))

    return grow(lineage.root, "")


def tree_lines(lineage: Lineage, direction: str) -> list[str]:
    """Draw such a tree, a line a node.

    A node that is reached on several ways is drawn whole once, and named on the others. The root
    itself is not drawn. Empty when there is nothing that way.
    """
    lines: list[str] = []

    def draw(branch: Branch, indent: str) -> None:
        for index, one in enumerate(branch.following):
            is_last = index == len(branch.following) - 1 and not branch.has_more
            again = " (see above)" if one.is_again else ""
            mark = LAST if is_last else BRANCH
            lines.append(f"{indent}{mark}{node_words(one.node, one.label)}{again}")
            draw(one, indent + (BLANK if is_last else PIPE))
        if branch.has_more:
            lines.append(f"{indent}{LAST}{MORE}")

    draw(branch_of(lineage, direction), "")
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
