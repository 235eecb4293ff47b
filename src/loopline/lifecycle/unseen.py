"""Whether a version was trained on the rows that it is to be scored on.

A score on rows that a model has seen says nothing. What a run read for training is on record, as
data versions. Those of one feed say which of its rows they are, so that a single row that both have
is found; of others it is known whether they are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from loopline.backend.recorder import get_recorder
from loopline.errors import NotFoundError
from loopline.records.operations import ListInputs
from loopline.rules.watermarks import intersect, parse_source, region_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.registry import ModelVersion
    from loopline.records.tracking import Dataset, RunInput

__all__ = ["Seen", "check_unseen", "trained_on"]

#: What data are read for that a model then knows; an empty one may be anything.
LEARNT = frozenset({"training", "train", "fit", ""})


class Seen(NamedTuple):
    """What is known about some rows and some versions.

    Attributes:
        how: How it is known that none saw them; empty: it is not known.
        by: The version that saw them; None: none that is known of.
        why: In words, when one did.
    """

    how: str = ""
    by: int | None = None
    why: str = ""


def trained_on(version: ModelVersion) -> list[RunInput]:
    """List the data versions that a version's run read to learn from."""
    if not version.run_id:
        return []
    try:
        inputs = get_recorder().call(ListInputs(run_id=version.run_id))
    except NotFoundError:  # Its run is gone.
        return []
    return [each for each in inputs if each.context.lower() in LEARNT]


def check_unseen(data: Dataset | None, versions: Sequence[ModelVersion]) -> Seen:
    """Look up whether versions were trained on a data version."""
    if data is None:
        return Seen()
    places = parse_source(data.source)
    is_known, by_places = True, places is not None
    for version in versions:
        learnt = trained_on(version)
        is_known = is_known and bool(learnt)
        for each in learnt:
            if each.dataset.digest == data.digest:
                why = f"v{version.version} was trained on these very rows ({each.dataset.name})"
                return Seen(by=version.version, why=why)
            others = parse_source(each.dataset.source)
            if places is None or others is None or others[0] != places[0]:
                by_places = False
            elif both := intersect(places[1], others[1]):
                why = f"v{version.version} was trained on some of these rows ({region_words(both)})"
                return Seen(by=version.version, why=why)
    if not is_known:
        return Seen()
    return Seen(how="feed" if by_places else "digest")
