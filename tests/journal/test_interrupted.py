"""An append that is interrupted in its own thread, by the handler of a signal, loses nothing.

Handlers run where Python looks for signals: after calls and at loops. A trace function calls one
at every line of the journal's code, which is more often than any signal could come.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from loopline.errors import ConflictError
from loopline.journal import segment as segment_module
from loopline.journal import stream as stream_module
from loopline.journal.drain import EMPTY
from loopline.journal.journal import Journal
from loopline.journal.reader import Reader
from loopline.journal.stream import Series
from loopline.records.facts import MetricPoints, TagsSet
from loopline.rules.points import Points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType


@pytest.fixture(params=["mapped", "written"])
def journal(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Journal]:
    if request.param == "written":
        monkeypatch.setattr(segment_module, "MAPPABLE", set[str]())
    monkeypatch.setattr(stream_module, "SEGMENT_BYTES", 400)  # A new one every few records.
    made = Journal(tmp_path / "journal", str(tmp_path))
    yield made
    made.close(remove=False)


def interrupted(work: Callable[[], None], handler: Callable[[], None]) -> int:
    """Call a handler at every place of the journal's code where a signal could be noticed.

    Returns:
        How often it was called.
    """
    calls = 0
    inside = False

    def trace(frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401
        nonlocal calls, inside
        if "loopline/journal" not in frame.f_code.co_filename:
            return None
        # A line that begins is no place: the statements that finish a record are not divided.
        # A call that returns is one, and so is one that begins.
        if event in {"call", "return"} and not inside:
            inside = True
            calls += 1
            try:
                handler()
            finally:
                inside = False
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return calls


def values_in(journal: Journal, key: str) -> list[float]:
    """Read the values of a metric back, from both streams."""
    found: list[float] = []
    for stream in (journal.facts, journal.logs):
        reader, position = Reader(stream.folder), 0
        while (page := reader.read(position)).end > position:
            position = page.end
            for fact in page.facts:
                if isinstance(fact, MetricPoints) and fact.key == key:
                    columns = (fact.steps, fact.timestamps_ms, fact.values)
                    found += Points.from_columns(*columns).values
        assert not reader.is_damaged
        assert (position or EMPTY) == stream.tail
    return found


def test_what_a_handler_logs_and_what_it_interrupted_are_both_kept(journal: Journal) -> None:
    outer, inner = Series("taxi", "outer"), Series("taxi", "inner")
    logged: list[float] = []

    def handler() -> None:
        logged.append(float(len(logged)))
        journal.facts.append_point(inner, 0, 0, logged[-1])
        journal.facts.append(TagsSet(run_id="taxi", tags={"handled": str(len(logged))}))

    def work() -> None:
        for step in range(40):
            journal.facts.append_point(outer, step, step, float(step))
            journal.facts.append(TagsSet(run_id="taxi", tags={"step": str(step)}))

    calls = interrupted(work, handler)
    assert calls > 100  # Else nothing was interrupted.
    assert values_in(journal, "outer") == [float(step) for step in range(40)]
    assert sorted(values_in(journal, "inner")) == logged


def test_an_interrupt_from_the_keyboard_leaves_the_stream_as_it_was(journal: Journal) -> None:
    """Raise at each place in turn; every append that returned is there, and others follow."""
    series = Series("taxi", "rmse")
    returned: list[float] = []
    at = 0
    while True:
        value, place = float(at), iter(range(10_000))

        def handler(place: Iterator[int] = place, at: int = at) -> None:
            if next(place) == at:
                raise KeyboardInterrupt

        def append(value: float = value) -> None:
            journal.facts.append_point(series, 0, 0, value)
            journal.facts.append(TagsSet(run_id="taxi", tags={"value": str(value)}))
            returned.append(value)

        try:
            if interrupted(append, handler) <= at:
                break
        except KeyboardInterrupt:
            pass
        append(value + 0.5)
        at += 1
    assert at > 3
    found = values_in(journal, "rmse")
    assert set(returned) <= set(found)
    assert all(first < second for first, second in pairwise(found))  # In order, and each once.


def test_a_handler_that_interrupts_both_streams_is_told(journal: Journal) -> None:
    journal.facts._offset = journal.logs._offset = stream_module._BUSY
    with pytest.raises(ConflictError, match="set a flag"):
        journal.facts.append(TagsSet(run_id="taxi", tags={}))
    journal.facts._offset, journal.logs._offset = journal.facts._end, journal.logs._end


#: Logs in a loop, and in the handlers of an alarm that rings all the time.
TRAINING = """
import os, signal, sys
import loopline
loopline.set_tracking_uri(sys.argv[1])
rung = 0
with loopline.start_run() as run:
    def ring(*_):
        global rung
        mine, rung = rung, rung + 1  # The alarm rings in here, too.
        loopline.log_metric("rung", mine, step=mine)
        loopline.set_tag("rung", str(mine))
    signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.002, 0.002)
    for step in range(300_000):
        loopline.log_metric("loss", step, step=step)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
found = loopline.get_run(run.run_id)
print(rung, found.metrics["rung"].count, found.metrics["loss"].count)
"""


def test_a_training_logs_from_the_handler_of_a_signal(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, str(tmp_path / "home")],
        env={**os.environ, "LOOPLINE_NO_CAPTURE": "1"},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    rung, kept, loss = map(int, done.stdout.split())
    assert rung > 20
    assert (kept, loss) == (rung, 300_000)
