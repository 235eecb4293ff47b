"""The page of one run, and the pictures of its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.errors import NotFoundError
from loopline.records.operations import (
    GetMetricHistory,
    GetRun,
    ListArtifacts,
    ListInputs,
    ListRefused,
    ListRunEvents,
    SearchRuns,
)
from loopline.rules.charts import Series, line_chart
from loopline.rules.words import count_words, number_words, size_words, time_words
from loopline.server.pages import addresses, parts
from loopline.server.pages.html import Child, Markup, join, link_to, tag, url
from loopline.server.pages.logged_models import models_of_run
from loopline.server.pages.parts import Column
from loopline.server.pages.request import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.tracking import Artifact, MetricSummary, Run, RunInput
    from loopline.server.pages.request import PageRequest

__all__ = ["chart", "picture_type", "run_page"]

#: Two values per pixel of a chart: more cannot be seen.
CHART_POINTS = 1_000
CHART_WIDTH, CHART_HEIGHT = 520, 320
MOST_CHARTS = 24
MOST_PICTURES = 12
MOST_REFUSED = 20
REFRESH_S = 5

#: Kinds of files that a page shows: what a browser draws without running anything.
PICTURE_TYPES = {
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}

#: Tags that the client sets by itself begin like this; the others are the user's.
OWN_TAGS = ("mlflow.", "loopline.")


def run_page(request: PageRequest) -> Page:
    """Show a run: ``/runs/<id>``."""
    ask = request.backend.call
    run = ask(GetRun(run_id=request.names[0]))
    title = run.name or run.run_id
    many = {key: one for key, one in sorted(run.metrics.items()) if one.count > 1}
    own = {key: value for key, value in run.tags.items() if key.startswith(OWN_TAGS)}
    path = request.query.get("path", "")
    files = ask(ListArtifacts(run_id=run.run_id, path=path))
    body = join(
        _crumbs(run),
        tag("h1", title, parts.status_pill(run.status)),
        _why(run),
        _refused(request),
        tag(
            "div",
            parts.section("Overview", _overview(run, _inside(request, run), request.now_ms)),
            parts.texts("Params", run.params, "This run logged no params."),
            class_="columns",
        ),
        _metrics(run),
        _pictures(run, files),
        _charts(run.run_id, list(many)),
        tag(
            "div",
            _artifacts(run, path, files),
            _inputs(ask(ListInputs(run_id=run.run_id))),
            models_of_run(request, run),
            parts.texts(
                "Tags",
                {key: value for key, value in run.tags.items() if key not in own},
                "This run has no tags.",
            ),
            parts.texts("Environment and code", own, "Nothing was recorded about its environment."),
            _history(request, run),
            class_="columns",
        ),
    )
    return Page(title, body, 0 if run.status.is_terminal else REFRESH_S, "Runs")


def chart(request: PageRequest) -> str:
    """Draw one metric of a run: ``/runs/<id>/chart.svg?key=…``."""
    key = request.query.get("key", "")
    if not key:
        msg = "Say which metric to draw: chart.svg?key=rmse."
        raise NotFoundError(msg)
    history = request.backend.call(
        GetMetricHistory(run_id=request.names[0], key=key, max_points=CHART_POINTS)
    )
    if not history.total:
        msg = f"The run has no metric {key!r}. Its page lists those it has."
        raise NotFoundError(msg)
    shown = len(history.values)
    points = count_words(history.total, "point")
    # The reduced points keep every extreme; still, a chart says when it is not all there is.
    label = f"{points}, {shown:,} of them drawn" if shown < history.total else points
    return line_chart(
        [Series(label=label, values=history.values, xs=history.steps)],
        title=key,
        x_label="step",
        width=CHART_WIDTH,
        height=CHART_HEIGHT,
    )


def _crumbs(run: Run) -> Markup:
    experiment = link_to(
        addresses.experiment_url(run.experiment_id), run.experiment_name or run.experiment_id
    )
    parent = [addresses.run_link(run.parent_run_id)] if run.parent_run_id else []
    return parts.crumbs(link_to("/experiments", "Experiments"), experiment, *parent)


def _why(run: Run) -> Markup | None:
    if run.end_reason:
        return parts.note(run.end_reason, kind="bad" if run.status != "FINISHED" else "")
    if not run.start_ms:
        return parts.note(
            "The start of this run has not arrived yet: another process holds it in its journal. "
            "Run ",
            tag("code", "loopline sync"),
            " on the machine where it began.",
            kind="warn",
        )
    return None


def _overview(run: Run, inside: Markup | None, now_ms: int) -> Markup:
    flow_run = None
    if run.flow_run_id:
        task = f", task {run.task_slug}" if run.task_slug else ""
        flow_run = join(addresses.flow_run_link(run.flow_run_id), task)
    started = join(time_words(run.start_ms), " (", parts.when(run.start_ms, now_ms), ")")
    return parts.facts(
        [
            ("Run id", tag("code", run.run_id)),
            ("Started", started if run.start_ms else None),
            ("Duration", parts.spent(run, now_ms)),
            ("User", run.user),
            ("Flow run", flow_run),
            ("Parent", addresses.run_link(run.parent_run_id) if run.parent_run_id else None),
            ("Runs inside it", inside),
            ("Deleted", "yes" if run.lifecycle == "deleted" else None),
        ]
    )


def _inside(request: PageRequest, run: Run) -> Markup | None:
    """A link to the runs that were started inside this one, when there are any."""
    filter_ = f"attributes.parent_run_id = '{run.run_id}'"
    if not request.backend.call(SearchRuns(filter=filter_, max_results=1)).runs:
        return None
    return link_to(url("experiments", run.experiment_id, query={"filter": filter_}), "Show them")


def _metrics(run: Run) -> Markup:
    if not run.metrics:
        return parts.section("Metrics", parts.empty("This run logged no metrics."))
    columns = (
        Column("Metric", "name"),
        *(Column(name, "number") for name in ("Last", "Min", "Max", "Mean", "Points", "Last step")),
    )
    rows = [(key, *_numbers(summary)) for key, summary in sorted(run.metrics.items())]
    return parts.section(
        "Metrics", parts.table(columns, rows, label="Metrics"), count=len(run.metrics)
    )


def _numbers(summary: MetricSummary) -> Sequence[str]:
    values = map(number_words, (summary.value, summary.min, summary.max, summary.mean))
    return (*values, f"{summary.count:,}", f"{summary.last_step:,}")


def _charts(run_id: str, keys: list[str]) -> Markup | None:
    if not keys:
        return None
    pictures = [
        link_to(
            addresses.chart_url(run_id, key),
            tag(
                "img",
                src=addresses.chart_url(run_id, key),
                alt=f"Line chart of {key} over the steps of the run",
                width=CHART_WIDTH,
                height=CHART_HEIGHT,
                loading="lazy",
            ),
        )
        for key in keys[:MOST_CHARTS]
    ]
    return parts.section(
        "Charts",
        tag("div", pictures, class_="charts"),
        parts.more(len(keys), MOST_CHARTS, "metric"),
        count=len(keys),
    )


def picture_type(name: str) -> str:
    """Tell the media type of a picture by its file's name; empty: it is none."""
    return PICTURE_TYPES.get(name.rpartition(".")[2].lower(), "")


def _pictures(run: Run, files: list[Artifact]) -> Markup | None:
    """Show the pictures of the folder that the page lists."""
    found = [file.path for file in files if not file.is_dir and picture_type(file.path)]
    if not found:
        return None
    shown = [
        tag(
            "figure",
            tag("img", src=addresses.artifact_url(run.run_id, path), alt=_name(path)),
            tag("figcaption", link_to(addresses.artifact_url(run.run_id, path), _name(path))),
        )
        for path in sorted(found)[:MOST_PICTURES]
    ]
    return parts.section(
        "Pictures",
        tag("div", shown, class_="pictures"),
        parts.more(len(found), MOST_PICTURES, "picture"),
        count=len(found),
    )


def _artifacts(run: Run, path: str, files: list[Artifact]) -> Markup:
    above, _, _ = path.rpartition("/")
    up = link_to(_folder(run, above), "↑ up") if path else None
    if not files:
        nothing = parts.empty("This run has no files.", 'loopline.log_artifact("report.html")')
        return parts.section("Artifacts", up, nothing, id_="artifacts")
    rows = [
        (
            link_to(_folder(run, file.path), f"{_name(file.path)}/")
            if file.is_dir
            else link_to(addresses.artifact_url(run.run_id, file.path), _name(file.path)),
            "" if file.is_dir else size_words(file.size_bytes),
        )
        for file in sorted(files, key=lambda file: (not file.is_dir, file.path))
    ]
    columns = (Column("Name", "full"), Column("Size", "number"))
    where = tag("p", up, " ", tag("code", path)) if path else None
    return parts.section(
        "Artifacts",
        where,
        parts.table(columns, rows, label="Artifacts"),
        id_="artifacts",
    )


def _folder(run: Run, path: str) -> str:
    return url("runs", run.run_id, query={"path": path}) + "#artifacts"


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _inputs(inputs: list[RunInput]) -> Markup | None:
    if not inputs:
        return None
    rows: list[Sequence[Child]] = [
        (
            item.dataset.name,
            item.context,
            "" if item.dataset.rows is None else f"{item.dataset.rows:,}",
            tag("code", item.dataset.digest[:12], title=item.dataset.digest),
            item.dataset.source,
        )
        for item in inputs
    ]
    columns = (
        Column("Name", "name"),
        Column("For"),
        Column("Rows", "number"),
        Column("Digest"),
        Column("Source", "text"),
    )
    return parts.section("Data", parts.table(columns, rows, label="Data"), count=len(inputs))


def _history(request: PageRequest, run: Run) -> Markup | None:
    events = request.backend.call(ListRunEvents(run_id=run.run_id))
    if not events:
        return None
    rows = [
        (parts.when(event.at_ms, request.now_ms), parts.status_pill(event.status), event.reason)
        for event in events
    ]
    columns = (Column("When"), Column("Status"), Column("Reason", "text"))
    return parts.section("History", parts.table(columns, rows, label="History"))


def _refused(request: PageRequest) -> Markup | None:
    refused = request.backend.call(ListRefused(run_id=request.names[0]))
    if not refused:
        return None
    said = count_words(len(refused), "record of this run was", "records of this run were")
    lines = [
        tag("li", item.reason, " ", tag("code", item.fact[:300])) for item in refused[:MOST_REFUSED]
    ]
    return parts.note(
        tag("p", f"{said} refused for good and will not appear below:"),
        tag("ul", lines),
        parts.more(len(refused), MOST_REFUSED, "record"),
        kind="warn",
    )
