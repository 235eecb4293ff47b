"""The page of one flow run: its picture, its tasks, its log."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from loopline.records.flows import StateKind
from loopline.records.operations import (
    GetFlowRun,
    GetFlowRunGraph,
    GetLogs,
    ListFlowArtifacts,
    ListFlowRunEvents,
    ListTaskRuns,
    SearchRuns,
)
from loopline.rules.picture import draw_svg
from loopline.rules.words import clock_words, duration_words, task_words, time_words
from loopline.server.pages import addresses, parts
from loopline.server.pages.flow_artifacts import flow_artifacts
from loopline.server.pages.flow_runs import flow_of, started_by
from loopline.server.pages.html import Child, Markup, join, link_to, tag, trusted
from loopline.server.pages.parts import Column
from loopline.server.pages.request import Page
from loopline.server.pages.runs import runs_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.flows import FlowRun, FlowRunEvent, LogLine, TaskRun
    from loopline.records.tracking import Run
    from loopline.server.pages.request import PageRequest

__all__ = ["flow_run_page", "picture"]

REFRESH_S = 3
LINES = 500
MOST_TASKS = 500
#: Elements of one mapped task that have a row.
MOST_ELEMENTS = 20
MOST_EVENTS = 200
GANTT_WIDTH, GANTT_HEIGHT = 220, 14

#: Least level of the lines shown, by its name in the address.
LEVELS = {"debug": 0, "info": 20, "warning": 30, "error": 40}


def flow_run_page(request: PageRequest) -> Page:
    """Show a flow run: ``/flow-runs/<id>``."""
    ask = request.backend.call
    flow_run_id = request.names[0]
    run = ask(GetFlowRun(flow_run_id=flow_run_id))
    tasks = ask(ListTaskRuns(flow_run_id=flow_run_id))
    artifacts = ask(ListFlowArtifacts(flow_run_id=flow_run_id))
    title = run.name or f"{run.flow_name} {run.flow_run_id[:8]}"
    inside = ask(
        SearchRuns(filter=f"attributes.flow_run_id = '{run.flow_run_id}'", max_results=50)
    ).runs
    steps: list[Child] = [link_to("/flow-runs", "Flow runs")]
    if run.project:
        steps.append(run.project)
    body = join(
        parts.crumbs(*steps, flow_of(run)),
        tag("h1", title, parts.state_pill(run.state)),
        parts.note(run.message, kind="bad") if run.message and run.state.is_failed else None,
        parts.note("Somebody asked it to stop; its worker finishes the task in hand.", kind="warn")
        if run.cancel_requested and not run.state.is_finished
        else None,
        _next_step(run),
        tag(
            "div",
            parts.section("Overview", _overview(run, request.now_ms)),
            _picture(run),
            class_="columns",
        ),
        _tasks(run, tasks, request.now_ms),
        flow_artifacts(artifacts),
        _inside(inside, request.now_ms),
        _log(request, run),
        _events(
            # One more than is shown tells whether there are more: a run of many tasks has many.
            ask(ListFlowRunEvents(flow_run_id=flow_run_id, limit=MOST_EVENTS + 1, newest=True))
        ),
    )
    # A run that is only scheduled for later changes when its time comes, not every few seconds.
    soon = run.scheduled_ms - request.now_ms < 60_000  # noqa: PLR2004 - a minute
    refresh = 0 if run.state.is_finished else REFRESH_S if soon else 60
    return Page(title, body, refresh, "Flow runs")


def _next_step(run: FlowRun) -> Markup | None:
    """Say what somebody may do now, where a flow run needs somebody."""
    if run.state is StateKind.PAUSED:
        words, verb = "It waits for somebody. Approve it, and go on with:", "resume"
    elif run.state.is_failed and run.flow_version_id:
        words, verb = "Go on from the tasks that finished:", "retry"
    else:
        return None
    return parts.empty(words, f"loopline flow-runs {verb} {run.flow_run_id[:8]}")


def _overview(run: FlowRun, now_ms: int) -> Markup:
    parameters = [
        tag("div", tag("code", name), f" = {value!r}")
        for name, value in sorted(run.parameters.items())
    ]
    late_ms = (run.start_ms or now_ms) - run.scheduled_ms
    late = f", {duration_words(late_ms)} late" if late_ms > 10_000 and run.is_automatic else ""  # noqa: PLR2004
    return parts.facts(
        [
            ("Flow run id", tag("code", run.flow_run_id)),
            (
                "Due",
                join(
                    time_words(run.scheduled_ms),
                    " (",
                    parts.when(run.scheduled_ms, now_ms),
                    late,
                    ")",
                ),
            ),
            ("Started", time_words(run.start_ms)),
            ("Duration", parts.spent(run, now_ms)),
            ("Started by", started_by(run)),
            ("Worker", run.worker),
            ("Waits for", run.waits_for or None),
            ("Labels", ", ".join(run.labels) or None),
            ("Note", run.note or None),
            ("Times claimed", str(run.token) if run.token > 1 else None),
            ("Message", run.message if not run.state.is_failed else None),
            ("Parameters", parameters or None),
        ]
    )


def _picture(run: FlowRun) -> Markup:
    alt = f"The tasks of {run.flow_name} and what depends on what, coloured by state"
    image = tag("img", src=addresses.picture_url(run.flow_run_id), alt=alt)
    frame = tag("div", image, class_="picture", tabindex="0", role="region", aria_label="Graph")
    return parts.section("Graph", frame)


def _tasks(run: FlowRun, tasks: list[TaskRun], now_ms: int) -> Markup:
    if not tasks:
        return parts.section("Tasks", _no_tasks(run))
    began = min((task.start_ms for task in tasks if task.start_ms), default=now_ms)
    ended = max((task.end_ms or now_ms for task in tasks if task.start_ms), default=now_ms)
    columns = (
        Column("Task", "name"),
        Column("State", "nowrap"),
        Column("Duration", "nowrap"),
        Column("When", "nowrap"),
        Column("Attempts", "number"),
        Column("Message", "text"),
    )
    shown = _worth_a_row(tasks)
    rows: list[Sequence[Child]] = [
        (
            task_words(task.task_slug, task.map_index, task.name),
            parts.state_pill(task.state),
            parts.spent(task, now_ms),
            _gantt(task, began, ended, now_ms),
            str(task.attempt) if task.attempt else "",
            join(f"until {time_words(task.until_ms)}  " if task.until_ms else "", task.message),
        )
        for task in shown
    ]
    return parts.section(
        "Tasks",
        parts.table(columns, rows, label="Tasks"),
        parts.more(len(tasks), len(shown), "task run"),
        count=len(tasks),
    )


def _no_tasks(run: FlowRun) -> Markup:
    """Say why no task has begun, and which worker would take the flow run."""
    if run.state is not StateKind.SCHEDULED:
        return parts.empty("No task has started yet.")
    command = " ".join(["loopline worker", *(f"--label {shlex.quote(one)}" for one in run.labels)])
    if run.waits_for:
        hint = (command,) if run.waits_for.startswith("a worker") else ()
        return parts.empty(f"It waits for {run.waits_for}.", *hint)
    return parts.empty("It waits for a worker. Is one running?", command)


def _worth_a_row(tasks: list[TaskRun]) -> list[TaskRun]:
    """Choose the task runs to show: of each map a few elements, first those that are not well."""
    elements: dict[str, list[TaskRun]] = {}
    for task in tasks:
        if task.map_index >= 0:
            elements.setdefault(task.task_slug, []).append(task)
    kept = {
        (each.task_slug, each.map_index)
        for those in elements.values()
        for each in sorted(those, key=lambda task: task.state.is_successful)[:MOST_ELEMENTS]
    }
    return [
        task for task in tasks if task.map_index < 0 or (task.task_slug, task.map_index) in kept
    ][:MOST_TASKS]


def _gantt(task: TaskRun, began_ms: int, ended_ms: int, now_ms: int) -> Markup | None:
    """Draw when a task ran within its flow run."""
    if not task.start_ms:
        return None
    scale = GANTT_WIDTH / max(1, ended_ms - began_ms)
    x = (task.start_ms - began_ms) * scale
    width = max(2.0, ((task.end_ms or now_ms) - task.start_ms) * scale)
    x = min(x, GANTT_WIDTH - 2)
    bar = tag(
        "rect",
        x=f"{x:.1f}",
        y=2,
        width=f"{min(width, GANTT_WIDTH - x):.1f}",
        height=GANTT_HEIGHT - 4,
        rx=2,
        class_=f"fill-{parts.tone(task.state)}",
    )
    ground = tag("rect", x=0, y=6, width=GANTT_WIDTH, height=2, class_="fill-none")
    return trusted(
        f'<svg class="bars" width="{GANTT_WIDTH}" height="{GANTT_HEIGHT}" aria-hidden="true" '
        f'viewBox="0 0 {GANTT_WIDTH} {GANTT_HEIGHT}">{ground}{bar}</svg>'
    )


def _inside(runs: list[Run], now_ms: int) -> Markup | None:
    if not runs:
        return None
    return parts.section(
        "Runs started by its tasks",
        runs_table(runs, now_ms, with_experiment=True),
        count=len(runs),
    )


def _log(request: PageRequest, run: FlowRun) -> Markup:
    chosen = request.query.get("level", "debug")
    lines = request.backend.call(
        GetLogs(
            flow_run_id=run.flow_run_id,
            limit=LINES,
            least_level=LEVELS.get(chosen, 0),
            newest=True,
        )
    )
    address = addresses.flow_run_url(run.flow_run_id)
    choices = [
        link_to(
            f"{address}?level={name}#log",
            "All" if name == "debug" else f"{name.capitalize()} and above",
            aria_current="true" if name == chosen else None,
        )
        for name in LEVELS
    ]
    nothing = (
        "No log lines yet." if not run.state.is_finished else "It wrote no log lines like that."
    )
    cut = (
        tag(
            "p",
            f"The newest {LINES} lines. All of them: ",
            tag("code", f"loopline flow-runs logs {run.flow_run_id}"),
            class_="soft small",
        )
        if len(lines) == LINES
        else None
    )
    return parts.section(
        "Log",
        tag("nav", choices, class_="choices", aria_label="Level"),
        cut,
        tag("ol", map(_line, lines), class_="log") if lines else parts.empty(nothing),
        id_="log",
    )


def _line(line: LogLine) -> Markup:
    level = "bad" if line.level >= 40 else "warn" if line.level >= 30 else "info"  # noqa: PLR2004
    name = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
    task = f"{task_words(line.task_slug, line.map_index)}  " if line.task_slug else ""
    return tag(
        "li",
        tag("time", clock_words(line.at_ms), title=time_words(line.at_ms)),
        tag("span", name.get(line.level, str(line.level)), class_="level"),
        tag("span", tag("span", task, class_="task"), line.message, class_="line"),
        class_=f"level-{level}",
        id=f"line-{line.position}",
    )


def _events(events: list[FlowRunEvent]) -> Markup | None:
    if not events:
        return None
    shown = events[-MOST_EVENTS:]
    rows: list[Sequence[Child]] = [
        (
            time_words(event.at_ms),
            _subject(event),
            parts.state_pill(event.state),
            event.message,
        )
        for event in reversed(shown)
    ]
    columns = (
        Column("When", "nowrap"),
        Column("What", "name"),
        Column("State", "nowrap"),
        Column("Message", "text"),
    )
    return parts.section(
        "History",
        parts.table(columns, rows, label="History"),
        tag("p", f"The newest {MOST_EVENTS} changes.", class_="soft small")
        if len(events) > MOST_EVENTS
        else None,
        count=len(events) if len(events) <= MOST_EVENTS else None,
    )


def _subject(event: FlowRunEvent) -> Child:
    if not event.task_slug:
        return "the flow run"
    attempt = f", attempt {event.attempt}" if event.attempt > 1 else ""
    return f"{task_words(event.task_slug, event.map_index)}{attempt}"


def picture(request: PageRequest) -> str:
    """Draw the graph of a flow run: ``/flow-runs/<id>/picture.svg``."""
    flow_run_id = request.names[0]
    graph = request.backend.call(GetFlowRunGraph(flow_run_id=flow_run_id))
    tasks = request.backend.call(ListTaskRuns(flow_run_id=flow_run_id))
    return draw_svg(graph, tasks)
