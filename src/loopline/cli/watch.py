"""Watching a flow run: its tasks as they change state, until it has ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from loopline.records.flows import StateKind
from loopline.records.operations import GetFlowRun, ListFlowRunEvents, ListTaskRuns

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.flows import FlowRun, FlowRunEvent

__all__ = ["watch_flow_run"]

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


def watch_flow_run(backend: Backend, flow_run_id: str, *, as_json: bool = False) -> int:
    """Print each change of state until a flow run has ended or paused; 1 when it failed.

    As JSON only what it came to is printed.
    """
    from loopline.cli.output import print_json

    shown, waits = 0, ""
    while True:
        # Asked before the events are read: what came before the end is then surely printed.
        run = backend.call(GetFlowRun(flow_run_id=flow_run_id))
        is_over = run.state.is_finished or run.state is StateKind.PAUSED
        if not as_json:
            events = backend.call(ListFlowRunEvents(flow_run_id=flow_run_id))
            for event in events[shown:]:
                click.echo(_line(event))
            shown = len(events)
            if run.waits_for and run.waits_for != waits:
                click.echo(f"It waits for {run.waits_for}.", err=True)
            waits = run.waits_for
        if is_over:
            break
        time.sleep(EVERY_S)
    if as_json:
        tasks = backend.call(ListTaskRuns(flow_run_id=flow_run_id))
        print_json({"flow_run": run, "task_runs": tasks})
    else:
        click.echo(_end(run), err=True)
    return 1 if run.state.is_failed else 0


def _line(event: FlowRunEvent) -> str:
    name = event.task_slug or "the flow run"
    if event.map_index >= 0:
        name += f"[{event.map_index}]"
    clock = time.strftime("%H:%M:%S", time.localtime(event.at_ms / 1000))
    state = click.style(f"{event.state.value:<13}", fg=COLOURS.get(event.state))
    return f"{clock} {state} {name}{f': {event.message}' if event.message else ''}"


def _end(run: FlowRun) -> str:
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
