"""What models have seen of a feed: read from the inputs of the runs that made their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.operations import (
    GetVersion,
    ListInputs,
    ListVersionEvents,
    ResolveModel,
)
from loopline.rules.watermarks import (
    PRODUCTION,
    is_training,
    parse_source,
    production_lineage,
    unite,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.backend.recorder import Recorder
    from loopline.rules.watermarks import Region

__all__ = ["lineage_of", "seen_by_lineage", "seen_by_run", "seen_by_version"]


def lineage_of(recorder: Recorder, model: str) -> list[int]:
    """Name the versions that taught the one in Production something; none when there is none."""
    try:
        champion = recorder.call(ResolveModel(name=model, stage=PRODUCTION)).version.version
    except NotFoundError:
        # A model that is not there has seen nothing, and one without Production neither.
        return []
    events = recorder.call(ListVersionEvents(name=model))
    return production_lineage(reversed(events), champion)


def seen_by_lineage(recorder: Recorder, feed: str, model: str, versions: Iterable[int]) -> Region:
    """Unite what versions of a model have seen.

    Raises:
        InvalidInputError: One of them is deleted, or nobody said which run made it.
    """
    return unite([seen_by_version(recorder, feed, model, each) for each in versions])


def seen_by_version(recorder: Recorder, feed: str, model: str, version: int) -> Region:
    """Tell the rows of a feed that the run of a model version logged as training input."""
    advice = "Say which versions count: feed.new_for(model, versions=[...])."
    try:
        found = recorder.call(GetVersion(name=model, version=version))
    except NotFoundError:
        msg = f"Version {version} of {model!r} is deleted, and what it has seen is not known now."
        raise InvalidInputError(f"{msg} {advice}") from None
    if not found.run_id:
        msg = f"Nobody said which run made version {version} of {model!r}, nor what it has seen."
        raise InvalidInputError(f"{msg} {advice}")
    return seen_by_run(recorder, feed, found.run_id)


def seen_by_run(recorder: Recorder, feed: str, run_id: str) -> Region:
    """Tell the rows of a feed that a run logged as training input."""
    regions = []
    for each in recorder.call(ListInputs(run_id=run_id)):
        source = parse_source(each.dataset.source)
        if source is not None and source[0] == feed and is_training(each.context):
            regions.append(source[1])
    return unite(regions)
