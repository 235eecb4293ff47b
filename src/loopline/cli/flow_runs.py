"""``loopline flow-runs``: looking at flow runs, and stopping them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, limit, with_backend
from loopline.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.flows import FlowRun, StateKind, TaskRun

__all__ = ["flow_runs"]

ID_LENGTH = 32

#: Flow runs looked through for one whose id begins with the letters given.
LOOKED_THROUGH = 1_000

#: Where the commands are that change flow runs.
CHANGES = "loopline.cli.flow_run_changes"

LEVELS = {"debug": 0, "info": 20, "warning": 30, "error": 40}


@click.command(
    "list", epilog=epilog("loopline flow-runs list", "loopline flow-runs list --state Failed")
)
@with_backend
@click.option("--flow", metavar="PROJECT/FLOW", help="Only runs of this flow.")
@click.option("--state", "states", multiple=True, help="Only this state, such as Failed.")
@limit
def list_(
    backend: Backend, *, as_json: bool, flow: str | None, states: tuple[str, ...], limit: int
) -> None:
    """List flow runs, newest due time first."""
    from loopline.cli.flows import find_flow
    from loopline.cli.output import ago, print_json, print_table, say
    from loopline.records.operations import ListFlowRuns

    chosen = find_flow(backend, flow) if flow else None
    page = backend.call(
        ListFlowRuns(
            project=chosen.project if chosen else "",
            flow_name=chosen.name if chosen else "",
            states=[_state(text) for text in states],
            max_results=limit,
        )
    )
    if as_json:
        print_json(page.flow_runs)
        return
    print_table(
        ("ID", "NAME", "FLOW", "STATE", "DUE", "DURATION", "MESSAGE"),
        [
            (
                run.flow_run_id[:8],
                run.name,
                run.flow_name,
                "Late" if run.is_late else run.state.value,
                ago(run.scheduled_ms),
                _duration(run),
                f"waits for {run.waits_for}" if run.waits_for else run.message,
            )
            for run in page.flow_runs
        ],
        empty="No flow runs. Ask for one with `loopline flows run PROJECT/FLOW`.",
    )
    if page.next_page_token:
        say(f"The first {limit} flow runs; --limit shows more.")


@click.command(epilog=epilog("loopline flow-runs show 4f1d2c"))
@click.argument("flow_run_id")
@with_backend
def show(backend: Backend, *, flow_run_id: str, as_json: bool) -> None:
    """Show a flow run and its tasks; the first letters of its id are enough."""
    from loopline.cli.output import print_facts, print_json, print_table
    from loopline.records.operations import ListFlowArtifacts, ListTaskRuns
    from loopline.rules.artifact_words import artifact_words
    from loopline.rules.origins import started_by_words
    from loopline.rules.words import task_words, time_words

    run = find_flow_run(backend, flow_run_id)
    tasks = backend.call(ListTaskRuns(flow_run_id=run.flow_run_id))
    artifacts = backend.call(ListFlowArtifacts(flow_run_id=run.flow_run_id))
    if as_json:
        print_json({"flow_run": run, "task_runs": tasks, "artifacts": artifacts})
        return
    parameters = ", ".join(f"{name}={value!r}" for name, value in sorted(run.parameters.items()))
    print_facts(
        [
            ("Flow run", run.name),
            ("Id", run.flow_run_id),
            ("Flow", f"{run.project}/{run.flow_name}" if run.project else run.flow_name),
            ("State", f"{run.state.value}{', late' if run.is_late else ''}"),
            ("Message", run.message),
            ("Waits for", run.waits_for),
            ("Note", run.note),
            ("Due", time_words(run.scheduled_ms)),
            ("Started", time_words(run.start_ms)),
            ("Started by", started_by_words(run)),
            ("Duration", _duration(run)),
            ("Worker", run.worker),
            ("Labels", ", ".join(run.labels)),
            ("Priority", run.priority or ""),
            ("Parameters", parameters),
        ]
    )
    click.echo("\nTasks")
    print_table(
        ("TASK", "STATE", "DURATION", "ATTEMPTS", "MESSAGE"),
        [
            (
                task_words(task.task_slug, task.map_index, task.name),
                f"{task.state.value} until {time_words(task.until_ms)}"
                if task.until_ms
                else task.state.value,
                _duration(task),
                task.attempt or "",
                task.message,
            )
            for task in tasks
        ],
        empty="No task has started yet.",
        right=("ATTEMPTS",),
    )
    if artifacts:
        click.echo("\nArtifacts")
        print_table(
            ("TASK", "KIND", "SHOWS"),
            [
                (task_words(each.task_slug, each.map_index), each.kind, artifact_words(each))
                for each in artifacts
            ],
            empty="",
        )


@click.command(
    epilog=epilog(
        "loopline flow-runs logs 4f1d2c", "loopline flow-runs logs 4f1d2c --follow --level warning"
    )
)
@click.argument("flow_run_id")
@with_backend
@click.option("--follow", is_flag=True, help="Go on until it has finished.")
@click.option(
    "--level",
    default="debug",
    show_default=True,
    type=click.Choice(list(LEVELS), case_sensitive=False),
    help="Only lines of this level and above.",
)
def logs(backend: Backend, *, flow_run_id: str, follow: bool, level: str, as_json: bool) -> int:
    """Show the log of a flow run."""
    from loopline.cli.follow import follow_flow_run, print_lines, read_lines
    from loopline.cli.output import print_json

    run = find_flow_run(backend, flow_run_id)
    least = LEVELS[level.lower()]
    if follow and not as_json:
        return follow_flow_run(backend, run.flow_run_id, least_level=least)
    lines = read_lines(backend, run.flow_run_id, least_level=least)
    if as_json:
        print_json(lines)
    else:
        print_lines(lines)
    return 0


@click.command(epilog=epilog("loopline flow-runs cancel 4f1d2c --reason 'wrong month'"))
@click.argument("flow_run_id")
@with_backend
@click.option("--reason", default="", help="Why, kept in its history.")
def cancel(backend: Backend, *, flow_run_id: str, reason: str, as_json: bool) -> None:
    """Cancel a flow run: at once when nobody runs it, else its worker is told."""
    from loopline.cli.output import print_json
    from loopline.records.operations import CancelFlowRun

    run = find_flow_run(backend, flow_run_id)
    after = backend.call(CancelFlowRun(flow_run_id=run.flow_run_id, reason=reason))
    if as_json:
        print_json(after)
    elif after.state.is_finished:
        click.echo(f"{after.name or after.flow_run_id} is {after.state.value} now.")
    else:
        click.echo(f"{after.name or after.flow_run_id} is asked to stop; its worker will do so.")


def find_flow_run(backend: Backend, flow_run_id: str) -> FlowRun:
    """Find a flow run by its id or the first letters of it.

    Raises:
        NotFoundError: None of the newest flow runs' ids begins like this.
        InvalidInputError: Several do.
    """
    from loopline.records.operations import GetFlowRun, ListFlowRuns

    if len(flow_run_id) >= ID_LENGTH:
        return backend.call(GetFlowRun(flow_run_id=flow_run_id))
    newest = backend.call(ListFlowRuns(max_results=LOOKED_THROUGH)).flow_runs
    found = [run for run in newest if run.flow_run_id.startswith(flow_run_id)]
    if len(found) == 1:
        return found[0]
    if found:
        msg = f"Several flow runs' ids begin with {flow_run_id!r}. Give more letters of it."
        raise InvalidInputError(msg)
    msg = (
        f"None of the newest flow runs' ids begins with {flow_run_id!r}. "
        "List them with `loopline flow-runs list`."
    )
    raise NotFoundError(msg)


def _state(text: str) -> StateKind:
    from loopline.records.flows import StateKind

    for state in StateKind:
        if state.value.lower() == text.lower():
            return state
    hint = "Such as Running or Failed."
    if text.lower() == "late":  # Shown as one, but it is none.
        hint = "What is late is Scheduled."
    raise NotFoundError.among("state", text, [state.value for state in StateKind], hint=hint)


def _duration(thing: FlowRun | TaskRun) -> str:
    from loopline.rules.words import duration_words

    if not thing.start_ms:
        return ""
    if thing.end_ms is None:
        return f"{duration_words(time.time() * 1000 - thing.start_ms)} so far"
    return duration_words(thing.end_ms - thing.start_ms)


flow_runs = LazyGroup(
    "flow-runs",
    help="Look at flow runs and their logs; cancel, retry, pause, resume.",
    table={
        "list": (f"{__name__}:list_", "List flow runs, newest due time first."),
        "show": (
            f"{__name__}:show",
            "Show a flow run and its tasks; the first letters of its id are enough.",
        ),
        "logs": (f"{__name__}:logs", "Show the log of a flow run."),
        "cancel": (
            f"{__name__}:cancel",
            "Cancel a flow run: at once when nobody runs it, else its worker is told.",
        ),
        "retry": (
            f"{CHANGES}:retry",
            "Go on with a failed or cancelled flow run: what succeeded stays.",
        ),
        "resume": (
            f"{CHANGES}:resume",
            "Go on with a paused flow run, approving what it waits for, or with a failed one.",
        ),
        "rerun": (
            f"{CHANGES}:rerun",
            "Run a flow run that has ended again, from a task on or from scratch.",
        ),
        "pause": (
            f"{CHANGES}:pause",
            "Pause a flow run: what runs of it ends, and nothing more of it begins.",
        ),
        "update": (f"{CHANGES}:update", "Change name, note, priority or labels of a flow run."),
    },
)
