"""The graph of what led to what: walked step by step, each kind of node in a few statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.lineage import Lineage, LineageEdge
from loopline.store.lineage_kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.records.lineage import LineageNode
    from loopline.store.database import Store
    from loopline.store.lineage_links import Link

__all__ = ["get_lineage", "parse_node"]

MOST_DEPTH = 20
MOST_NODES = 2_000
#: What to do when a thing is not there.
HINTS = {
    "data": "A run tells its data's digests: `loopline runs show RUN`; eight digits are enough.",
    "decision": "List them with `loopline decisions list`.",
    "feed": "List them with `loopline feeds list`.",
    "flow": "Its key is PROJECT/NAME; list them with `loopline flows list`.",
    "flow run": "List them with `loopline flow-runs list`.",
    "run": "List them with `loopline runs list`.",
    "stage": "Its key is MODEL/STAGE, where a version stands: `loopline models show MODEL`.",
    "version": "Its key is MODEL/NUMBER; list them with `loopline models show MODEL`.",
}
DIRECTIONS = {"up": ("up",), "down": ("down",), "both": ("up", "down")}


def get_lineage(_store: Store, connection: Connection, call: ops.GetLineage) -> Lineage:
    """Walk from a node up and down; what the caller may not view is neither shown nor crossed.

    Costs a few statements for each kind of node and step; an unbounded store is bounded by depth
    and by the number of nodes.
    """
    if not 0 <= call.depth <= MOST_DEPTH:
        msg = f"The depth must lie between 0 and {MOST_DEPTH}, not be {call.depth}."
        raise InvalidInputError(msg)
    if not 1 <= call.limit <= MOST_NODES:
        msg = f"The limit must lie between 1 and {MOST_NODES:,}, not be {call.limit}."
        raise InvalidInputError(msg)
    if call.direction not in DIRECTIONS:
        msg = f"A lineage goes {', '.join(DIRECTIONS)}, not {call.direction[:80]!r}."
        raise InvalidInputError(msg)
    kind, key = parse_node(call.node)
    root = KINDS[kind].find(connection, key)
    if root is None:
        msg = (
            f"There is no {kind} {key[:200]!r} here that you may view. "
            f"{HINTS.get(kind, 'Go there from something else: `loopline lineage models:/NAME/3`.')}"
        )
        raise NotFoundError(msg)
    walk = _Walk(connection, root, call.limit)
    for direction in DIRECTIONS[call.direction]:
        walk.go(direction, call.depth)
    return Lineage(root=root.node, nodes=list(walk.nodes.values()), edges=list(walk.edges.values()))


def parse_node(text: str) -> tuple[str, str]:
    """Part the name of a node into its kind and its key.

    Raises:
        InvalidInputError: There is no such kind, or no key.
    """
    name, _, key = text.partition(":")
    kind = name.replace("-", " ")
    if kind not in KINDS or not key:
        known = ", ".join(f"{each.replace(' ', '-')}:..." for each in sorted(KINDS))
        msg = f"{text[:200]!r} names no node. Use one of {known}."
        raise InvalidInputError(msg)
    return kind, key


class _Walk:
    """Nodes and edges found so far."""

    def __init__(self, connection: Connection, root: LineageNode, limit: int) -> None:
        self._connection = connection
        self._root = root
        self._limit = limit
        self.nodes = {root.node: root}
        self.edges: dict[tuple[str, str], LineageEdge] = {}

    def go(self, direction: str, depth: int) -> None:
        """Go one way from the root, breadth first."""
        seen = {self._root.node}
        level = [self._root]
        for distance in range(depth + 1):
            following: list[LineageNode] = []
            for link in self._links(level, direction):
                other = link.node
                known = other.node in self.nodes
                # One step further is looked at, only to tell that there is more.
                if distance == depth or (not known and len(self.nodes) >= self._limit):
                    if not known or self._edge(link, direction) not in self.edges:
                        self._mark(link.of, direction)
                    continue
                self.nodes.setdefault(other.node, other)
                source, target = self._edge(link, direction)
                self.edges.setdefault(
                    (source, target), LineageEdge(source=source, target=target, label=link.label)
                )
                if other.node not in seen:
                    seen.add(other.node)
                    following.append(other)
            level = following
            if not level:
                return

    def _links(self, level: list[LineageNode], direction: str) -> Iterator[Link]:
        by_kind: dict[str, list[str]] = {}
        for node in level:
            by_kind.setdefault(node.kind, []).append(node.key)
        most = self._limit + 1
        for kind, keys in by_kind.items():
            for step in getattr(KINDS[kind], direction):
                links = step(self._connection, keys, most)
                yield from links
                if len(links) >= most:  # Nobody knows of which of them there are more.
                    for key in keys:
                        self._mark(f"{kind.replace(' ', '-')}:{key}", direction)

    def _edge(self, link: Link, direction: str) -> tuple[str, str]:
        pair = (link.of, link.node.node)
        return pair if direction == "down" else (pair[1], pair[0])

    def _mark(self, node: str, direction: str) -> None:
        if direction == "up":
            self.nodes[node] = replace(self.nodes[node], has_more_up=True)
        else:
            self.nodes[node] = replace(self.nodes[node], has_more_down=True)
