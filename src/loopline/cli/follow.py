"""Showing the log of a flow run, and going on until it has finished."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from loopline.records.flows import StateKind
from loopline.records.operations import GetFlowRun, GetLogs
from loopline.rules.words import task_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.backend.protocol import Backend
    from loopline.records.flows import FlowRun, LogLine

__all__ = ["follow_flow_run", "print_lines", "read_lines"]

EVERY_S = 1.0
LINES = 5_000

LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}


def follow_flow_run(
    backend: Backend, flow_run_id: str, *, after: int = 0, least_level: int = 0
) -> int:
    """Print log lines as they come until the flow run has ended or paused; 1 when it failed."""
    from loopline.cli.watch import end_words, goes_on

    with goes_on(flow_run_id):
        run = _until_over(backend, flow_run_id, after=after, least_level=least_level)
    click.echo(end_words(run), err=True)
    return 1 if run.state.is_failed else 0


def _until_over(backend: Backend, flow_run_id: str, *, after: int, least_level: int) -> FlowRun:
    while True:
        # Asked before the lines are read: what came before the end is then surely printed.
        run = backend.call(GetFlowRun(flow_run_id=flow_run_id))
        lines = read_lines(backend, flow_run_id, after=after, least_level=least_level)
        print_lines(lines)
        after = lines[-1].position if lines else after
        if run.state.is_finished or run.state is StateKind.PAUSED:
            return run
        if not lines:
            time.sleep(EVERY_S)


def read_lines(
    backend: Backend, flow_run_id: str, *, after: int = 0, least_level: int = 0
) -> list[LogLine]:
    """Read every line after a position."""
    lines: list[LogLine] = []
    while True:
        asked = GetLogs(flow_run_id=flow_run_id, after=after, limit=LINES, least_level=least_level)
        some = backend.call(asked)
        lines += some
        if len(some) < LINES:
            return lines
        after = some[-1].position


def print_lines(lines: Iterable[LogLine]) -> None:
    """Print lines as ``time level task message``, in this machine's time zone."""
    for line in lines:
        level = LEVELS.get(line.level, str(line.level))
        task = f" {task_words(line.task_slug, line.map_index)}" if line.task_slug else ""
        colour = "red" if line.level >= 40 else "yellow" if line.level >= 30 else None  # noqa: PLR2004
        head = f"{_clock(line.at_ms)} {level:<7}{task}"
        click.echo(f"{click.style(head, fg=colour, dim=colour is None)}  {line.message}")


def _clock(at_ms: int) -> str:
    """Write the time of day here; a clock that was set to nonsense still has its number."""
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000).astimezone():%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"
