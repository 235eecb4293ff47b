"""The journal keeps a prefix of what was written, with at least every finished record."""

from __future__ import annotations

import os
import resource
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.errors import StorageFullError
from loopline.journal.journal import Journal, abandoned, try_lock
from loopline.journal.reader import Reader
from loopline.journal.segment import WrittenSegment
from loopline.journal.stream import SEGMENT_BYTES, Series, Stream, segment_path
from loopline.records.facts import MetricPoints, TagsSet
from loopline.rules.points import Points

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.records.facts import Fact

WRITER = "0123456789abcdef0123456789abcdef"


def a_stream(folder: Path, *, mapped: bool = True) -> Stream:
    return Stream(folder / "facts", WRITER, mapped=mapped)


def everything(folder: Path) -> list[Fact]:
    reader = Reader(folder / "facts")
    facts: list[Fact] = []
    position = 0
    while True:
        page = reader.read(position)
        if page.end == position:
            return facts
        facts += page.facts
        position = page.end


def values_of(facts: list[Fact]) -> list[float]:
    return [
        value
        for fact in facts
        if isinstance(fact, MetricPoints)
        for value in Points.from_columns(fact.steps, fact.timestamps_ms, fact.values).values
    ]


@given(
    texts=st.lists(st.text(max_size=30), min_size=1, max_size=20),
    cut=st.integers(min_value=0, max_value=5000),
)
def test_a_crash_at_any_byte_loses_only_unfinished_records(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    stream = a_stream(folder)
    written = [TagsSet(run_id="taxi", tags={"note": text}) for text in texts]
    ends = []
    for fact in written:
        stream.append(fact)
        ends.append(stream.tail & 0xFFFFFFFF)
    stream.close()
    path = segment_path(folder / "facts", 1)
    data = path.read_bytes()
    cut = min(cut, ends[-1])
    path.write_bytes(data[:cut] + bytes(len(data) - cut))  # Preallocated: the rest is zeros.

    kept = everything(folder) if cut >= 32 else []

    assert kept == written[: len(kept)]
    assert len(kept) >= sum(end <= cut for end in ends)


@given(at=st.integers(min_value=32, max_value=400), bit=st.integers(min_value=0, max_value=7))
def test_a_flipped_bit_ends_the_prefix_and_invents_nothing(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    stream = a_stream(folder)
    written = [TagsSet(run_id="taxi", tags={"month": str(month)}) for month in range(12)]
    for fact in written:
        stream.append(fact)
    stream.close()
    path = segment_path(folder / "facts", 1)
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)

    kept = everything(folder)

    assert kept == written[: len(kept)]


def test_a_stale_record_of_another_segment_is_not_taken_for_one(tmp_path: Path) -> None:
    stream = a_stream(tmp_path)
    stream.append(TagsSet(run_id="taxi", tags={"month": "2022-01"}))
    stream.close()
    first = segment_path(tmp_path / "facts", 1)
    data = bytearray(first.read_bytes())
    data[4] = 2  # The same bytes under the number of the next segment.
    first.rename(segment_path(tmp_path / "facts", 2))
    segment_path(tmp_path / "facts", 2).write_bytes(data)

    assert everything(tmp_path) == []


def test_points_survive_the_change_of_segment(tmp_path: Path) -> None:
    count = SEGMENT_BYTES // 40 * 2 + 7
    stream = a_stream(tmp_path)
    for step in range(count):
        stream.append_point(Series("taxi", f"loss/{step % 3}"), step, step, float(step))

    assert sorted(values_of(everything(tmp_path))) == [float(step) for step in range(count)]
    assert len(Reader(tmp_path / "facts").segments()) >= 3


def test_a_fact_larger_than_a_segment_gets_a_segment_of_its_size(tmp_path: Path) -> None:
    large = TagsSet(run_id="taxi", tags={"note": "x" * (3 * SEGMENT_BYTES)})
    small = TagsSet(run_id="taxi", tags={"note": "y"})
    stream = a_stream(tmp_path)
    for fact in (small, large, small):
        stream.append(fact)

    assert everything(tmp_path) == [small, large, small]


def test_where_mapping_is_not_trusted_the_same_bytes_are_written(tmp_path: Path) -> None:
    (tmp_path / "mapped").mkdir()
    (tmp_path / "written").mkdir()
    mapped = a_stream(tmp_path / "mapped")
    written = a_stream(tmp_path / "written", mapped=False)
    for stream in (mapped, written):
        for step in range(100):
            stream.append_point(Series("taxi", "rmse"), step, step, step / 7)

    assert isinstance(written._segment, WrittenSegment)
    one = segment_path(tmp_path / "mapped" / "facts", 1).read_bytes()
    other = segment_path(tmp_path / "written" / "facts", 1).read_bytes()
    assert one[: len(other)] == other
    assert values_of(everything(tmp_path / "written")) == [step / 7 for step in range(100)]


def test_reading_can_go_on_from_any_position(tmp_path: Path) -> None:
    stream = a_stream(tmp_path)
    positions = []
    for step in range(10):
        stream.append_point(Series("taxi", "rmse"), step, step, float(step))
        positions.append(stream.tail)

    for step, position in enumerate(positions):
        page = Reader(tmp_path / "facts").read(position)
        assert values_of(page.facts) == [float(later) for later in range(step + 1, 10)]


def test_a_living_journal_is_not_abandoned_and_a_dead_one_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path, str(tmp_path))
    folder = journal.folder
    assert abandoned(tmp_path) == [folder]
    assert try_lock(folder) is None

    journal.close(remove=False)

    handle = try_lock(folder)
    assert handle is not None
    os.close(handle)


def test_a_segment_whose_maker_died_at_once_hides_nothing_before_it(tmp_path: Path) -> None:
    stream = a_stream(tmp_path)
    stream.append(TagsSet(run_id="taxi", tags={"month": "2022-01"}))
    for content in (b"", bytes(4096)):
        segment_path(tmp_path / "facts", 2).write_bytes(content)
        assert len(everything(tmp_path)) == 1


def test_a_disk_that_takes_half_a_record_is_full_and_keeps_what_was_written(
    tmp_path: Path,
) -> None:
    stream = a_stream(tmp_path, mapped=False)
    first = TagsSet(run_id="taxi", tags={"month": "2022-01"})
    stream.append(first)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((stream.tail & 0xFFFFFFFF) + 60, before[1]))
    try:
        with pytest.raises(StorageFullError):
            stream.append(TagsSet(run_id="taxi", tags={"note": "x" * 500}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    second = TagsSet(run_id="taxi", tags={"month": "2022-02"})
    stream.append(second)

    assert everything(tmp_path) == [first, second]
