"""Whether a version was trained on the rows that it is to be scored on.

A score on rows that a model has seen says nothing. What a run read for training is on record, as
data versions; a version's run, and the runs inside which it was made, tell what it has seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from loopline.backend.recorder import get_recorder
from loopline.errors import NotFoundError
from loopline.records.operations import ListInputs

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
    is_known = True
    for version in versions:
        learnt = trained_on(version)
        is_known = is_known and bool(learnt)
        for each in learnt:
            if each.dataset.digest == data.digest:
                why = f"v{version.version} was trained on these very rows ({each.dataset.name})"
                return Seen(by=version.version, why=why)
    return Seen(how="digest" if is_known else "")
