"""Metric blocks keep every point, in one order, and their summaries agree with the points."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.errors import IntegrityError
from loopline.rules.blocks import (
    COMPRESS_FROM,
    Points,
    merge,
    merge_summaries,
    pack,
    reduce_points,
    summarise,
    unpack,
)

whole = st.integers(min_value=-(2**63), max_value=2**63 - 1)
rows = st.lists(st.tuples(whole, whole, st.floats()), max_size=40)


def same(left: Points, right: Points) -> bool:
    """Compare to the bit, as NaN is not equal to itself."""
    return (
        left.steps == right.steps
        and left.timestamps_ms == right.timestamps_ms
        and left.values.tobytes() == right.values.tobytes()
    )


@given(rows=rows, repeat=st.sampled_from([1, COMPRESS_FROM]))
def test_a_block_gives_back_what_was_packed(
    rows: list[tuple[int, int, float]], repeat: int
) -> None:
    points = Points.from_rows(rows * repeat)
    assert same(unpack(pack(points)), points)


@given(rows=rows)
def test_merging_is_a_set_in_one_order_however_it_is_cut(
    rows: list[tuple[int, int, float]],
) -> None:
    whole_set = merge([Points.from_rows(rows)])
    halves = [Points.from_rows(rows[::2]), Points.from_rows(rows[1::2]), Points.from_rows(rows)]
    assert same(merge(halves), whole_set)


@given(rows=st.lists(st.tuples(whole, whole, st.floats(width=32)), min_size=2, max_size=40))
def test_the_summary_of_two_disjoint_parts_is_the_summary_of_the_whole(
    rows: list[tuple[int, int, float]],
) -> None:
    points = merge([Points.from_rows(rows)])
    if len(points) < 2:
        return
    cut = len(points) // 2
    parts = [Points.from_rows(points.rows()[:cut]), Points.from_rows(points.rows()[cut:])]
    joined = merge_summaries(*(summarise(part) for part in parts))
    expected = summarise(points)
    for one, other in zip(joined, expected, strict=True):
        if one is None or other is None:
            assert one is other
        else:
            assert one == pytest.approx(other, nan_ok=True)


def test_the_latest_value_is_the_greatest_step_then_timestamp_then_value() -> None:
    points = Points.from_rows([(2, 5, 1.0), (2, 5, math.nan), (2, 4, 9.0), (1, 9, 8.0)])
    assert summarise(points).value == 1.0


def test_nan_counts_as_a_point_and_not_in_the_mean() -> None:
    summary = summarise(Points.from_rows([(0, 0, math.nan), (1, 1, 4.0), (2, 2, 6.0)]))
    assert (summary.points, summary.finite, summary.sum) == (3, 2, 10.0)
    assert (summary.min, summary.max) == (4.0, 6.0)


@given(values=st.lists(st.floats(), min_size=1, max_size=500), most=st.integers(2, 60))
def test_a_thinned_history_keeps_the_ends_and_the_extremes(values: list[float], most: int) -> None:
    points = Points.from_rows([(step, step, value) for step, value in enumerate(values)])
    shown = reduce_points(points, most)
    assert len(shown) <= max(most, len(points) if len(points) <= most else most + 2)
    assert shown.steps[0] == 0
    assert shown.steps[-1] == len(values) - 1
    numbers = [value for value in values if not math.isnan(value)]
    if numbers:
        kept = [value for value in shown.values if not math.isnan(value)]
        assert (min(kept), max(kept)) == (min(numbers), max(numbers))


def test_bytes_that_are_no_block_are_refused() -> None:
    with pytest.raises(IntegrityError, match="metric block"):
        unpack(b"\x01\x00\x05\x00\x00\x00short")
    with pytest.raises(IntegrityError, match="metric block"):
        unpack(b"\x01")
