"""Feeds against a model that can only be right: sets of rows, and who has seen which.

Rows are appended in any order, late ones among them; versions are trained on what is new, on
windows or on everything; they are promoted and rolled back. After each step the new rows are
those of the naive model, on a feed that owns its rows and on one that tells them by their key.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import loopline
from loopline.backend.recorder import get_recorder
from loopline.feeds import Feed
from loopline.records.operations import RegisterVersion

if TYPE_CHECKING:
    from loopline.feeds import FeedRows

START = pd.Timestamp("2022-03-01")
hours = st.integers(0, 20)
windows = st.tuples(st.none() | hours, st.none() | hours)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(hours, min_size=1, max_size=5)),
        st.tuples(st.just("train"), st.sampled_from(["new", "all"])),
        st.tuples(st.just("train"), windows),
        st.tuples(st.just("promote"), st.integers(1, 4)),
    ),
    min_size=1,
    max_size=9,
)


class Story:
    """A feed and its model, and beside them everything in sets."""

    def __init__(self, kind: str) -> None:
        self.name = f"taxi {uuid.uuid4().hex}"
        self.model = f"model {uuid.uuid4().hex}"
        self.warehouse = loopline.warehouse()
        self.kind = kind
        if kind == "own":
            self.feed = Feed(self.name, order_by="pickup_datetime")
        else:
            self.feed = Feed(self.name, self.warehouse, key="trip_id", order_by="pickup_datetime")
        self.rows: dict[str, int] = {}
        self.seen: dict[int, set[str]] = {}
        self.promoted: list[int] = []

    def append(self, places: list[int]) -> None:
        ids = [f"{len(self.rows) + number:04d}" for number in range(len(places))]
        self.rows.update(zip(ids, places, strict=True))
        times = [START + pd.Timedelta(hours=place) for place in places]
        rows = pd.DataFrame({"trip_id": ids, "pickup_datetime": times})
        if self.kind == "own":
            self.feed.append(rows)
        else:
            self.warehouse.append(self.name, rows)

    def train(self, what: str | tuple[int | None, int | None]) -> None:
        if what == "new":
            read, expected = self.feed.new_for(self.model), self.new()
        elif what == "all":
            read, expected = self.feed.all(), set(self.rows)
        else:
            assert isinstance(what, tuple)
            since, until = what
            read, expected = self.feed.window(at(since), at(until)), self.within(since, until)
        if not expected:
            return
        assert trips_of(read) == expected
        with loopline.start_run() as run:
            loopline.log_input(read, context="training")
        made = RegisterVersion(
            name=self.model, run_id=run.info.run_id, artifact_path="m", allow_empty=True
        )
        self.seen[get_recorder().call(made).version] = expected

    def promote(self, version: int) -> None:
        if version in self.seen:
            loopline.registry.transition_stage(self.model, version, "Production")
            self.promoted.append(version)

    def check(self) -> None:
        if not self.rows:
            return
        assert trips_of(self.feed.new_for(self.model)) == self.new()
        for version, seen in self.seen.items():
            assert trips_of(self.feed.seen_by(self.model, version)) == seen

    def within(self, since: int | None, until: int | None) -> set[str]:
        return {
            name
            for name, place in self.rows.items()
            if (since is None or place >= since) and (until is None or place < until)
        }

    def new(self) -> set[str]:
        """What no version has seen that was in Production when the champion first came there."""
        if not self.promoted:
            return set(self.rows)
        behind = self.promoted[: self.promoted.index(self.promoted[-1]) + 1]
        return set(self.rows) - set[str]().union(*(self.seen[each] for each in behind))


def trips_of(rows: FeedRows) -> set[str]:
    if not rows:
        return set()
    found = rows.table["trip_id"].to_pylist()
    assert len(found) == len(set(found)) == rows.rows
    return set(found)


def at(place: int | None) -> str | None:
    return None if place is None else (START + pd.Timedelta(hours=place)).isoformat()


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["own", "keyed"])
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps)
def test_a_feed_is_never_wrong_about_what_is_new(
    kind: str, steps: list[tuple[str, object]]
) -> None:
    story = Story(kind)
    for step, what in steps:
        getattr(story, step)(what)
        story.check()
