"""Reports of drift in the graph of what led to what."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from tests.store.registry_story import NAME, register
from tests.store.test_lineage_graph import LATER, TRIPS, kinds, lineage, send, train

from loopline.errors import NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.drift import DATA_TAG, SENTENCE_TAG, VERSION_TAG
from loopline.records.identity import Access, Caller, Role
from loopline.store.operations import carry_out

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend


def report(backend: LocalBackend) -> str:
    run_id = uuid.uuid4().hex
    tags = {
        SENTENCE_TAG: "1 of 3 columns drifted: fare.",
        VERSION_TAG: f"{NAME}/1",
        DATA_TAG: LATER.digest,
    }
    send(
        backend,
        f.RunStarted(run_id=run_id, experiment="watch", start_ms=5000, tags=tags),
        f.InputLogged(run_id=run_id, dataset=LATER, context="drift"),
    )
    return run_id


def test_a_report_stands_between_its_run_its_data_and_the_version(backend: LocalBackend) -> None:
    register(backend, run_id=train(backend, TRIPS))
    node = f"drift:{report(backend)}"
    up = lineage(backend, node, "up", depth=1)
    assert up.nodes[0].title == "1 of 3 columns drifted: fare."
    assert {(edge.source.partition(":")[0], edge.label) for edge in up.edges} == {
        ("run", "reported"),
        ("version", "compared with"),
        ("data", "looked at"),
    }
    for root in (f"version:{NAME}/1", f"data:{LATER.digest}", node.replace("drift", "run")):
        down = lineage(backend, root, "down", depth=1)
        assert node in {one.node for one in down.nodes}
    why = backend.call(ops.ExplainVersion(name=NAME, version=1))
    assert [one.node for one in why.consequences] == [node]


def test_no_run_without_a_report_is_one_and_none_is_shown_to_who_may_not_view_it(
    backend: LocalBackend,
) -> None:
    run_id = train(backend, TRIPS)
    register(backend, run_id=run_id)
    with pytest.raises(NotFoundError, match="that you may view"):
        lineage(backend, f"drift:{run_id}")
    report(backend)
    only_model = Caller(name="eve", how="token x", access=Access(models={NAME: Role.VIEWER}))
    asked = ops.GetLineage(node=f"version:{NAME}/1")
    assert kinds(carry_out(backend.store, asked, caller=only_model)) == ["version"]
