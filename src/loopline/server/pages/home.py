"""The start page: what runs now, what ran last, what is in Production, what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.records.flows import StateKind
from loopline.records.operations import (
    ListFlowRuns,
    ListFlows,
    ListModels,
    ResolveModel,
    SearchRuns,
)
from loopline.records.registry import Stage
from loopline.rules.words import distance_words, number_words, time_words
from loopline.server.pages import addresses, parts
from loopline.server.pages.flow_runs import flow_runs_table
from loopline.server.pages.flows import FIRST_FLOW, bars, schedule_words
from loopline.server.pages.html import Child, Markup, join, link_to, tag
from loopline.server.pages.layout import LINKS
from loopline.server.pages.models import FIRST_MODEL
from loopline.server.pages.parts import Column
from loopline.server.pages.request import Page
from loopline.server.pages.runs import FIRST_RUN, runs_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.flows import FlowRun, FlowSummary
    from loopline.records.registry import ModelVersion, RegisteredModel
    from loopline.records.tracking import Run
    from loopline.server.pages.request import PageRequest

__all__ = ["home_page"]

ROWS = 8
METRICS = 3
REFRESH_S = 10

BUSY = [StateKind.SUBMITTED, StateKind.RUNNING, StateKind.RETRYING]
OVER = [state for state in StateKind if state.is_finished]


def home_page(request: PageRequest) -> Page:
    """Show what matters today: ``/``."""
    ask = request.backend.call
    running = ask(ListFlowRuns(states=BUSY, max_results=ROWS)).flow_runs
    last = ask(ListFlowRuns(states=OVER, max_results=ROWS)).flow_runs
    training = ask(
        SearchRuns(
            filter="attributes.status = 'RUNNING'",
            order_by=["attributes.start_time DESC"],
            max_results=ROWS,
        )
    ).runs
    newest = ask(SearchRuns(order_by=["attributes.start_time DESC"], max_results=ROWS)).runs
    models, flows = ask(ListModels()), ask(ListFlows())
    if not (running or last or newest or models or flows):
        return Page("Loopline", _first_steps(), 0, "Home", LINKS)
    busy = bool(running or training)
    body = join(
        tag("h1", "Today"),
        _running(running, training, request.now_ms),
        tag(
            "div",
            _production(request, models),
            _next(flows, request.now_ms),
            class_="columns",
        ),
        parts.section(
            "Last flow runs",
            flow_runs_table(last, request.now_ms, with_flow=True)
            if last
            else parts.empty("No flow has run yet.", "loopline flows run PROJECT/FLOW"),
            tag("p", link_to("/flow-runs", "All flow runs"), class_="pager") if last else None,
        ),
        parts.section(
            "Last runs",
            _runs(newest, request.now_ms)
            if newest
            else parts.empty("No runs yet. This logs the first one:", FIRST_RUN),
            tag("p", link_to("/runs", "All runs"), class_="pager") if newest else None,
        ),
    )
    return Page("Loopline", body, REFRESH_S if busy else 0, "Home", LINKS)


def _running(flow_runs: list[FlowRun], runs: list[Run], now_ms: int) -> Markup:
    if not flow_runs and not runs:
        return parts.section("Running now", parts.empty("Nothing is running."))
    return parts.section(
        "Running now",
        tag("h3", "Flow runs") if flow_runs and runs else None,
        flow_runs_table(flow_runs, now_ms, with_flow=True) if flow_runs else None,
        tag("h3", "Runs") if flow_runs and runs else None,
        _runs(runs, now_ms) if runs else None,
    )


def _runs(runs: list[Run], now_ms: int) -> Markup:
    """A table of runs with little more than their names: the day at a glance."""
    return runs_table(runs, now_ms, with_experiment=True, most_metrics=2, most_params=0)


def _production(request: PageRequest, models: list[RegisteredModel]) -> Markup:
    champions = [
        request.backend.call(ResolveModel(name=model.name, version=model.champions["Production"]))
        for model in models
        if Stage.PRODUCTION in model.champions
    ][:ROWS]
    if champions:
        versions = [champion.version for champion in champions]
        rows = [_champion(version, request.now_ms) for version in versions]
        columns = (
            Column("Model", "name"),
            Column("Metrics", "text"),
            Column("From", "nowrap"),
            Column("Registered", "nowrap"),
        )
        body: Child = parts.table(columns, rows, label="Models in Production")
    elif models:
        name = models[0].name
        body = parts.empty(
            "No model is in Production. Promote one:",
            f"loopline models promote {name} {models[0].latest_version or 1}",
        )
    else:
        body = parts.empty("No registered models yet. Register one as you log it:", FIRST_MODEL)
    return parts.section("In Production", body)


def _champion(version: ModelVersion, now_ms: int) -> Sequence[Child]:
    shown = sorted(version.metrics.items())[:METRICS]
    return (
        addresses.model_link(version.name, version.version),
        ", ".join(f"{key} {number_words(value)}" for key, value in shown),
        addresses.run_link(version.run_id),
        parts.when(version.created_ms, now_ms),
    )


def _next(flows: list[FlowSummary], now_ms: int) -> Markup:
    due = sorted(
        (flow for flow in flows if flow.next_ms and flow.schedule_active),
        key=lambda flow: flow.next_ms or 0,
    )
    rows: list[Sequence[Child]] = [
        (
            tag(
                "span",
                distance_words(flow.next_ms, now_ms),
                title=time_words(flow.next_ms),
            ),
            addresses.flow_link(flow.project, flow.name),
            bars(flow.recent),
            schedule_words(flow),
        )
        for flow in due[:ROWS]
    ]
    columns = (
        Column("When", "nowrap"),
        Column("Flow", "name"),
        Column("Newest runs", "nowrap"),
        Column("Schedule", "text"),
    )
    if rows:
        return parts.section("Next", parts.table(columns, rows, label="Next flow runs"))
    if flows:
        return parts.section("Next", parts.empty("No flow has a schedule that is on."))
    return parts.section("Next", parts.empty("No flows yet. Register one:", FIRST_FLOW))


def _first_steps() -> Markup:
    return join(
        tag("h1", "Nothing here yet"),
        tag(
            "div",
            parts.section("Track a run", parts.command(FIRST_RUN)),
            parts.section(
                "Automate it", parts.command(FIRST_FLOW), parts.command("loopline worker")
            ),
            class_="columns",
        ),
        parts.section(
            "Or look at a whole story first",
            tag("p", "Months of taxi trips, a model that goes stale, and one that wins it back:"),
            parts.command("loopline demo taxifare"),
        ),
    )
