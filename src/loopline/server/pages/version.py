"""The page of a model version: why it is there, what it predicted, what it is connected with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.errors import NotFoundError
from loopline.records.operations import ExplainVersion, GetLineage
from loopline.rules.lineage_trees import branch_of
from loopline.rules.reason_facts import facts_of, reason_sentence
from loopline.server.pages import addresses, parts
from loopline.server.pages.html import Child, Markup, join, link_to, tag
from loopline.server.pages.models import model_page
from loopline.server.pages.parts import Column
from loopline.server.pages.request import Page

if TYPE_CHECKING:
    from loopline.records.lineage import LineageNode
    from loopline.records.predictions import Predictions
    from loopline.rules.lineage_trees import Branch
    from loopline.server.pages.request import PageRequest

__all__ = ["version_page"]

DEPTH, MOST_NODES = 6, 100
#: Facts that the page says elsewhere.
TOLD = {
    "Version", "Stands in", "Since", "Decided by", "Reason", "In the place of", "Predicted",
    "Led to",
}  # fmt: skip


def version_page(request: PageRequest) -> Page:
    """Show a version: ``/models/<name>/versions/<number>``."""
    if len(request.names) == 1:  # A model may be called "fares/versions/new".
        return model_page(request)
    name, number = request.names
    is_number = number.isascii() and number.isdecimal() and 0 < len(number) < 10  # noqa: PLR2004
    if not is_number or not int(number):
        msg = f"{number[:80]!r} is no version of a model: they are numbered from 1."
        raise NotFoundError(msg)
    found = request.backend.call(ExplainVersion(name=name, version=int(number)))
    lineage = request.backend.call(
        GetLineage(node=f"version:{name}/{int(number)}", depth=DEPTH, limit=MOST_NODES)
    )
    version = found.version
    body = join(
        parts.crumbs(link_to("/models", "Models"), addresses.model_link(name)),
        tag("h1", f"{name} v{version.version} ", parts.stage_pill(version.stage)),
        tag("p", version.description) if version.description else None,
        parts.section(
            "Why it is there",
            tag("p", reason_sentence(found)),
            parts.facts((key, _lines(told)) for key, told in facts_of(found) if key not in TOLD),
        ),
        _predictions(found.predictions, request),
        parts.section(
            "Lineage",
            tag("h3", "Came of"),
            _tree(branch_of(lineage, "up"), "Nothing that is recorded."),
            tag("h3", "Led to"),
            _tree(branch_of(lineage, "down"), "Nothing yet."),
            id_="lineage",
        ),
    )
    return Page(f"{name} v{version.version}", body, 0, "Models")


def _lines(told: str) -> Child:
    return join([tag("div", line) for line in told.split("\n")])


def _predictions(made: list[Predictions], request: PageRequest) -> Markup | None:
    if not made:
        return None
    columns = (
        Column("Deployment"),
        Column("Status", "nowrap"),
        Column("Rows", "number"),
        Column("From", "nowrap"),
        Column("Until", "nowrap"),
    )
    rows = [
        (
            addresses.run_link(one.run_id),
            parts.status_pill(one.status),
            f"{one.rows:,}",
            parts.when(one.first_ms, request.now_ms),
            parts.when(one.last_ms, request.now_ms),
        )
        for one in made
    ]
    table = parts.table(columns, rows, label="Predictions")
    return parts.section("Predictions", table, count=sum(one.rows for one in made))


def _tree(branch: Branch, nothing: str) -> Markup:
    if not branch.following and not branch.has_more:
        return tag("p", nothing, class_="soft")
    return _following(branch)


def _following(branch: Branch) -> Markup:
    items = [
        tag(
            "li",
            tag("span", one.node.kind, class_="soft"),
            " ",
            _name(one.node),
            _remarks(one),
            _following(one) if one.following or one.has_more else None,
        )
        for one in branch.following
    ]
    if branch.has_more:
        items.append(tag("li", "and more", class_="soft"))
    return tag("ul", items, class_="lineage")


def _remarks(branch: Branch) -> Markup | None:
    told = [branch.node.state, branch.label, "see above" if branch.is_again else ""]
    said = ", ".join(filter(None, told))
    return tag("span", f" {said}", class_="soft small") if said else None


def _name(node: LineageNode) -> Child:
    address = _address(node)
    return link_to(address, node.title) if address else node.title


def _address(node: LineageNode) -> str:
    """Find the page of a node; empty: it has none."""
    before, _, last = node.key.rpartition("/")
    match node.kind:
        case "run" | "deployment" | "drift":
            return addresses.run_url(node.key)
        case "predictions":
            return addresses.run_url(before)
        case "version":
            return addresses.version_url(before, last)
        case "stage":
            return addresses.model_url(before)
        case "decision":
            return addresses.decision_url(node.key)
        case "flow run":
            return addresses.flow_run_url(node.key)
        case "task run":
            return addresses.flow_run_url(node.key.partition("/")[0])
        case "flow":
            project, _, name = node.key.partition("/")
            return addresses.flow_url(project, name)
        case _:
            return ""
