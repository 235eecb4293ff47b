"""Runs with models to register, for tests of the registry."""

from __future__ import annotations

import uuid
from array import array
from typing import TYPE_CHECKING, Any

from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.tracking import RunStatus

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.registry import ModelVersion, VersionEvent

__all__ = ["NAME", "events_of", "log_model", "register"]

NAME = "taxifare_model"


def log_model(backend: Backend, run_id: str = "", *, rmse: float = 3.9, files: int = 2) -> str:
    """Log a run with a param, a metric and a model of some files; return its id."""
    run_id = run_id or uuid.uuid4().hex
    step = array("q", [0]).tobytes()
    facts: list[f.Fact] = [
        f.RunStarted(run_id=run_id, experiment="fares", start_ms=1000),
        f.ParamsLogged(run_id=run_id, params={"model": "gbm"}),
        f.MetricPoints(
            run_id=run_id,
            key="rmse",
            steps=step,
            timestamps_ms=step,
            values=array("d", [rmse]).tobytes(),
        ),
        *(
            f.ArtifactLogged(
                run_id=run_id,
                path=f"model/part-{number}",
                sha256=f"{number:064x}",
                size_bytes=10,
                at_ms=1,
            )
            for number in range(files)
        ),
        f.RunEnded(run_id=run_id, status=RunStatus.FINISHED, end_ms=2000),
    ]
    backend.send(f.Batch(writer=uuid.uuid4().hex, start=0, end=len(facts), facts=facts))
    return run_id


def register(backend: Backend, name: str = NAME, **more: Any) -> ModelVersion:  # noqa: ANN401
    """Register a version whose files are elsewhere, as an MLflow client may."""
    given: dict[str, Any] = {"source": "s3://bucket/model", "allow_empty": True} | more
    return backend.call(ops.RegisterVersion(name=name, **given))


def events_of(backend: Backend, name: str = NAME) -> list[VersionEvent]:
    """Read the history of a model, oldest first."""
    return backend.call(ops.ListVersionEvents(name=name))[::-1]
