"""Layout of directed graphs in layers, from top to bottom.

In five steps, after Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical
System Structures", IEEE Trans. SMC 11(2), 1981: layers by longest path, no layer wider than looks
well; *bends*, where an edge passes through a layer that it does not end in; an order in each
layer with few crossings, by sweeps of barycentres; positions, each layer at its least squared
distance from its neighbours; routes through the bends.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter, defaultdict
from itertools import pairwise
from math import ceil, sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Layout", "Point", "lay_out"]

#: How hard an edge pulls its ends together: between two bends most, so that long edges are
#: straight (the weights of Gansner et al., "A Technique for Drawing Directed Graphs", 1993).
_PULL = (1.0, 2.0, 8.0)
_SWEEPS = 8


class Point(NamedTuple):
    """A place, in pixels from the top left corner."""

    x: float
    y: float


class Layout(NamedTuple):
    """Where everything is.

    Attributes:
        nodes: Centre of each node.
        routes: Points of each edge, from the lower side of one node to the upper side of the
            other; between them, two for each bend: where the edge enters and leaves the layer.
    """

    width: float
    height: float
    nodes: dict[str, Point]
    routes: dict[tuple[str, str], list[Point]]


class _Vertex:
    """A node, or a bend of the edges that leave one node."""

    __slots__ = ("above", "below", "height", "is_bend", "key", "layer", "place", "width", "x")

    def __init__(self, key: str, width: float, height: float, *, is_bend: bool = False) -> None:
        self.key = key
        self.width = width
        self.height = height
        self.is_bend = is_bend
        self.layer = 0
        self.place = 0
        self.x = 0.0
        self.above: list[_Vertex] = []
        self.below: list[_Vertex] = []


def lay_out(
    sizes: Mapping[str, tuple[float, float]],
    edges: Iterable[tuple[str, str]],
    *,
    gap_x: float = 28.0,
    gap_y: float = 52.0,
    widest: int | None = None,
) -> Layout:
    """Place the nodes of an acyclic graph.

    Args:
        sizes: Width and height of each node.
        edges: Pairs of nodes, from upper to lower.
        gap_x: Least distance of two nodes in a layer.
        gap_y: Distance of two layers.
        widest: Most nodes in a layer; by default what makes the picture about as wide as high.

    Raises:
        ValueError: The graph has a cycle.

    Cost: About n log n for n nodes and bends.
    """
    pairs = list(dict.fromkeys(edges))
    if not sizes:
        return Layout(0.0, 0.0, {}, {})
    layers_of = _assign_layers(sizes, pairs, widest or max(8, ceil(1.2 * sqrt(len(sizes)))))
    layers, bends = _build(sizes, pairs, layers_of)
    _order(layers)
    _position(layers, gap_x)
    return _routes(layers, pairs, bends, gap_y)


# --- layers ------------------------------------------------------------------------------------


def _assign_layers(
    sizes: Mapping[str, tuple[float, float]], pairs: Sequence[tuple[str, str]], widest: int
) -> dict[str, int]:
    below: dict[str, list[str]] = defaultdict(list)
    waiting = dict.fromkeys(sizes, 0)
    for upper, lower in pairs:
        below[upper].append(lower)
        waiting[lower] += 1
    has_above = {lower for _, lower in pairs}
    lowest = dict.fromkeys(sizes, 0)
    filled: dict[int, int] = defaultdict(int)
    queue = [key for key, number in waiting.items() if number == 0]
    layer_of: dict[str, int] = {}
    for key in queue:  # Grows while it is read.
        layer = lowest[key]
        while filled[layer] >= widest:
            layer += 1
        filled[layer] += 1
        layer_of[key] = layer
        for each in below[key]:
            lowest[each] = max(lowest[each], layer + 1)
            waiting[each] -= 1
            if waiting[each] == 0:
                queue.append(each)
    if len(layer_of) < len(sizes):
        msg = "The graph has a cycle, so it has no layers. Check it with Flow.validate()."
        raise ValueError(msg)
    for key in reversed(queue):
        # What nothing comes before, such as a parameter, stands right above its first use.
        if key not in has_above and below[key]:
            wanted = min(layer_of[each] for each in below[key]) - 1
            while wanted > layer_of[key] and filled[wanted] >= widest:
                wanted -= 1
            filled[layer_of[key]] -= 1
            filled[wanted] += 1
            layer_of[key] = wanted
    used = {layer: number for number, layer in enumerate(sorted(set(layer_of.values())))}
    return {key: used[layer] for key, layer in layer_of.items()}


def _build(
    sizes: Mapping[str, tuple[float, float]],
    pairs: Sequence[tuple[str, str]],
    layer_of: Mapping[str, int],
) -> tuple[list[list[_Vertex]], dict[tuple[str, str], list[_Vertex]]]:
    """Make the layers, and for each edge the bends it passes.

    Long edges that leave one node share their bends, or those that enter one node do, whichever
    are more: many lines become one that branches.
    """
    vertices = {key: _Vertex(key, *size) for key, size in sizes.items()}
    for key, vertex in vertices.items():
        vertex.layer = layer_of[key]
    long = [pair for pair in pairs if layer_of[pair[1]] - layer_of[pair[0]] > 1]
    leaving = Counter(upper for upper, _ in long)
    entering = Counter(lower for _, lower in long)
    shared: dict[tuple[str, bool, int], _Vertex] = {}
    passed: dict[tuple[str, str], list[_Vertex]] = {}
    joined: dict[tuple[_Vertex, _Vertex], None] = {}
    for upper, lower in pairs:
        is_fan = leaving[upper] >= entering[lower]
        owner = upper if is_fan else lower
        bends = []
        for layer in range(layer_of[upper] + 1, layer_of[lower]):
            bend = shared.setdefault((owner, is_fan, layer), _Vertex("", 0.0, 0.0, is_bend=True))
            bend.layer = layer
            bends.append(bend)
        passed[upper, lower] = bends
        path = [vertices[upper], *bends, vertices[lower]]
        joined.update(dict.fromkeys(pairwise(path)))
    for one, other in joined:
        one.below.append(other)
        other.above.append(one)
    layers: list[list[_Vertex]] = [[] for _ in range(max(layer_of.values()) + 1)]
    for vertex in vertices.values():
        layers[vertex.layer].append(vertex)
    for bend in shared.values():
        # In the middle, unless crossings say otherwise: there a line that branches is short.
        beside = layers[bend.layer]
        beside.insert(len(beside) // 2, bend)
    return layers, passed


# --- order -------------------------------------------------------------------------------------


def _order(layers: list[list[_Vertex]]) -> None:
    """Sort each layer by where its neighbours are, down and up; keep the best order seen."""
    _number(layers)
    best = [list(layer) for layer in layers]
    least = _crossings(layers)
    for sweep in range(_SWEEPS):
        if least == 0:
            break
        downward = sweep % 2 == 0
        for layer in layers if downward else reversed(layers):
            layer.sort(key=lambda vertex: _barycentre(vertex, downward=downward))
            for place, vertex in enumerate(layer):
                vertex.place = place
        found = _crossings(layers)
        if found < least:
            least, best = found, [list(layer) for layer in layers]
    for layer, kept in zip(layers, best, strict=True):
        layer[:] = kept
    _number(layers)


def _number(layers: list[list[_Vertex]]) -> None:
    for layer in layers:
        for place, vertex in enumerate(layer):
            vertex.place = place


def _barycentre(vertex: _Vertex, *, downward: bool) -> float:
    near = vertex.above if downward else vertex.below
    return sum(each.place for each in near) / len(near) if near else vertex.place


def _crossings(layers: list[list[_Vertex]]) -> int:
    """Count crossings: edges that start further left and end further right of another."""
    crossings = 0
    for layer in layers:
        ends: list[int] = []
        for vertex in layer:
            own = sorted(each.place for each in vertex.below)
            crossings += sum(len(ends) - bisect_right(ends, place) for place in own)
            for place in own:
                insort(ends, place)
    return crossings


# --- positions ---------------------------------------------------------------------------------


def _position(layers: list[list[_Vertex]], gap_x: float) -> None:
    _number(layers)
    for layer in layers:
        x = 0.0
        for vertex in layer:
            vertex.x = x + vertex.width / 2
            x += vertex.width + gap_x
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _settle(layer, gap_x, downward=sweep % 2 == 0, upward=sweep % 2 == 1)
    for layer in layers:
        _settle(layer, gap_x, downward=True, upward=True)
    left = min(vertex.x - vertex.width / 2 for layer in layers for vertex in layer)
    for layer in layers:
        for vertex in layer:
            vertex.x -= left


def _settle(layer: list[_Vertex], gap_x: float, *, downward: bool, upward: bool) -> None:
    """Move a layer to the least sum of weighted squared distances from its neighbours.

    With the distances that must be kept subtracted, positions may only grow from left to right:
    isotonic regression, solved exactly by pooling adjacent violators.
    """
    pools: list[tuple[float, float, int]] = []  # Mean, weight, number of vertices.
    offsets: list[float] = []
    for place, vertex in enumerate(layer):
        before = layer[place - 1] if place else None
        offset = 0.0
        if before is not None:
            # Bends may be nearer to each other: lines need less room than boxes.
            gap = gap_x * (0.35 if before.is_bend and vertex.is_bend else 1.0)
            offset = offsets[-1] + (before.width + vertex.width) / 2 + gap
        offsets.append(offset)
        wanted, weight = _wish(vertex, downward=downward, upward=upward)
        mean, size = wanted - offset, 1
        while pools and pools[-1][0] >= mean:
            other, other_weight, other_size = pools.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight += other_weight
            size += other_size
        pools.append((mean, weight, size))
    place = 0
    for mean, _, size in pools:
        for vertex in layer[place : place + size]:
            vertex.x = mean + offsets[vertex.place]
        place += size


def _wish(vertex: _Vertex, *, downward: bool, upward: bool) -> tuple[float, float]:
    """Tell where a vertex wants to be, and how much."""
    near = (vertex.above if downward else []) + (vertex.below if upward else [])
    if not near:
        return vertex.x, 0.1
    pulls = [_PULL[vertex.is_bend + each.is_bend] for each in near]
    weight = sum(pulls)
    x = sum(pull * each.x for pull, each in zip(pulls, near, strict=True)) / weight
    return x, weight


# --- routes ------------------------------------------------------------------------------------


def _routes(
    layers: list[list[_Vertex]],
    pairs: Sequence[tuple[str, str]],
    bends: Mapping[tuple[str, str], list[_Vertex]],
    gap_y: float,
) -> Layout:
    tops: list[float] = []
    bottoms: list[float] = []
    y = 0.0
    for layer in layers:
        tops.append(y)
        y += max(vertex.height for vertex in layer)
        bottoms.append(y)
        y += gap_y
    placed = {vertex.key: vertex for layer in layers for vertex in layer if not vertex.is_bend}
    nodes = {
        key: Point(vertex.x, (tops[vertex.layer] + bottoms[vertex.layer]) / 2)
        for key, vertex in placed.items()
    }
    routes: dict[tuple[str, str], list[Point]] = {}
    for upper, lower in pairs:
        start, end = placed[upper], placed[lower]
        points = [Point(start.x, nodes[upper].y + start.height / 2)]
        if nodes[upper].y + start.height / 2 < bottoms[start.layer]:
            points.append(Point(start.x, bottoms[start.layer]))
        for bend in bends[upper, lower]:
            points += [Point(bend.x, tops[bend.layer]), Point(bend.x, bottoms[bend.layer])]
        if nodes[lower].y - end.height / 2 > tops[end.layer]:
            points.append(Point(end.x, tops[end.layer]))
        points.append(Point(end.x, nodes[lower].y - end.height / 2))
        routes[upper, lower] = points
    width = max(vertex.x + vertex.width / 2 for layer in layers for vertex in layer)
    return Layout(width, bottoms[-1], nodes, routes)
