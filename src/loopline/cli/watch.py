"""Watching a flow run: its tasks as they change state, until it has ended."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from loopline.records.flows import StateKind
from loopline.records.operations import GetFlowRun, ListFlowRunEvents, ListTaskRuns
from loopline.rules.words import task_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.backend.protocol import Backend
    from loopline.records.flows import FlowRun, FlowRunEvent

__all__ = ["end_words", "goes_on", "watch_flow_run"]

EVERY_S = 0.5

COLOURS = {
    StateKind.SUCCESS: "green",
    StateKind.FAILED: "red",
    StateKind.TRIGGER_FAILED: "red",
    StateKind.TIMED_OUT: "red",
    StateKind.CANCELLED: "yellow",
    StateKind.RETRYING: "yellow",
    StateKind.QUEUED: "yellow",
    StateKind.PAUSED: "yellow",
}


def watch_flow_run(
    backend: Backend, flow_run_id: str, *, as_json: bool = False, after: int = 0
) -> int:
    """Print each change of state until a flow run has ended or paused; 1 when it failed.

    As JSON only what it came to is printed. Changes up to the position ``after`` are not.
    """
    from loopline.cli.output import print_json

    with goes_on(flow_run_id):
        run = _until_over(backend, flow_run_id, after=after, is_quiet=as_json)
    if as_json:
        tasks = backend.call(ListTaskRuns(flow_run_id=flow_run_id))
        print_json({"flow_run": run, "task_runs": tasks})
    else:
        click.echo(end_words(run), err=True)
    return 1 if run.state.is_failed else 0


@contextmanager
def goes_on(flow_run_id: str) -> Iterator[None]:
    """Say at Ctrl-C that only the looking ends, and how to end the flow run."""
    try:
        yield
    except KeyboardInterrupt:
        short = flow_run_id[:8]
        click.echo(
            f"\nThe flow run goes on. Look again with: loopline flow-runs logs {short} --follow\n"
            f"Stop it with: loopline flow-runs cancel {short}",
            err=True,
        )
        raise


def _until_over(backend: Backend, flow_run_id: str, *, after: int, is_quiet: bool) -> FlowRun:
    waits = ""
    while True:
        # Asked before the events are read: what came before the end is then surely printed.
        run = backend.call(GetFlowRun(flow_run_id=flow_run_id))
        is_over = run.state.is_finished or run.state is StateKind.PAUSED
        if not is_quiet:
            events = backend.call(ListFlowRunEvents(flow_run_id=flow_run_id, after=after))
            for event in events:
                click.echo(_line(event))
            after = events[-1].position if events else after
            if run.waits_for and run.waits_for != waits:
                click.echo(f"It waits for {run.waits_for}.", err=True)
            waits = run.waits_for
        if is_over:
            return run
        time.sleep(EVERY_S)


def _line(event: FlowRunEvent) -> str:
    name = task_words(event.task_slug, event.map_index) if event.task_slug else "the flow run"
    clock = time.strftime("%H:%M:%S", time.localtime(event.at_ms / 1000))
    state = click.style(f"{event.state.value:<13}", fg=COLOURS.get(event.state))
    return f"{clock} {state} {name}{f': {event.message}' if event.message else ''}"


def end_words(run: FlowRun) -> str:
    """Say how a flow run ended or why it waits for somebody, and what to do next."""
    said = f": {run.message}" if run.message else ""
    if run.state is StateKind.PAUSED:
        return (
            f"{run.flow_name} is paused{said} "
            f"Go on with: loopline flow-runs resume {run.flow_run_id[:8]}"
        )
    then = ""
    if run.state.is_failed and run.flow_version_id:
        then = f"\nTry again with: loopline flow-runs retry {run.flow_run_id[:8]}"
    return f"{run.flow_name} ended as {run.state.value}{said}{then}"
