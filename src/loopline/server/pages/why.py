"""Why the version in Production is there, in a sentence on its model's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.errors import NotFoundError
from loopline.records.operations import ExplainVersion
from loopline.records.registry import Stage
from loopline.rules.reason_facts import reason_sentence
from loopline.rules.words import count_words, time_words
from loopline.server.pages import addresses, parts
from loopline.server.pages.html import Markup, link_to, tag

if TYPE_CHECKING:
    from loopline.records.reasons import Reasons
    from loopline.records.registry import RegisteredModel
    from loopline.server.pages.request import PageRequest

__all__ = ["why_there"]


def why_there(model: RegisteredModel, request: PageRequest) -> Markup | None:
    """Say in a sentence why the version in Production is there; None: there is none."""
    champion = model.champions.get(Stage.PRODUCTION)
    if not champion:
        return None
    try:
        found = request.backend.call(ExplainVersion(name=model.name, version=champion))
    except NotFoundError:  # It was deleted meanwhile.
        return None
    more = link_to(addresses.version_url(model.name, champion), f"All about v{champion}")
    predicted = _predicted_in_all(found)
    return parts.section(
        "In Production",
        tag("p", reason_sentence(found)),
        tag("p", predicted, " " if predicted else None, more, "."),
    )


def _predicted_in_all(found: Reasons) -> str:
    made = found.predictions
    if not made:
        return ""
    rows = count_words(sum(one.rows for one in made), "prediction")
    last = max(one.last_ms for one in made)
    return f"It made {rows}, the last at {time_words(last)}."
