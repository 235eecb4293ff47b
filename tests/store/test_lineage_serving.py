"""Serving processes, and what they predicted, in the graph of what led to what."""

from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING

import pytest
from tests.store.registry_story import NAME, register
from tests.store.test_lineage_graph import TRIPS, kinds, lineage, send, train

from loopline.errors import NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.identity import Access, Caller, Role
from loopline.records.predictions import MODEL_TAG, experiment_of, metric_of
from loopline.records.tracking import RunStatus
from loopline.store.operations import carry_out

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend

START_MS = 1_700_000_000_000


def serve(backend: LocalBackend, *, name: str = NAME, start_ms: int = START_MS) -> str:
    """Start a serving process that records; return its run."""
    run_id = uuid.uuid4().hex
    tags = {MODEL_TAG: name, f"{MODEL_TAG}.address": f"models:/{name}/Production"}
    send(
        backend,
        f.RunStarted(run_id=run_id, experiment=experiment_of(name), start_ms=start_ms, tags=tags),
    )
    return run_id


def predict(backend: LocalBackend, run_id: str, version: int, rows: int, second: int) -> None:
    at_ms = START_MS + second * 1000 + 250
    send(
        backend,
        f.MetricPoints(
            run_id=run_id,
            key=metric_of(version),
            steps=struct.pack("<q", second),
            timestamps_ms=struct.pack("<q", at_ms),
            values=struct.pack("<d", rows),
        ),
    )


def test_a_version_leads_to_who_served_it_and_to_what_it_predicted(backend: LocalBackend) -> None:
    register(backend, run_id=train(backend, TRIPS))
    register(backend, run_id=train(backend, TRIPS))
    process = serve(backend)
    predict(backend, process, 1, 30, 5)
    predict(backend, process, 1, 12, 65)
    predict(backend, process, 2, 7, 70)
    down = lineage(backend, f"version:{NAME}/1", "down")
    assert kinds(down) == ["version", "deployment", "predictions", "predictions"]
    titles = {node.kind: node for node in down.nodes if "v2" not in node.title}
    assert titles["predictions"].title == f"42 of {NAME} v1"
    assert titles["predictions"].at_ms == START_MS + 5_000
    assert titles["deployment"].state == "serving"

    up = lineage(backend, f"predictions:{process}/2", "up")
    assert kinds(up) == ["predictions", "deployment", "version", "version", "run", "run", "data"]
    pairs = {(edge.source, edge.target, edge.label) for edge in up.edges}
    made = f"predictions:{process}/2"
    assert (f"version:{NAME}/2", made, "predicted") in pairs
    assert (f"version:{NAME}/1", made, "predicted") not in pairs
    assert (f"deployment:{process}", made, "recorded") in pairs
    assert {(f"version:{NAME}/{n}", f"deployment:{process}", "served by") for n in (1, 2)} <= pairs


def test_why_tells_what_a_version_predicted_by_whom_and_when(backend: LocalBackend) -> None:
    register(backend)
    first, second = serve(backend), serve(backend, start_ms=START_MS + 500_000)
    predict(backend, first, 1, 30, 5)
    predict(backend, first, 1, 12, 65)
    predict(backend, second, 1, 1, 600)
    send(backend, f.RunEnded(run_id=first, status=RunStatus.FINISHED, end_ms=START_MS + 99_000))
    found = backend.call(ops.ExplainVersion(name=NAME, version=1)).predictions
    assert [(one.run_id, one.rows, one.status) for one in found] == [
        (second, 1, RunStatus.RUNNING),
        (first, 42, RunStatus.FINISHED),
    ]
    assert (found[1].first_ms, found[1].last_ms) == (START_MS + 5_000, START_MS + 65_250)
    nodes = backend.call(ops.ExplainVersion(name=NAME, version=1)).consequences
    assert {node.key for node in nodes if node.kind == "deployment"} == {first, second}


def test_what_is_no_deployment_and_no_prediction_is_not_found(backend: LocalBackend) -> None:
    register(backend)
    run_id = train(backend, TRIPS)
    predict(backend, run_id, 1, 5, 1)  # A metric of the same name, of a training.
    truth = uuid.uuid4().hex
    send(
        backend,
        f.RunStarted(
            run_id=truth, experiment=experiment_of(NAME), start_ms=1, tags={MODEL_TAG: NAME}
        ),
    )
    keys = (
        f"deployment:{run_id}",
        f"deployment:{truth}",
        f"predictions:{run_id}/1",
        f"predictions:{truth}/1",
        f"predictions:{truth}",
    )
    for node in keys:
        with pytest.raises(NotFoundError, match="that you may view"):
            lineage(backend, node)
    assert backend.call(ops.ExplainVersion(name=NAME, version=1)).predictions == []


def test_who_may_not_view_the_predictions_hears_nothing_of_them(backend: LocalBackend) -> None:
    register(backend)
    process = serve(backend)
    predict(backend, process, 1, 30, 5)
    no_data = Caller(name="eve", how="token x", access=Access(models={NAME: Role.VIEWER}))
    asked = ops.GetLineage(node=f"version:{NAME}/1")
    assert kinds(carry_out(backend.store, asked, caller=no_data)) == ["version"]
    told = carry_out(backend.store, ops.ExplainVersion(name=NAME, version=1), caller=no_data)
    assert (told.predictions, told.consequences) == ([], [])
    hidden = ops.GetLineage(node=f"predictions:{process}/1")
    with pytest.raises(NotFoundError, match="that you may view"):
        carry_out(backend.store, hidden, caller=no_data)

    experiment = int(backend.call(ops.GetExperiment(name=experiment_of(NAME))).experiment_id)
    no_model = Caller(
        name="eve", how="token x", access=Access(experiments={experiment: Role.VIEWER})
    )
    asked = ops.GetLineage(node=f"predictions:{process}/1")
    assert kinds(carry_out(backend.store, asked, caller=no_model)) == ["predictions", "deployment"]
