"""Regions of rows against a model that can only be right: sets of (number, place)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.errors import InvalidInputError
from loopline.records.registry import VersionEvent
from loopline.rules.watermarks import (
    Box,
    Region,
    intersect,
    is_training,
    parse_source,
    production_lineage,
    region_words,
    source_text,
    subtract,
    unite,
)

#: Rows that there can be: numbers 0 to 7, and places 0 to 5 or none.
ROWS = [(number, place) for number in range(8) for place in (None, 0, 1, 2, 3, 4, 5)]
bounds = st.none() | st.integers(0, 5)
boxes = st.builds(
    lambda first, stop, since, until: Box(first=first, stop=stop, since=since, until=until),
    st.integers(0, 8), st.integers(0, 8), bounds, bounds,
)  # fmt: skip
regions = st.lists(boxes, max_size=5)


def holds(box: Box, number: int, place: int | None) -> bool:
    if not box.first <= number < box.stop:
        return False
    if place is None:
        return box.since is None
    return (box.since is None or place >= box.since) and (box.until is None or place < box.until)  # type: ignore[operator]


def rows_of(region: Region | list[Box]) -> set[tuple[int, int | None]]:
    return {row for row in ROWS if any(holds(box, *row) for box in region if not box.is_empty)}


def is_disjoint(region: Region) -> bool:
    return all(sum(holds(box, *row) for box in region) <= 1 for row in ROWS)


@given(some=regions, others=regions)
def test_regions_are_the_sets_of_their_rows(some: list[Box], others: list[Box]) -> None:
    whole, other = unite([some]), unite([others])
    assert rows_of(whole) == rows_of(some)
    assert rows_of(unite([whole, other])) == rows_of(some) | rows_of(others)
    assert rows_of(subtract(whole, others)) == rows_of(some) - rows_of(others)
    assert rows_of(intersect(whole, other)) == rows_of(some) & rows_of(others)
    for region in (whole, unite([whole, other]), subtract(whole, others), intersect(whole, other)):
        assert is_disjoint(region)
        assert not any(box.is_empty for box in region)


@given(some=regions)
def test_the_source_of_a_data_version_says_its_rows(some: list[Box]) -> None:
    region = unite([some])
    assert parse_source(source_text("green#taxi", region)) == ("green#taxi", region)
    assert (region_words(region) == "no rows") == (not region)


def test_rows_that_arrived_one_after_another_are_one_box() -> None:
    months = [[Box(first=10 * month, stop=10 * month + 10)] for month in (2, 0, 1)]
    assert unite(months) == (Box(first=0, stop=30),)
    assert unite([[Box(first=0, stop=9, until="b")], [Box(first=0, stop=9, since="b")]]) == (
        Box(first=0, stop=9),
    )
    left = subtract([Box(first=0, stop=30)], [Box(first=10, stop=20, since="a", until="c")])
    assert len(left) == 4


def test_what_is_no_source_of_a_feed_is_none() -> None:
    for text in ("", "duckdb:///taxi: SELECT 1", "feed:taxi", "feed:taxi#[[1]]", "feed:taxi#x"):
        assert parse_source(text) is None


def test_text_and_numbers_are_not_compared() -> None:
    with pytest.raises(InvalidInputError, match="same order"):
        subtract([Box(first=0, stop=9, since=1)], [Box(first=0, stop=9, since="2022")])


def moved(*steps: tuple[int, str]) -> list[VersionEvent]:
    return [
        VersionEvent(name="taxifare", version=version, at_ms=at, kind="stage", after=stage)
        for at, (version, stage) in enumerate(steps)
    ]


def test_the_lineage_of_production_is_what_came_before_it() -> None:
    events = moved((1, "Production"), (2, "Staging"), (2, "Production"), (1, "Archived"))
    assert production_lineage(events, 2) == [1, 2]
    back = [*events, *moved((3, "Production"), (2, "Production"), (3, "Archived"))]
    assert production_lineage(back, 2) == [1, 2], "version 3 taught version 2 nothing"
    assert production_lineage([*back, *moved((3, "Production"))], 3) == [1, 2, 3]
    assert production_lineage([], 7) == [7]
    gone = VersionEvent(name="taxifare", version=0, at_ms=9, kind="deleted")
    anew = [*back, gone, *moved((2, "Production"))]
    assert production_lineage(anew, 2) == [2], "another model had the numbers before"


def test_who_says_nothing_is_taken_to_train() -> None:
    assert [is_training(each) for each in ("training", "Train", "", "evaluation", "snapshot")] == [
        True, True, True, False, False,
    ]  # fmt: skip
