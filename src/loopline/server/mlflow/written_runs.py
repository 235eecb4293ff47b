"""Runs as MLflow's clients read them in a search, written down once each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from loopline.server.mlflow.answers import run_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopline.records.logged_models import RunModel
    from loopline.records.tracking import Run, RunInput

    Uses = tuple[Sequence[RunInput], Sequence[RunModel]]

__all__ = ["written"]

#: Runs whose text is remembered; pages of more runs are an export, which comes once.
MOST_RUNS, MOST_OF_A_PAGE = 1_000, 500

#: By the identity of a record, which is frozen, and kept here so that no other can take its place.
_known: dict[int, tuple[Run, msgspec.Raw]] = {}


def written(runs: Sequence[Run], uses: Mapping[str, Uses]) -> list[msgspec.Raw]:
    """Write runs as JSON; those that the store remembered are not written again.

    Args:
        runs: A page of a search.
        uses: What some of them read and made, by run id; the others did neither.
    """
    if len(runs) > MOST_OF_A_PAGE:
        return [_write(run, *uses.get(run.run_id, ())) for run in runs]
    found = []
    for run in runs:
        if run.run_id in uses:  # Not a part of the record, by which it would be known again.
            found.append(_write(run, *uses[run.run_id]))
            continue
        known = _known.get(id(run))
        if known is None or known[0] is not run:
            if len(_known) >= MOST_RUNS:
                _known.clear()
            known = _known[id(run)] = run, _write(run)
        found.append(known[1])
    return found


def _write(
    run: Run, inputs: Sequence[RunInput] = (), models: Sequence[RunModel] = ()
) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(run_answer(run, inputs, models)))
