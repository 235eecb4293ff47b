"""Which rows of a feed a model has seen: regions of rows, taken together and away.

A feed numbers its rows in the order they arrived, and each row has a place in the order of its
data, such as the pickup time. A box is the rows of some numbers within some of that order; a
region is boxes that do not overlap. Rows never change under their number, so a region says
exactly which rows are meant, however many they are.

In the order of the data a row without a value comes before all others.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError
from loopline.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loopline.records.registry import VersionEvent

__all__ = [
    "SCHEME",
    "Bound",
    "Box",
    "Region",
    "feed_of",
    "intersect",
    "is_training",
    "parse_source",
    "production_lineage",
    "region_words",
    "source_text",
    "subtract",
    "unite",
]

#: A place in the order of the data: a number, or text that sorts as the values do.
Bound = int | float | str

SCHEME = "feed:"
PRODUCTION = "Production"
#: What a run says it reads data for when it trains on them. Who says nothing is taken to train.
_TRAINING = frozenset({"", "train", "training"})


class Box(Record, frozen=True, kw_only=True):
    """Rows numbered ``first`` to before ``stop``, placed from ``since`` to before ``until``.

    Attributes:
        since: None: from the beginning, rows without a place included.
        until: None: to the end.
    """

    first: int
    stop: int
    since: Bound | None = None
    until: Bound | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no row can lie in it."""
        return self.first >= self.stop or (
            self.since is not None
            and self.until is not None
            and not _before(self.since, self.until)
        )


Region = tuple[Box, ...]


def subtract(region: Iterable[Box], taken: Iterable[Box]) -> Region:
    """Take rows away from a region."""
    left = [box for box in region if not box.is_empty]
    for away in taken:
        if not away.is_empty:
            left = [part for box in left for part in _without(box, away)]
    return _joined(left)


def unite(regions: Iterable[Iterable[Box]]) -> Region:
    """Take regions together, each row once."""
    found: list[Box] = []
    for region in regions:
        for box in region:
            found += subtract([box], found)
    return _joined(found)


def intersect(region: Iterable[Box], other: Iterable[Box]) -> Region:
    """Find the rows that are in both."""
    kept = tuple(region)
    return subtract(kept, subtract(kept, other))


def _without(box: Box, away: Box) -> list[Box]:
    """Cut the rows of one box out of another: at most four boxes are left."""
    first, stop = max(box.first, away.first), min(box.stop, away.stop)
    since = _later(box.since, away.since)
    until = _earlier(box.until, away.until)
    common = Box(first=first, stop=stop, since=since, until=until)
    if common.is_empty:
        return [box]
    parts = [
        Box(first=box.first, stop=first, since=box.since, until=box.until),
        Box(first=stop, stop=box.stop, since=box.since, until=box.until),
    ]
    if since is not None and since != box.since:
        parts.append(Box(first=first, stop=stop, since=box.since, until=since))
    if until is not None and until != box.until:
        parts.append(Box(first=first, stop=stop, since=until, until=box.until))
    return [part for part in parts if not part.is_empty]


def _joined(boxes: Sequence[Box]) -> Region:
    """Make one box of two that share a whole side, as long as there are such."""
    left = list(boxes)
    while True:
        joined = _join_places(_join_numbers(left))
        if len(joined) == len(left):
            return tuple(sorted(joined, key=lambda box: (box.first, box.stop, _place_key(box))))
        left = joined


def _join_numbers(boxes: list[Box]) -> list[Box]:
    """Join boxes of the same places whose numbers follow each other."""
    found: list[Box] = []
    for box in sorted(boxes, key=lambda box: (repr(box.since), repr(box.until), box.first)):
        last = found[-1] if found else None
        if last is not None and (last.since, last.until, last.stop) == (
            box.since,
            box.until,
            box.first,
        ):
            found[-1] = Box(first=last.first, stop=box.stop, since=box.since, until=box.until)
        else:
            found.append(box)
    return found


def _join_places(boxes: list[Box]) -> list[Box]:
    """Join boxes of the same numbers whose places follow each other."""
    found: list[Box] = []
    for box in sorted(boxes, key=lambda box: (box.first, box.stop, _place_key(box))):
        last = found[-1] if found else None
        if (
            last is not None
            and (last.first, last.stop) == (box.first, box.stop)
            and last.until is not None
            and last.until == box.since
        ):
            found[-1] = Box(first=box.first, stop=box.stop, since=last.since, until=box.until)
        else:
            found.append(box)
    return found


def _place_key(box: Box) -> tuple[bool, bool, Bound]:
    """Sort boxes by where they begin: without a beginning first, numbers apart from text."""
    return box.since is not None, isinstance(box.since, str), 0 if box.since is None else box.since


def _before(one: Bound, other: Bound) -> bool:
    if isinstance(one, str) != isinstance(other, str):
        msg = f"{one!r} and {other!r} are not places in the same order."
        raise InvalidInputError(msg)
    return one < other  # type: ignore[operator]  # Both text or both numbers.


def _later(one: Bound | None, other: Bound | None) -> Bound | None:
    if one is None or other is None:
        return other if one is None else one
    return other if _before(one, other) else one


def _earlier(one: Bound | None, other: Bound | None) -> Bound | None:
    if one is None or other is None:
        return other if one is None else one
    return one if _before(one, other) else other


# --- in words, and as the source of a data version ----------------------------------------------


def region_words(region: Region) -> str:
    """Say a region so that two different ones have different words."""
    if not region:
        return "no rows"
    said = []
    for box in region:
        text = f"{box.first}-{box.stop - 1}"
        if box.since is not None or box.until is not None:
            since = "" if box.since is None else box.since
            text += f" [{since}, {'' if box.until is None else box.until})"
        said.append(text)
    return "rows " + ", ".join(said)


def source_text(feed: str, region: Region) -> str:
    """Say as the source of a data version which rows of which feed they are."""
    boxes = [[box.first, box.stop, box.since, box.until] for box in region]
    return f"{SCHEME}{feed}#{json.dumps(boxes, separators=(',', ':'))}"


def parse_source(source: str) -> tuple[str, Region] | None:
    """Read what ``source_text`` wrote; None: the data come from elsewhere."""
    if not source.startswith(SCHEME):
        return None
    feed, mark, text = source.removeprefix(SCHEME).rpartition("#")
    if not mark:
        return None
    try:
        boxes = json.loads(text)
        region = tuple(
            Box(first=int(first), stop=int(stop), since=since, until=until)
            for first, stop, since, until in boxes
        )
    except (ValueError, TypeError):
        return None
    return feed, region


def feed_of(source: str) -> str:
    """Name the feed that data with a source are rows of; empty: they come from elsewhere."""
    found = parse_source(source)
    return "" if found is None else found[0]


def is_training(context: str) -> bool:
    """Tell whether a run that reads data for this purpose trains on them."""
    return context.strip().casefold() in _TRAINING


def production_lineage(events: Iterable[VersionEvent], champion: int) -> list[int]:
    """Name the versions behind the one in Production: it, and those that were there before it.

    After a rollback these are the ones before the version's first time in Production: what came
    after it has taught it nothing.

    Args:
        events: Of the model, oldest first.
        champion: The version in Production now.
    """
    found: list[int] = []
    for event in events:
        if event.kind == "deleted" and event.version == 0:
            found.clear()  # Another model had the name, and its numbers.
        if event.kind == "stage" and event.after == PRODUCTION and event.version not in found:
            found.append(event.version)
    if champion in found:
        return sorted(found[: found.index(champion) + 1])
    return [champion]
