"""What a run's process prints, as lines of a log; how its end is told."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.records.flows import FlowGraph, FlowRun, FlowRunLease, FlowVersion
from loopline.worker.assignment import Assignment, read_assignment, write_assignment
from loopline.worker.output import OutputPump, split_lines

if TYPE_CHECKING:
    from loopline.records.facts import LogsWritten


@given(text=st.text(st.sampled_from("ab \n"), max_size=60), cut=st.integers(0, 60))
def test_lines_are_the_same_however_the_output_arrives(text: str, cut: int) -> None:
    early, rest = split_lines(text[:cut])
    late, rest = split_lines(rest + text[cut:])
    assert ([*early, *late], rest) == split_lines(text)


def test_the_last_writing_of_a_progress_bar_counts() -> None:
    assert split_lines(" 10%\r 50%\r100%\ndone\r\nnext") == (["100%", "done"], "next")


def test_a_line_without_end_is_cut_and_nul_is_replaced() -> None:
    lines, rest = split_lines("x" * 25_000 + "\0")
    assert [len(line) for line in lines] == [10_000, 10_000, 5_001]
    assert (lines[-1][-1], rest) == ("\ufffd", "")


def test_both_pipes_become_lines_with_their_level() -> None:
    written: list[LogsWritten] = []
    pump = OutputPump("f" * 32, written.append)
    pipes = [os.pipe() for _ in range(2)]
    for (_, into), text in zip(pipes, ["3.8 $ rmse é\n\nlast", "careful\n"], strict=True):
        os.write(into, text.encode())
        os.close(into)
    pump.start(os.fdopen(pipes[0][0], "rb"), os.fdopen(pipes[1][0], "rb"))
    pump.join(10)
    lines = sorted((line.level, line.message) for fact in written for line in fact.lines)
    assert lines == [(20, "3.8 $ rmse é"), (20, "last"), (30, "careful")]
    assert pump.last_error_line == "careful"


def test_an_assignment_arrives_as_it_was_sent_and_a_torn_one_is_none() -> None:
    run = FlowRun(flow_run_id="f" * 32, flow_name="retrain", scheduled_ms=1)
    version = FlowVersion(
        flow_version_id="v",
        project="wagoncab project",
        name="retrain",
        version=1,
        fingerprint="0",
        graph=FlowGraph(),
        created_ms=0,
    )
    lease = FlowRunLease(flow_run=run, flow_version=version, token=3, lease_until_ms=9)
    sent = Assignment(lease=lease, uri="/home/.loopline", folder="/tmp/run")  # noqa: S108
    pipe = io.BytesIO()
    write_assignment(pipe, sent)
    assert read_assignment(io.BytesIO(pipe.getvalue())) == sent
    with pytest.raises(EOFError, match="went away"):
        read_assignment(io.BytesIO(pipe.getvalue()[:-1]))
