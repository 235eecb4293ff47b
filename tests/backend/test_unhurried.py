"""What is in no hurry waits for company, and is as safe as anything else meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from loopline.backend.recorder import Recorder
from loopline.backend.sender import POLL_S
from loopline.records.facts import RunStarted, TagsSet
from loopline.records.operations import GetRun
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = "7" * 32


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(Address("home", str(tmp_path)))
    recorder.record(RunStarted(run_id=RUN, experiment="taxifare", start_ms=1))
    recorder.flush()
    yield recorder
    recorder.close()


def tags(recorder: Recorder) -> dict[str, str]:
    """Read without flushing first."""
    return recorder.backend.call(GetRun(run_id=RUN)).tags


def record(recorder: Recorder, key: str, *, most_s: float | None = None) -> None:
    fact = TagsSet(run_id=RUN, tags={key: "x"})
    if most_s is None:
        recorder.record(fact)
        return
    with recorder.unhurried(most_s):
        recorder.record(fact)


def wait_for(recorder: Recorder, *keys: str) -> None:
    deadline = time.monotonic() + 30
    while not set(keys) <= set(tags(recorder)):
        assert time.monotonic() < deadline, "It did not come in 30 s."
        time.sleep(POLL_S)


def test_it_waits_until_something_else_is_recorded(recorder: Recorder) -> None:
    record(recorder, "cpu", most_s=600)
    record(recorder, "memory", most_s=600)
    time.sleep(5 * POLL_S)
    assert tags(recorder) == {}
    record(recorder, "model")
    wait_for(recorder, "cpu", "memory", "model")


def test_a_flush_sends_it(recorder: Recorder) -> None:
    record(recorder, "cpu", most_s=600)
    recorder.flush()
    assert set(tags(recorder)) == {"cpu"}


def test_it_waits_no_longer_for_being_joined_by_more_of_its_kind(recorder: Recorder) -> None:
    record(recorder, "cpu", most_s=0.5)
    record(recorder, "memory", most_s=600)
    wait_for(recorder, "cpu", "memory")


def test_it_never_makes_others_wait(recorder: Recorder) -> None:
    for number in range(20):
        record(recorder, f"model {number}")
        record(recorder, f"cpu {number}", most_s=600)
    wait_for(recorder, *(f"model {number}" for number in range(20)))


def test_closing_sends_it(tmp_path: Path) -> None:
    recorder = Recorder(Address("home", str(tmp_path)))
    recorder.record(RunStarted(run_id=RUN, experiment="taxifare", start_ms=1))
    recorder.flush()
    record(recorder, "cpu", most_s=600)
    recorder.close()
    assert set(Recorder(recorder.address).call(GetRun(run_id=RUN)).tags) == {"cpu"}
