"""The pages of decisions: what was weighed, and the yes or no of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.records.decisions import DecisionStatus, KeptDecision
from loopline.records.operations import GetDecision, ListDecisions
from loopline.rules.interval_chart import gain_chart
from loopline.rules.words import number_words, time_words
from loopline.server.pages import addresses, parts
from loopline.server.pages.html import Markup, join, link_to, tag
from loopline.server.pages.parts import Column
from loopline.server.pages.request import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.decisions import Check
    from loopline.server.pages.html import Child
    from loopline.server.pages.request import PageRequest

__all__ = ["decision_page", "decision_picture", "decisions_of", "decisions_page"]

TONES = {
    DecisionStatus.PROMOTED: "good",
    DecisionStatus.KEPT: "idle",
    DecisionStatus.WAITING: "warn",
    DecisionStatus.REFUSED: "idle",
    DecisionStatus.OVERTAKEN: "idle",
    DecisionStatus.ROLLED_BACK: "bad",
    DecisionStatus.DRY_RUN: "wait",
}
UNSEEN = {
    "feed": "yes, by the rows' places in the feed",
    "digest": "yes: no run of either logged this data version for training",
    "": "not known: whoever compared them did not say which data version the rows are",
}
MOST = 100


def _pill(status: DecisionStatus) -> Markup:
    return tag("span", status.value, class_=f"pill {TONES[status]}")


def decisions_page(request: PageRequest) -> Page:
    """List decisions, those that wait for a person first: ``/decisions``."""
    waiting = request.backend.call(ListDecisions(status=DecisionStatus.WAITING, limit=MOST))
    found = request.backend.call(ListDecisions(limit=MOST))
    body = join(
        tag("h1", "Decisions"),
        parts.section("Waiting for a person", _table(waiting, request), count=len(waiting))
        if waiting
        else None,
        parts.section("Newest", _table(found, request))
        if found
        else parts.empty(
            "Nothing has been decided yet. A decision compares a version with the champion:",
            "decision = loopline.lifecycle.compare(name, version, rows, truth)",
            "loopline.lifecycle.promote(name, decision)",
        ),
    )
    return Page("Decisions", body, 0, "Models")


def decisions_of(name: str, request: PageRequest) -> Markup | None:
    """Show the newest decisions over a model, for its page."""
    found = request.backend.call(ListDecisions(name=name, limit=10))
    if not found:
        return None
    return parts.section("Decisions", _table(found, request, with_models=False))


def _table(
    found: Sequence[KeptDecision], request: PageRequest, *, with_models: bool = True
) -> Markup:
    columns = (
        Column("When", "nowrap"),
        *([Column("Model", "name")] if with_models else []),
        Column("Status", "nowrap"),
        Column("Decision", "text"),
        Column("By", "short"),
    )
    rows: list[Sequence[Child]] = [
        (
            parts.when(each.at_ms, request.now_ms),
            *([addresses.model_link(each.name)] if with_models else []),
            _pill(each.status),
            link_to(addresses.decision_url(each.decision_id), each.decision.sentence),
            each.actor,
        )
        for each in found
    ]
    return parts.table(columns, rows, label="Decisions")


def decision_page(request: PageRequest) -> Page:
    """Show a decision; who may answers it here: ``/decisions/<id>``."""
    kept = request.backend.call(GetDecision(decision_id=request.names[0]))
    decided = kept.decision
    found = decided.comparison
    body = join(
        parts.crumbs(link_to("/decisions", "Decisions"), addresses.model_link(kept.name)),
        tag("h1", decided.sentence, " ", _pill(kept.status)),
        _form(kept) if kept.status is DecisionStatus.WAITING else None,
        parts.section(
            "What was weighed",
            parts.facts(
                [
                    (
                        "Champion",
                        _scored(kept.name, decided.champion, found.champion if found else None),
                    ),
                    (
                        "Challenger",
                        _scored(kept.name, decided.challenger, decided.score),
                    ),
                    ("Metric", decided.metric or "-"),
                    ("Rows", f"{found.rows:,}" if found else "-"),
                    ("Unseen by both", UNSEEN.get(decided.unseen, decided.unseen)),
                    ("Chance of such a gain by luck", f"p = {found.p:.2g}" if found else "-"),
                    ("Stage", kept.stage),
                    ("Decided", f"{time_words(kept.at_ms)}, by {kept.actor or 'somebody'}"),
                    ("Policy", f"number {kept.policy}" if kept.policy else "none"),
                    *_origins(kept),
                ]
            ),
        ),
        parts.section(
            "Gains",
            tag(
                "figure",
                tag(
                    "img",
                    src=addresses.decision_picture_url(kept.decision_id),
                    alt=f"Gains of v{decided.challenger}: {decided.sentence}",
                ),
            ),
        )
        if found
        else None,
        _checks(decided.checks) if decided.checks else None,
        *(_slices(check) for check in decided.checks if check.slices),
    )
    return Page(decided.sentence, body, 0, "Models")


def decision_picture(request: PageRequest) -> str:
    """Draw the gains of a decision."""
    kept = request.backend.call(GetDecision(decision_id=request.names[0]))
    return gain_chart(kept.decision)


def _scored(name: str, version: int | None, score: float | None) -> Child:
    if version is None:
        return "none"
    link = link_to(addresses.model_url(name, version), f"v{version}")
    return link if score is None else join(link, f": {number_words(score)}")


def _origins(kept: KeptDecision) -> list[tuple[Child, Child]]:
    """Where it came from, and who answered: what there is of that."""
    pairs: list[tuple[Child, Child]] = []
    if kept.run_id:
        pairs.append(("Run", addresses.run_link(kept.run_id)))
    if kept.flow_run_id:
        pairs.append(("Flow run", addresses.flow_run_link(kept.flow_run_id)))
    if kept.answered_ms:
        who = kept.answered_by or "somebody"
        pairs.append(("Answered", f"{time_words(kept.answered_ms)}, by {who}: {kept.answer}"))
    return pairs


def _form(kept: KeptDecision) -> Markup:
    who = " or ".join(kept.decision.approvers) or "Whoever may edit the model"
    form = tag(
        "form",
        tag("p", f"{who} can say yes or no. The reason is kept in the history."),
        tag(
            "label",
            tag("span", "Reason"),
            tag("input", name="reason", type="text", required=True, maxlength=2000),
        ),
        tag("button", "Approve", type="submit", name="answer", value="yes"),
        " ",
        tag("button", "Refuse", type="submit", name="answer", value="no", class_="plain"),
        method="post",
        action=addresses.decision_url(kept.decision_id),
        class_="card",
    )
    return parts.section("Your answer", form)


def _checks(checks: Sequence[Check]) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            check.gate,
            tag(
                "span",
                "passed" if check.passed else "refused",
                class_=f"pill {'good' if check.passed else 'bad'}",
            ),
            check.sentence,
        )
        for check in checks
    ]
    columns = (Column("Gate", "name"), Column("", "nowrap"), Column("What it says", "text"))
    return parts.section("Gates", parts.table(columns, rows, label="Gates"), count=len(checks))


def _slices(check: Check) -> Markup:
    columns = (
        Column("Slice", "name"),
        Column("Rows", "number"),
        Column("Champion", "number"),
        Column("Challenger", "number"),
        Column("Gain", "number"),
        Column("", "nowrap"),
    )
    rows: list[Sequence[Child]] = [
        (
            each.value,
            f"{each.rows:,}",
            number_words(each.champion),
            number_words(each.challenger),
            f"{each.gain * 100:+.1f} %",
            tag("span", "worse", class_="pill bad")
            if each.is_worse
            else ("" if each.is_judged else "too few rows"),
        )
        for each in check.slices[:MOST]
    ]
    return parts.section(
        "Slices",
        parts.table(columns, rows, label="Slices"),
        parts.more(len(check.slices), MOST, "slices"),
        count=len(check.slices),
    )
