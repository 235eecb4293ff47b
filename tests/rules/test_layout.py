"""Layered layout: what every picture of a graph must keep."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.rules.layout import lay_out

BOX = (100.0, 40.0)

graphs = st.integers(1, 25).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.lists(
            st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(
                lambda pair: pair[0] < pair[1]
            ),
            max_size=50,
        )
        if size > 1
        else st.just([]),
    )
)


def named(graph: tuple[int, list[tuple[int, int]]]) -> tuple[list[str], list[tuple[str, str]]]:
    size, pairs = graph
    return [f"t{i}" for i in range(size)], [(f"t{a}", f"t{b}") for a, b in pairs]


@given(graph=graphs)
def test_every_edge_leads_downwards(graph: tuple[int, list[tuple[int, int]]]) -> None:
    keys, edges = named(graph)
    layout = lay_out(dict.fromkeys(keys, BOX), edges)
    for upper, lower in edges:
        assert layout.nodes[upper].y < layout.nodes[lower].y


@given(graph=graphs)
def test_no_two_boxes_overlap_and_all_are_inside(
    graph: tuple[int, list[tuple[int, int]]],
) -> None:
    keys, edges = named(graph)
    layout = lay_out(dict.fromkeys(keys, BOX), edges)
    for one, other in combinations(layout.nodes.values(), 2):
        assert abs(one.x - other.x) >= BOX[0] - 1e-6 or abs(one.y - other.y) >= BOX[1]
    for place in layout.nodes.values():
        assert BOX[0] / 2 - 1e-6 <= place.x <= layout.width - BOX[0] / 2 + 1e-6
        assert BOX[1] / 2 <= place.y <= layout.height - BOX[1] / 2


@given(graph=graphs)
def test_a_line_goes_from_box_to_box_and_through_none(
    graph: tuple[int, list[tuple[int, int]]],
) -> None:
    keys, edges = named(graph)
    layout = lay_out(dict.fromkeys(keys, BOX), edges)
    assert set(layout.routes) == set(edges)
    for (upper, lower), route in layout.routes.items():
        assert route[0].x == layout.nodes[upper].x
        assert route[-1].x == layout.nodes[lower].x
        assert [point.y for point in route] == sorted(point.y for point in route)
        for key, place in layout.nodes.items():
            for point in route:
                inside_x = abs(point.x - place.x) < BOX[0] / 2 - 1e-6
                inside_y = abs(point.y - place.y) <= BOX[1] / 2
                assert key in {upper, lower} or not (inside_x and inside_y)


def test_a_chain_is_a_straight_line() -> None:
    layout = lay_out(dict.fromkeys("abcd", BOX), [("a", "b"), ("b", "c"), ("c", "d")])
    assert len({round(place.x) for place in layout.nodes.values()}) == 1


def test_two_crossed_pairs_are_uncrossed() -> None:
    edges = [("left", "below right"), ("right", "below left")]
    keys = ["left", "right", "below left", "below right"]
    nodes = lay_out(dict.fromkeys(keys, BOX), edges).nodes
    assert (nodes["left"].x < nodes["right"].x) == (nodes["below right"].x < nodes["below left"].x)


def test_a_parameter_stands_right_above_its_first_use() -> None:
    edges = [("prepare", "train"), ("train", "notify"), ("address", "notify")]
    keys = ["prepare", "address", "train", "notify"]
    nodes = lay_out(dict.fromkeys(keys, BOX), edges).nodes
    assert nodes["address"].y == nodes["train"].y


def test_a_wide_fan_is_folded_into_rows() -> None:
    months = [f"month-{number}" for number in range(60)]
    layout = lay_out(
        dict.fromkeys(["list", *months], BOX), [("list", month) for month in months], widest=10
    )
    rows = {layout.nodes[month].y for month in months}
    assert len(rows) == 6


def test_a_cycle_has_no_layout() -> None:
    with pytest.raises(ValueError, match="cycle"):
        lay_out(dict.fromkeys("ab", BOX), [("a", "b"), ("b", "a")])


def test_an_empty_graph_has_an_empty_layout() -> None:
    assert lay_out({}, []).width == 0
