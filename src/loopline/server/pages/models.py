"""The pages of registered models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.records.operations import GetModel, ListModels, ListVersionEvents, ListVersions
from loopline.records.registry import Stage
from loopline.rules.words import number_words, size_words, time_words
from loopline.server.pages import addresses, parts
from loopline.server.pages.decisions import decisions_of
from loopline.server.pages.html import Child, Markup, join, link_to, tag
from loopline.server.pages.parts import Column
from loopline.server.pages.request import Page
from loopline.server.pages.why import why_there

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.registry import ModelVersion, RegisteredModel, VersionEvent
    from loopline.server.pages.request import PageRequest

__all__ = ["model_page", "models_page"]

FIRST_MODEL = 'loopline.sklearn.log_model(model, "model", registered_model_name="taxifare_model")'
MOST_METRICS = 5
MOST_EVENTS = 200
ROWS = 100


def models_page(request: PageRequest) -> Page:
    """List registered models: ``/models``."""
    found = request.backend.call(ListModels())
    columns = (
        Column("Model", "name"),
        Column("Production", "number"),
        Column("Staging", "number"),
        Column("Newest", "number"),
        Column("Aliases", "text"),
        Column("Last change"),
        Column("Description", "text"),
    )
    rows = [
        (
            addresses.model_link(model.name),
            _champion(model, Stage.PRODUCTION),
            _champion(model, Stage.STAGING),
            _version_link(model.name, model.latest_version),
            _aliases(model),
            parts.when(model.updated_ms, request.now_ms),
            model.description,
        )
        for model in found
    ]
    body = (
        parts.table(columns, rows, label="Models")
        if rows
        else parts.empty("No registered models yet. Register one as you log it:", FIRST_MODEL)
    )
    logged = tag(
        "p",
        link_to("/decisions", "Decisions"),
        " over versions. ",
        link_to("/logged-models", "Logged models"),
        ", which need not be registered.",
    )
    return Page("Models", join(tag("h1", "Models"), tag("section", body), logged), 0, "Models")


def model_page(request: PageRequest) -> Page:
    """Show a model, its versions and who moved them: ``/models/<name>``."""
    name = request.names[0]
    model = request.backend.call(GetModel(name=name))
    versions = request.backend.call(ListVersions(name=name))
    events = request.backend.call(ListVersionEvents(name=name))
    body = join(
        parts.crumbs(link_to("/models", "Models")),
        tag("h1", name),
        tag("p", model.description) if model.description else None,
        why_there(model, request),
        _versions(model, versions, request),
        decisions_of(name, request),
        _events(events, request),
        _loading(model),
    )
    return Page(name, body, 0, "Models")


def _versions(model: RegisteredModel, versions: list[ModelVersion], request: PageRequest) -> Markup:
    if not versions:
        return parts.section("Versions", parts.empty("No versions yet.", FIRST_MODEL))
    start = request.number("from", 0)
    shown = versions[start : start + ROWS]
    metrics = sorted({key for version in shown for key in version.metrics})[:MOST_METRICS]
    columns = (
        Column("Version", "nowrap"),
        Column("Stage", "nowrap"),
        *(Column(key, "number") for key in metrics),
        Column("Registered"),
        Column("By", "short"),
        Column("Run"),
        Column("Size", "number"),
        Column("Description", "text"),
    )
    rows: list[Sequence[Child]] = [
        (
            tag(
                "strong",
                link_to(addresses.version_url(model.name, version.version), f"v{version.version}"),
                id=f"v{version.version}",
            ),
            _standing(model, version),
            *(_metric(version, key) for key in metrics),
            parts.when(version.created_ms, request.now_ms),
            version.actor,
            addresses.run_link(version.run_id) if version.run_id else "-",
            size_words(version.size_bytes),
            version.description,
        )
        for version in shown
    ]
    later = start + ROWS
    following = (
        link_to(
            f"{addresses.model_url(model.name)}?from={later}", f"Older than v{shown[-1].version}"
        )
        if later < len(versions)
        else None
    )
    return parts.section(
        "Versions",
        parts.table(columns, rows, label="Versions"),
        tag("p", following, class_="pager") if following else None,
        count=len(versions),
    )


def _standing(model: RegisteredModel, version: ModelVersion) -> Markup:
    aliases = [tag("span", f"@{alias}", class_="pill busy") for alias in version.aliases]
    mark = None
    champion = model.champions.get(version.stage)
    if champion is not None and champion != version.version:
        mark = tag("span", f" v{champion} is the champion", class_="soft small")
    return join(parts.stage_pill(version.stage), mark, [join(" ", alias) for alias in aliases])


def _metric(version: ModelVersion, key: str) -> str:
    return number_words(version.metrics[key]) if key in version.metrics else ""


def _events(events: list[VersionEvent], request: PageRequest) -> Markup:
    if not events:
        return parts.section("History", parts.empty("Nobody has moved a version yet."))
    columns = (
        Column("When", "nowrap"),
        Column("Version", "number"),
        Column("What", "nowrap"),
        Column("Who", "short"),
        Column("Why", "text"),
    )
    rows = [
        (
            tag("time", time_words(event.at_ms), title=str(event.at_ms)),
            f"v{event.version}" if event.version else "",
            _move(event),
            event.actor,
            event.reason,
        )
        for event in events[:MOST_EVENTS]
    ]
    command = f"loopline models history {request.names[0]}"
    rest = tag("p", "All of it: ", tag("code", command), class_="soft small")
    return parts.section(
        "History",
        parts.table(columns, rows, label="History"),
        rest if len(events) > MOST_EVENTS else None,
        count=len(events),
    )


def _move(event: VersionEvent) -> Child:
    if event.kind == "stage":
        before = parts.stage_pill(event.before or "None")
        return join(before, " → ", parts.stage_pill(event.after or "None"))
    if event.kind == "created":
        return "registered" if event.version else "model created"
    if event.kind == "deleted":
        return "deleted" if event.version else "model deleted"
    if event.kind == "renamed":
        return f"renamed from {event.before}"
    alias, _, version = (event.after or event.before).partition(": ")
    pointed = f" → v{version}" if version else ""
    return f"{event.kind} @{alias}{pointed}"


def _loading(model: RegisteredModel) -> Markup:
    target = (
        Stage.PRODUCTION if Stage.PRODUCTION in model.champions else str(model.latest_version or 1)
    )
    code = f'loopline.load_model("models:/{model.name}/{target}")'
    promote = (
        f"loopline models promote {model.name} {model.latest_version or 1} "
        '--stage Production --reason "…"'
    )
    return parts.section("Use it", parts.command(code), parts.command(promote))


def _champion(model: RegisteredModel, stage: Stage) -> Child:
    return _version_link(model.name, model.champions.get(stage, 0))


def _version_link(name: str, version: int) -> Child:
    return link_to(addresses.model_url(name, version), f"v{version}") if version else "-"


def _aliases(model: RegisteredModel) -> Child:
    return ", ".join(f"@{alias} v{version}" for alias, version in sorted(model.aliases.items()))
