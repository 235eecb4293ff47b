"""The page that lists flow runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.records.flows import Origin, StateKind
from loopline.records.operations import ListFlowRuns
from loopline.rules.origins import started_by_words
from loopline.server.pages import addresses, parts
from loopline.server.pages.html import Child, Markup, join, link_to, tag, url
from loopline.server.pages.parts import Column
from loopline.server.pages.request import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.flows import FlowRun
    from loopline.server.pages.request import PageRequest

__all__ = ["flow_of", "flow_runs_page", "flow_runs_table", "started_by"]

ROWS = 100

#: Choices of the list, each with the states it holds.
CHOICES: dict[str, tuple[StateKind, ...]] = {
    "All": (),
    "Running": (StateKind.SUBMITTED, StateKind.RUNNING, StateKind.RETRYING),
    "Scheduled": (StateKind.SCHEDULED, StateKind.PENDING),
    "Paused": (StateKind.PAUSED,),
    "Failed": (StateKind.FAILED, StateKind.TIMED_OUT, StateKind.TRIGGER_FAILED),
    "Finished": (StateKind.SUCCESS, StateKind.SKIPPED, StateKind.CACHED),
    "Cancelled": (StateKind.CANCELLED,),
}


def flow_runs_page(request: PageRequest) -> Page:
    """List flow runs: ``/flow-runs``."""
    chosen = request.query.get("show", "All")
    states = CHOICES.get(chosen, ())
    page = request.backend.call(
        ListFlowRuns(
            states=list(states), max_results=ROWS, page_token=request.query.get("page", "")
        )
    )
    choices = [
        link_to(
            url("flow-runs", query={"show": "" if name == "All" else name}),
            name,
            aria_current="true" if name == chosen else None,
        )
        for name in CHOICES
    ]
    following = page.next_page_token
    older = url("flow-runs", query={"show": chosen, "page": following})
    if page.flow_runs:
        listed: Child = flow_runs_table(page.flow_runs, request.now_ms, with_flow=True)
    elif states:
        listed = parts.empty(f"No flow run is {chosen.lower()}.")
    else:
        listed = parts.empty(
            "No flow runs yet. Run a registered flow:", "loopline flows run PROJECT/FLOW"
        )
    body = join(
        tag("h1", "Flow runs"),
        tag(
            "section",
            tag("nav", choices, class_="choices", aria_label="State"),
            listed,
            tag("p", link_to(older, f"Next {ROWS} flow runs"), class_="pager")
            if following
            else None,
        ),
    )
    return Page("Flow runs", body, 0, "Flow runs")


def flow_runs_table(flow_runs: Sequence[FlowRun], now_ms: int, *, with_flow: bool) -> Markup:
    """A table of flow runs."""
    columns = [
        Column("Flow run", "name"),
        *([Column("Flow", "name")] if with_flow else []),
        Column("State", "nowrap"),
        Column("Due", "nowrap"),
        Column("Duration", "nowrap"),
        Column("Started by", "nowrap"),
        Column("Message", "text"),
    ]
    rows: list[Sequence[Child]] = [
        (
            parts.clamped(
                addresses.flow_run_link(run.flow_run_id, run.name or run.flow_run_id[:8]), run.name
            ),
            *([parts.clamped(flow_of(run), run.flow_name)] if with_flow else []),
            parts.state_pill(run.state),
            parts.when(run.scheduled_ms, now_ms),
            parts.spent(run, now_ms),
            started_by(run),
            parts.clamped(said := _said(run), said),
        )
        for run in flow_runs
    ]
    return parts.table(columns, rows, label="Flow runs")


def started_by(run: FlowRun) -> Child:
    """Who or what started a flow run; another flow run has a page."""
    words = started_by_words(run)
    if run.origin is Origin.FLOW_RUN:
        return addresses.flow_run_link(run.started_by, words)
    return parts.clamped(words, words)


def _said(run: FlowRun) -> str:
    return f"waits for {run.waits_for}" if run.waits_for else run.message


def flow_of(run: FlowRun) -> Child:
    """The flow of a flow run; one that was run from a script only has no page of its own."""
    if run.project:
        return addresses.flow_link(run.project, run.flow_name)
    return run.flow_name
