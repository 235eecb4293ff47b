"""The pages of experiments and of the runs in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.errors import FilterError
from loopline.records.operations import GetExperiment, ListExperiments, SearchRuns
from loopline.rules.shown import frequent_keys
from loopline.rules.words import number_words
from loopline.server.pages import addresses, parts
from loopline.server.pages.html import Child, Markup, join, link_to, tag, url
from loopline.server.pages.logged_models import models_of_experiment
from loopline.server.pages.parts import Column
from loopline.server.pages.request import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.tracking import Run
    from loopline.server.pages.request import PageRequest

__all__ = ["experiment_page", "experiments_page", "runs_page", "runs_table"]

ROWS = 100

#: Columns of each kind; the most used keys of the page's runs get one, all are on a run's page.
MOST_METRICS = 6
MOST_PARAMS = 5

FIRST_RUN = """import loopline

with loopline.start_run():
    loopline.log_params({"row_count": 100_000})
    loopline.log_metrics({"rmse": 0.456})"""


def experiments_page(request: PageRequest) -> Page:
    """List experiments: ``/experiments``."""
    found = request.backend.call(ListExperiments())
    rows = [
        (
            link_to(addresses.experiment_url(item.experiment_id), item.name),
            item.experiment_id,
            parts.when(item.updated_ms, request.now_ms),
            parts.when(item.created_ms, request.now_ms),
        )
        for item in found
    ]
    columns = (
        Column("Name", "name"),
        Column("Id", "number"),
        Column("Last change"),
        Column("Created"),
    )
    body = (
        parts.table(columns, rows, label="Experiments")
        if rows
        else parts.empty("No experiments yet. The first run makes one:", FIRST_RUN)
    )
    return Page(
        "Experiments", join(tag("h1", "Experiments"), tag("section", body)), 0, "Experiments"
    )


def experiment_page(request: PageRequest) -> Page:
    """List the runs of an experiment: ``/experiments/<id>``."""
    experiment = request.backend.call(GetExperiment(experiment_id=request.names[0]))
    body = join(
        parts.crumbs(link_to("/experiments", "Experiments")),
        tag("h1", experiment.name),
        _search(
            request, addresses.experiment_url(experiment.experiment_id), [experiment.experiment_id]
        ),
        models_of_experiment(request, experiment.experiment_id),
    )
    return Page(experiment.name, body, 0, "Experiments")


def runs_page(request: PageRequest) -> Page:
    """List the runs of all experiments: ``/runs``."""
    return Page("Runs", join(tag("h1", "Runs"), _search(request, "/runs", [])), 0, "Runs")


def _search(request: PageRequest, path: str, experiment_ids: list[str]) -> Markup:
    """A box for the filter, and the runs it finds."""
    filter_, order = request.query.get("filter", ""), request.query.get("order", "")
    form = tag(
        "form",
        tag(
            "input",
            type="search",
            name="filter",
            value=filter_,
            placeholder="Filter, such as: metrics.rmse < 4 AND params.model = 'keras'",
            aria_label="Filter",
            spellcheck="false",
            autocomplete="off",
        ),
        tag("input", type="hidden", name="order", value=order) if order else None,
        tag("button", "Search"),
        link_to(path, "Clear") if filter_ or order else None,
        action=path,
        class_="search",
        role="search",
    )
    asked = SearchRuns(
        experiment_ids=experiment_ids,
        filter=filter_,
        order_by=[order] if order else [],
        max_results=ROWS,
        page_token=request.query.get("page", ""),
    )
    try:
        page = request.backend.call(asked)
    except FilterError as error:
        return tag("section", form, parts.note(tag("pre", str(error)), kind="bad"))
    if not page.runs:
        nothing = (
            parts.empty("No run matches this filter.")
            if filter_
            else parts.empty("No runs yet. This logs the first one:", FIRST_RUN)
        )
        return tag("section", form, nothing)
    here = {"filter": filter_, "order": order}
    listed = runs_table(
        page.runs, request.now_ms, with_experiment=not experiment_ids, sort=(path, filter_, order)
    )
    following = page.next_page_token
    pager = [
        link_to(_at(path, here), "First page") if request.query.get("page") else None,
        link_to(_at(path, {**here, "page": following}), f"Next {ROWS} runs") if following else None,
    ]
    return tag("section", form, listed, tag("nav", pager, class_="pager", aria_label="Pages"))


def runs_table(
    runs: Sequence[Run],
    now_ms: int,
    *,
    with_experiment: bool,
    sort: tuple[str, str, str] | None = None,
    most_metrics: int = MOST_METRICS,
    most_params: int = MOST_PARAMS,
) -> Markup:
    """A table of runs, with columns for the metrics and params they use most.

    Args:
        runs: What to show.
        now_ms: Unix time in milliseconds.
        with_experiment: Whether to say which experiment each run is in.
        sort: Path, filter and order of a page whose heads are links that sort it.
        most_metrics: How many metrics get a column.
        most_params: How many params get a column.
    """
    metrics = frequent_keys((run.metrics for run in runs), most_metrics)
    params = frequent_keys((run.params for run in runs), most_params)

    def head(text: str, field: str) -> Child:
        return text if sort is None else _sorting(text, field, *sort)

    columns = [
        Column("Run", "name"),
        Column("Status"),
        Column(head("Started", "attributes.start_time")),
        Column("Duration", "nowrap"),
        *([Column("Experiment", "short")] if with_experiment else []),
        *(Column(head(key, f"metrics.{_quoted(key)}"), "number") for key in metrics),
        *(Column(head(key, f"params.{_quoted(key)}"), "short") for key in params),
    ]
    rows: list[Sequence[Child]] = [
        (
            parts.clamped(addresses.run_link(run.run_id, run.name or run.run_id[:8]), run.name),
            parts.status_pill(run.status),
            parts.when(run.start_ms, now_ms),
            parts.spent(run, now_ms),
            *([_experiment(run)] if with_experiment else []),
            *(_metric(run, key) for key in metrics),
            *(tag("span", value, title=value) for value in (run.params.get(k) for k in params)),
        )
        for run in runs
    ]
    return parts.table(columns, rows, label="Runs")


def _experiment(run: Run) -> Markup:
    name = run.experiment_name
    return link_to(addresses.experiment_url(run.experiment_id), name, title=name)


def _metric(run: Run, key: str) -> str:
    summary = run.metrics.get(key)
    return "" if summary is None else number_words(summary.value)


def _sorting(text: str, field: str, path: str, filter_: str, order: str) -> Markup:
    """A head that sorts by its column; once more turns it round."""
    arrow = {f"{field} ASC": " ▲", f"{field} DESC": " ▼"}.get(order, "")
    turned = f"{field} ASC" if order == f"{field} DESC" else f"{field} DESC"
    return link_to(
        _at(path, {"filter": filter_, "order": turned}), text, arrow, title=f"Sort by {text}"
    )


def _at(path: str, query: dict[str, str]) -> str:
    """Add a query to a path that is quoted already."""
    return path + url(query=query)[1:]


def _quoted(key: str) -> str:
    """Write a key as the search language needs it when it is no plain word."""
    return key if key.isidentifier() else f"`{key}`"
