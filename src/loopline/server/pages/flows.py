"""The pages of registered flows."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from loopline.records.operations import GetFlow, ListFlowRuns, ListFlows
from loopline.rules.parameters import parameter_words
from loopline.rules.timetable_words import describe
from loopline.rules.words import distance_words, duration_words
from loopline.server.pages import addresses, parts
from loopline.server.pages.flow_runs import flow_runs_table
from loopline.server.pages.html import Child, Markup, join, link_to, tag, trusted
from loopline.server.pages.parts import Column
from loopline.server.pages.request import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.flows import FlowRun, FlowSummary, FlowVersion
    from loopline.server.pages.request import PageRequest

__all__ = ["bars", "flow_page", "flows_page", "schedule_words"]

BAR_WIDTH, BAR_GAP, BARS_HEIGHT = 7, 3, 28
MOST_BARS = 24
RUNS = 50

FIRST_FLOW = """from loopline import Flow, task

@task
def evaluate():
    return 3.8

with Flow("taxifare") as flow:
    evaluate()

flow.register("wagoncab")"""


def flows_page(request: PageRequest) -> Page:
    """List flows: ``/flows``."""
    found = request.backend.call(ListFlows())
    columns = (
        Column("Flow", "name"),
        Column("Project", "short"),
        Column("Newest runs", "nowrap"),
        Column("Schedule", "text"),
        Column("Next run", "nowrap"),
        Column("Version", "number"),
    )
    rows: list[Sequence[Child]] = [
        (
            parts.clamped(addresses.flow_link(flow.project, flow.name), flow.name),
            flow.project,
            bars(flow.recent),
            schedule_words(flow),
            distance_words(flow.next_ms, request.now_ms) if flow.next_ms else "-",
            f"v{flow.version}",
        )
        for flow in found
    ]
    body = (
        parts.table(columns, rows, label="Flows")
        if rows
        else parts.empty(
            "No flows yet. Register one and start a worker:", FIRST_FLOW, "loopline worker"
        )
    )
    return Page("Flows", join(tag("h1", "Flows"), tag("section", body)), 0, "Flows")


def flow_page(request: PageRequest) -> Page:
    """Show a flow: ``/flows/<project>/<name>``."""
    project, name = request.names
    flow = request.backend.call(GetFlow(project=project, name=name))
    page = request.backend.call(
        ListFlowRuns(
            project=project,
            with_unregistered=True,
            flow_name=name,
            max_results=RUNS,
            page_token=request.query.get("page", ""),
        )
    )
    address = addresses.flow_url(project, name)
    run = " ".join(
        [
            f"loopline flows run {quote(f'{project}/{name}')}",
            *(f"--param {quote(each.name)}=…" for each in flow.graph.parameters if each.required),
        ]
    )
    following = page.next_page_token
    listed: Child = (
        flow_runs_table(page.flow_runs, request.now_ms, with_flow=False)
        if page.flow_runs
        else parts.empty("It has not run yet. Run it now:", run)
    )
    body = join(
        parts.crumbs(link_to("/flows", "Flows"), project),
        tag("h1", name),
        tag(
            "div",
            parts.section("Overview", _overview(flow, request)),
            parts.section("Use it", parts.command(run), _switch(flow)),
            class_="columns",
        ),
        parts.section(
            "Runs",
            listed,
            tag("p", link_to(f"{address}?page={following}", f"Older {RUNS}"), class_="pager")
            if following
            else None,
        ),
        _tasks(flow),
    )
    return Page(name, body, 0, "Flows")


def schedule_words(flow: FlowSummary | FlowVersion) -> Child:
    """Say when a flow runs by itself."""
    if flow.schedule is None or not flow.schedule.clocks:
        return tag("span", "only when asked", class_="soft")
    if not flow.schedule_active:
        off = tag("span", "off", class_="pill")
        return join(off, " ", tag("span", describe(flow.schedule), class_="soft"))
    return describe(flow.schedule)


def bars(recent: Sequence[FlowRun]) -> Markup:
    """Draw the newest runs as bars, oldest first: colour is the state, height the duration."""
    started = list(reversed([run for run in recent if run.start_ms or run.state.is_finished]))
    started = started[-MOST_BARS:]
    if not started:
        return tag("span", "none yet", class_="soft")
    longest = max((_length_ms(run) for run in started), default=0) or 1
    width = len(started) * (BAR_WIDTH + BAR_GAP)
    drawn = []
    for index, run in enumerate(started):
        height = 6 + (BARS_HEIGHT - 6) * _length_ms(run) / longest
        said = f"{run.state.value}, {duration_words(_length_ms(run))}"
        bar = tag(
            "rect",
            tag("title", said),
            x=index * (BAR_WIDTH + BAR_GAP),
            y=f"{BARS_HEIGHT - height:.1f}",
            width=BAR_WIDTH,
            height=f"{height:.1f}",
            rx="1.5",
            class_=f"fill-{parts.tone(run.state)}",
        )
        drawn.append(link_to(addresses.flow_run_url(run.flow_run_id), bar, aria_label=said))
    inner = join(drawn).text
    return trusted(
        f'<svg class="bars" width="{width}" height="{BARS_HEIGHT}" '
        f'viewBox="0 0 {width} {BARS_HEIGHT}">{inner}</svg>'
    )


def _length_ms(run: FlowRun) -> int:
    if not run.start_ms or not run.end_ms:
        return 0
    return max(0, run.end_ms - run.start_ms)


def _overview(flow: FlowVersion, request: PageRequest) -> Markup:
    code = None
    if flow.code is not None:
        python = f", Python {flow.code.python}" if flow.code.python else ""
        how = "by value" if flow.code.kind == "pickle" else f"by reference, {flow.code.entry}"
        code = f"{how}{python}"
    return parts.facts(
        [
            ("Project", flow.project),
            ("Schedule", schedule_words(flow)),
            ("Version", f"v{flow.version}"),
            ("Registered", parts.when(flow.created_ms, request.now_ms)),
            ("Code", code),
            ("Folder", tag("code", flow.code.folder) if flow.code and flow.code.folder else None),
            (
                "Parameters",
                [
                    tag(
                        "div",
                        tag("code", parameter_words(item)),
                        " (required)" if item.required else "",
                    )
                    for item in flow.graph.parameters
                ]
                or None,
            ),
        ]
    )


def _switch(flow: FlowVersion) -> Markup | None:
    if flow.schedule is None or not flow.schedule.clocks:
        return None
    turn = "off" if flow.schedule_active else "on"
    return parts.command(f"loopline flows schedule {turn} {quote(f'{flow.project}/{flow.name}')}")


def _tasks(flow: FlowVersion) -> Markup:
    after: dict[str, list[str]] = {}
    for edge in flow.graph.edges:
        after.setdefault(edge.downstream, []).append(edge.upstream)
    rows = [
        (
            task.name,
            tag("code", task.slug),
            ", ".join(dict.fromkeys(after.get(task.slug, []))),
            str(len(task.retry_delays_s)) if task.retry_delays_s else "",
            "" if task.timeout_s is None else f"{task.timeout_s:g} s",
        )
        for task in flow.graph.tasks
        if task.kind == "task"
    ]
    columns = (
        Column("Task", "name"),
        Column("Slug"),
        Column("After", "text"),
        Column("Retries", "number"),
        Column("Timeout", "number"),
    )
    return parts.section("Tasks", parts.table(columns, rows, label="Tasks"), count=len(rows))
