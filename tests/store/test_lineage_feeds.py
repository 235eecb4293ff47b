"""Feeds, and the data that are rows of them, in the graph of what led to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.store.registry_story import NAME, register
from tests.store.test_lineage_graph import TRIPS, kinds, lineage, train

from loopline.errors import NotFoundError
from loopline.records import operations as ops
from loopline.records.feeds import FeedSpec
from loopline.records.identity import Access, Caller, Role
from loopline.records.tracking import Dataset
from loopline.rules.watermarks import Box, source_text
from loopline.store.operations import carry_out

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend

SPEC = FeedSpec(source="duckdb:///taxi", table="trips", own=True)


def rows_of(feed: str, digit: str) -> Dataset:
    source = source_text(feed, (Box(first=0, stop=100, since=None, until=None),))
    return Dataset(name=f"{feed} rows 0-99", digest=digit * 64, rows=100, source=source)


def test_data_lead_up_to_the_feed_that_they_are_rows_of(backend: LocalBackend) -> None:
    backend.call(ops.EnsureFeed(name="taxi", project="city", spec=SPEC))
    first, second = rows_of("taxi", "1"), rows_of("taxi", "2")
    register(backend, run_id=train(backend, first, TRIPS))
    train(backend, first, second)
    up = lineage(backend, f"version:{NAME}/1", "up")
    assert kinds(up) == ["version", "run", "data", "data", "feed"]
    feeds = [(edge.source, edge.target) for edge in up.edges if edge.label == "rows of"]
    assert feeds == [("feed:taxi", f"data:{first.digest}")]
    down = lineage(backend, "feed:taxi", "down", depth=1)
    assert [node.key for node in down.nodes] == ["taxi", first.digest, second.digest]
    assert all(node.has_more_down for node in down.nodes[1:])
    few = lineage(backend, "feed:taxi", "down", depth=1, limit=2)
    assert (len(few.nodes), few.nodes[0].has_more_down) == (2, True)


def test_a_feed_that_is_gone_or_not_to_be_viewed_is_neither_shown_nor_crossed(
    backend: LocalBackend,
) -> None:
    backend.call(ops.EnsureFeed(name="taxi", project="city", spec=SPEC))
    register(backend, run_id=train(backend, rows_of("taxi", "1"), rows_of("lost", "2")))
    experiment = int(backend.call(ops.GetExperiment(name="fares")).experiment_id)
    no_feed = Caller(
        name="eve", how="token x", access=Access(experiments={experiment: Role.VIEWER})
    )
    no_data = Caller(name="eve", how="token x", access=Access(projects={"city": Role.VIEWER}))
    data = ops.GetLineage(node=f"data:{'1' * 64}", direction="up")
    feed = ops.GetLineage(node="feed:taxi", direction="down")
    assert kinds(carry_out(backend.store, data, caller=no_feed)) == ["data"]
    assert kinds(carry_out(backend.store, feed, caller=no_data)) == ["feed"]
    for hidden, caller in ((feed, no_feed), (data, no_data)):
        with pytest.raises(NotFoundError, match="that you may view"):
            carry_out(backend.store, hidden, caller=caller)
    assert kinds(lineage(backend, f"data:{'2' * 64}", "up")) == ["data"]
