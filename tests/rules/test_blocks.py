"""Metric blocks keep every point, in one order, and their summaries agree with the points."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loopline.errors import IntegrityError
from loopline.rules import points as points_module
from loopline.rules.blocks import pack, pack_point, reduce_points, unpack, unpack_point
from loopline.rules.points import (
    Points,
    are_apart,
    merge,
    merge_summaries,
    order_of,
    summarise,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

whole = st.integers(min_value=-(2**63), max_value=2**63 - 1)
#: Mostly what training loops log: steps in a row, times close together, values of 32 bits.
usual = st.tuples(
    st.integers(0, 50), st.integers(1_672_531_200_000, 1_672_531_200_300), st.floats(width=32)
)
rows = st.lists(st.one_of(usual, st.tuples(whole, whole, st.floats())), max_size=40)


@pytest.fixture(scope="module", params=["plain Python", "NumPy"], autouse=True)
def _way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run everything both ways: they must agree to the bit."""
    before = points_module.NUMPY_FROM
    points_module.NUMPY_FROM = 10**9 if request.param == "plain Python" else 0
    yield
    points_module.NUMPY_FROM = before


def same(left: Points, right: Points) -> bool:
    """Compare to the bit, as NaN is not equal to itself."""
    return left.to_columns() == right.to_columns()


def one(step: int, timestamp_ms: int, value: float) -> Points:
    return Points.from_rows([(step, timestamp_ms, value)])


@given(rows=rows)
@example(rows=[])
@example(rows=[(step, 7 * step, step / 3) for step in range(2000)])
@example(rows=[(step, step, 4.0) for step in range(2000)])
@example(rows=[(-(2**63), 0, -0.0), (2**63 - 1, 1, 1e300), (0, 2, math.inf)])
@example(rows=[(2**62 * (step % 3 - 1), step * 70_000, 0.1) for step in range(9)])
def test_a_block_gives_back_what_was_packed(rows: list[tuple[int, int, float]]) -> None:
    points = Points.from_rows(rows)
    assert same(unpack(pack(points)), points)


@given(first=whole, stride=whole, count=st.integers(3, 20))
def test_an_arithmetic_progression_is_exact_also_where_it_wraps(
    first: int, stride: int, count: int
) -> None:
    steps = [(first + stride * index + 2**63) % 2**64 - 2**63 for index in range(count)]
    points = Points(array("q", steps), array("q", steps), array("d", [0.5] * count))
    assert same(unpack(pack(points)), points)


def test_a_usual_history_takes_a_fraction_of_its_raw_size() -> None:
    single = array("f", [4 + 1 / (step + 1) for step in range(10_000)])
    points = Points(
        array("q", range(10_000)),
        array("q", [1_672_531_200_000 + step * 3 + step % 2 for step in range(10_000)]),
        array("d", single),
    )
    assert len(pack(points)) < 24 * 10_000 / 4


@given(rows=rows)
@example(rows=[(0, 0, 0.0), (1, 0, 0.0), (1, 0, -0.0)])
def test_merging_is_a_set_in_one_order_however_it_is_cut(
    rows: list[tuple[int, int, float]],
) -> None:
    whole_set = merge([Points.from_rows(rows)])
    halves = [Points.from_rows(rows[::2]), Points.from_rows(rows[1::2]), Points.from_rows(rows)]
    assert same(merge(halves), whole_set)
    orders = [order_of(row) for row in whole_set.rows()]
    assert orders == sorted(set(orders))
    assert set(orders) == {order_of(row) for row in rows}


@given(rows=st.lists(st.tuples(whole, whole, st.floats(width=32)), min_size=2, max_size=40))
def test_the_summary_of_two_disjoint_parts_is_the_summary_of_the_whole(
    rows: list[tuple[int, int, float]],
) -> None:
    points = merge([Points.from_rows(rows)])
    if len(points) < 2:
        return
    cut = len(points) // 2
    parts = [Points.from_rows(points.rows()[:cut]), Points.from_rows(points.rows()[cut:])]
    assert are_apart(parts[0].at(-1), parts[1].at(0))
    joined = merge_summaries(*(summarise(part) for part in parts))
    expected = summarise(points)
    for each, other in zip(joined, expected, strict=True):
        if each is None or other is None:
            assert each is other
        else:
            assert each == pytest.approx(other, nan_ok=True, rel=1e-6)


def test_the_latest_value_is_the_greatest_step_then_timestamp_then_value() -> None:
    points = Points.from_rows([(2, 5, 1.0), (2, 5, math.nan), (2, 4, 9.0), (1, 9, 8.0)])
    assert summarise(merge([points])).value == 1.0


def test_nan_counts_as_a_point_and_not_in_the_mean() -> None:
    summary = summarise(Points.from_rows([(0, 0, math.nan), (1, 1, 4.0), (2, 2, 6.0)]))
    assert (summary.points, summary.finite, summary.sum) == (3, 2, 10.0)
    assert (summary.min, summary.max) == (4.0, 6.0)


def test_sets_that_share_a_point_are_not_apart() -> None:
    assert are_apart((1, 5, math.nan), (1, 5, -math.inf))
    assert not are_apart((1, 5, math.nan), (1, 5, math.nan))
    assert not are_apart((2, 0, 0.0), (1, 9, 9.0))


@given(point=st.tuples(whole, whole, st.floats()))
def test_a_point_alone_is_kept_to_the_bit(point: tuple[int, int, float]) -> None:
    assert same(one(*unpack_point(pack_point(point))), one(*point))


@given(values=st.lists(st.floats(), min_size=1, max_size=500), most=st.integers(2, 60))
def test_a_thinned_history_keeps_the_ends_and_the_extremes(values: list[float], most: int) -> None:
    points = Points.from_rows([(step, step, value) for step, value in enumerate(values)])
    shown = reduce_points(points, most)
    assert len(shown) <= max(most, len(points) if len(points) <= most else most + 4)
    assert shown.steps[0] == 0
    assert shown.steps[-1] == len(values) - 1
    numbers = [value for value in values if not math.isnan(value)]
    if numbers:
        kept = [value for value in shown.values if not math.isnan(value)]
        assert (min(kept), max(kept)) == (min(numbers), max(numbers))


@pytest.mark.parametrize(
    "data",
    [b"\x02\x05\x00\x00\x00short", b"\x01", b"", b"\x09" + pack(one(1, 2, 3.0))[1:],
     pack(one(1, 2, 3.0)) + b"more", pack(one(1, 2, 3.0)).replace(b"\x08", b"\x07")],
    ids=["cut", "one byte", "nothing", "a later format", "too long", "a wrong length"],
)  # fmt: skip
def test_bytes_that_are_no_block_are_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="metric block"):
        unpack(data)


def test_a_compressed_column_is_read_no_further_than_it_says() -> None:
    block = pack(Points.from_rows([(step, step, step % 2 + 0.1) for step in range(5000)]))
    lying = block[:1] + (10).to_bytes(4, "little") + block[5:]
    with pytest.raises(IntegrityError):
        unpack(lying)
