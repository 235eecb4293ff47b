"""The pages of logged models, and what pages of runs and experiments show of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.errors import FilterError, NotFoundError
from loopline.records.logged_models import LoggedModelStatus, ModelRole
from loopline.records.operations import (
    GetExperiment,
    GetLoggedModel,
    ListLoggedModelFiles,
    ListRunModels,
    SearchLoggedModels,
)
from loopline.rules.shown import frequent_keys
from loopline.rules.words import number_words, size_words, time_words
from loopline.server.pages import addresses, parts
from loopline.server.pages.html import Child, Markup, join, link_to, tag, url
from loopline.server.pages.parts import Column
from loopline.server.pages.request import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.logged_models import LoggedModel, RunModel
    from loopline.records.tracking import Run
    from loopline.server.pages.request import PageRequest

__all__ = [
    "logged_model_page",
    "logged_models_page",
    "models_of_experiment",
    "models_of_run",
]

ROWS = 100
#: On the pages of runs and experiments.
FEW = 20
MOST_METRICS = 5
MOST_POINTS = 200

_TONES = {
    LoggedModelStatus.PENDING: "wait",
    LoggedModelStatus.READY: "good",
    LoggedModelStatus.FAILED: "bad",
}


def logged_models_page(request: PageRequest) -> Page:
    """Find logged models: ``/logged-models``."""
    filter_, experiment = request.query.get("filter", ""), request.query.get("experiment", "")
    form = tag(
        "form",
        tag(
            "input",
            type="search",
            name="filter",
            value=filter_,
            placeholder="Filter, such as: metrics.rmse < 4 AND params.depth = '7'",
            aria_label="Filter",
            spellcheck="false",
            autocomplete="off",
        ),
        tag("input", type="hidden", name="experiment", value=experiment) if experiment else None,
        tag("button", "Search"),
        link_to("/logged-models", "Clear") if filter_ or experiment else None,
        action="/logged-models",
        class_="search",
        role="search",
    )
    asked = SearchLoggedModels(
        experiment_ids=[experiment] if experiment else [],
        filter=filter_,
        max_results=ROWS,
        page_token=request.query.get("page", ""),
    )
    try:
        page = request.backend.call(asked)
    except FilterError as error:
        found: Child = parts.note(tag("pre", str(error)), kind="bad")
    else:
        is_narrow = bool(filter_ or experiment)
        nothing = "No logged model is like that." if is_narrow else "No logged models yet."
        more = {"filter": filter_, "experiment": experiment, "page": page.next_page_token}
        following = (
            link_to(url("logged-models", query=more), f"Next {ROWS}")
            if page.next_page_token
            else None
        )
        found = join(
            _table(page.models, request.now_ms) if page.models else parts.empty(nothing),
            tag("nav", following, class_="pager", aria_label="Pages") if following else None,
        )
    body = join(
        parts.crumbs(link_to("/models", "Models")),
        tag("h1", "Logged models"),
        tag("section", form, found),
    )
    return Page("Logged models", body, 0, "Models")


def logged_model_page(request: PageRequest) -> Page:
    """Show a logged model: ``/logged-models/<id>``."""
    ask = request.backend.call
    model = ask(GetLoggedModel(model_id=request.names[0]))
    experiment = ask(GetExperiment(experiment_id=model.experiment_id))
    body = join(
        parts.crumbs(
            link_to("/logged-models", "Logged models"),
            link_to(addresses.experiment_url(experiment.experiment_id), experiment.name),
            *([addresses.run_link(model.source_run_id)] if model.source_run_id else []),
        ),
        tag("h1", model.name, _status(model)),
        parts.note(model.status_message, kind="bad")
        if model.status_message and model.status == LoggedModelStatus.FAILED
        else None,
        tag(
            "div",
            parts.section("Overview", _overview(model, request.now_ms)),
            parts.texts("Params", model.params, "It has no params."),
            class_="columns",
        ),
        _points(model),
        tag(
            "div",
            _files(request, model),
            parts.texts("Tags", model.tags, "It has no tags."),
            class_="columns",
        ),
        _use(model),
    )
    return Page(model.name, body, 0, "Models")


def models_of_run(request: PageRequest, run: Run) -> Markup | None:
    """Show the logged models that a run read or made; nothing when there are none."""
    links = request.backend.call(ListRunModels(run_id=run.run_id))
    if not links:
        return None
    columns = (Column("Model", "name"), Column("Status"), Column("What", "nowrap"))
    rows = [(*_named(request, link), _what(link)) for link in links[:FEW]]
    return parts.section(
        "Logged models",
        parts.table(columns, rows, label="Logged models"),
        parts.more(len(links), FEW, "logged model"),
        count=len(links),
    )


def models_of_experiment(request: PageRequest, experiment_id: str) -> Markup | None:
    """Show the newest logged models of an experiment; nothing when there are none."""
    asked = SearchLoggedModels(experiment_ids=[experiment_id], max_results=FEW)
    page = request.backend.call(asked)
    if not page.models:
        return None
    everything = url("logged-models", query={"experiment": experiment_id})
    text = "All of them, to search" if page.next_page_token else "Search them"
    return parts.section(
        "Logged models",
        _table(page.models, request.now_ms),
        tag("p", link_to(everything, text), class_="pager"),
    )


def _named(request: PageRequest, link: RunModel) -> tuple[Child, Child]:
    """A model's name as a link, and its status; one that is deleted has its id alone."""
    try:
        model = request.backend.call(GetLoggedModel(model_id=link.model_id))
    except NotFoundError:
        return tag("span", link.model_id[:10], title=link.model_id, class_="soft"), "deleted"
    return addresses.logged_model_link(model.model_id, model.name), _status(model)


def _what(link: RunModel) -> str:
    if link.role == ModelRole.INPUT:
        return "read"
    return f"made at step {link.step:,}" if link.step else "made"


def _status(model: LoggedModel) -> Markup:
    return tag("span", model.status.value.capitalize(), class_=f"pill {_TONES[model.status]}")


def _table(models: Sequence[LoggedModel], now_ms: int) -> Markup:
    measured = [{point.key: point.value for point in model.metrics} for model in models]
    keys = frequent_keys(measured, MOST_METRICS)
    columns = [
        Column("Model", "name"),
        Column("Status"),
        Column("Type", "short"),
        *(Column(key, "number") for key in keys),
        Column("Logged"),
        Column("Run"),
        Column("Versions", "short"),
    ]
    rows: list[Sequence[Child]] = [
        (
            parts.clamped(addresses.logged_model_link(model.model_id, model.name), model.name),
            _status(model),
            model.model_type,
            *(number_words(values[key]) if key in values else "" for key in keys),
            parts.when(model.created_ms, now_ms),
            addresses.run_link(model.source_run_id) if model.source_run_id else "-",
            _versions(model),
        )
        for model, values in zip(models, measured, strict=True)
    ]
    return parts.table(columns, rows, label="Logged models")


def _versions(model: LoggedModel) -> Child:
    pieces: list[Child] = []
    for name, version in model.registrations:
        pieces += [", "] if pieces else []
        pieces.append(addresses.model_link(name, version))
    return pieces or None


def _overview(model: LoggedModel, now_ms: int) -> Markup:
    logged = join(time_words(model.created_ms), " (", parts.when(model.created_ms, now_ms), ")")
    return parts.facts(
        [
            ("Model id", tag("code", model.model_id)),
            ("Type", model.model_type),
            ("Logged", logged if model.created_ms else None),
            ("Run", addresses.run_link(model.source_run_id) if model.source_run_id else None),
            ("Versions", _versions(model) if model.registrations else None),
        ]
    )


def _points(model: LoggedModel) -> Markup:
    if not model.metrics:
        return parts.section("Metrics", parts.empty("Nothing was measured on it."))
    columns = (
        Column("Metric", "name"),
        Column("Value", "number"),
        Column("Step", "number"),
        Column("Data", "text"),
        Column("Run"),
    )
    rows = [
        (
            point.key,
            number_words(point.value),
            f"{point.step:,}",
            tag("span", point.dataset_name, title=point.dataset_digest or None),
            addresses.run_link(point.run_id),
        )
        for point in model.metrics[:MOST_POINTS]
    ]
    return parts.section(
        "Metrics",
        parts.table(columns, rows, label="Metrics"),
        parts.more(len(model.metrics), MOST_POINTS, "point"),
        count=len(model.metrics),
    )


def _files(request: PageRequest, model: LoggedModel) -> Markup:
    files = request.backend.call(ListLoggedModelFiles(model_id=model.model_id, recursive=True))
    if not files:
        return parts.section("Files", parts.empty("It has no files."))
    rows = [
        (
            link_to(addresses.logged_model_file_url(model.model_id, file.path), file.path),
            size_words(file.size_bytes),
        )
        for file in files
    ]
    columns = (Column("File", "text"), Column("Size", "number"))
    return parts.section("Files", parts.table(columns, rows, label="Files"), count=len(files))


def _use(model: LoggedModel) -> Markup:
    uri = f"models:/{model.model_id}"
    return parts.section(
        "Use it",
        parts.command(f'loopline.load_model("{uri}")'),
        parts.command(f'loopline.register_model("{uri}", "{model.name}")'),
    )
