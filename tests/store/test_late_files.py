"""Versions registered before their files came: they take them later, once and for good."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from tests.store.registry_story import NAME, log_model

from loopline.errors import ConflictError, NotFoundError
from loopline.records import operations as ops

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend


def register_early(backend: LocalBackend) -> str:
    """Register the model of a run that has not begun yet, as a client of MLflow may."""
    run_id = uuid.uuid4().hex
    made = backend.call(
        ops.RegisterVersion(name=NAME, run_id=run_id, artifact_path="model", allow_empty=True)
    )
    assert (made.size_bytes, made.metrics) == (0, {})
    return run_id


def files_of(backend: LocalBackend, version: int = 1) -> list[str]:
    resolved = backend.call(ops.ResolveModel(name=NAME, version=version))
    return [file.path for file in resolved.files]


def test_files_are_taken_when_somebody_says_so(backend: LocalBackend) -> None:
    run_id = register_early(backend)
    with pytest.raises(NotFoundError, match="No files have come"):
        backend.call(ops.TakeFiles(name=NAME, version=1))
    log_model(backend, run_id)
    assert files_of(backend) == []
    version = backend.call(ops.TakeFiles(name=NAME, version=1, actor="ada"))
    assert files_of(backend) == ["part-0", "part-1"]
    again = backend.call(ops.RegisterVersion(name=NAME, run_id=run_id, artifact_path="model"))
    assert version.digest == again.digest
    assert (version.metrics, version.params) == ({"rmse": 3.9}, {"model": "gbm"})
    event = backend.call(ops.ListVersionEvents(name=NAME))[1]
    assert (event.kind, event.after, event.actor) == ("files", "2 files", "ada")
    with pytest.raises(ConflictError, match="for good"):
        backend.call(ops.TakeFiles(name=NAME, version=1))


@pytest.mark.parametrize("way", ["stage", "alias"])
def test_a_move_takes_the_files_that_have_come(backend: LocalBackend, way: str) -> None:
    run_id = register_early(backend)
    log_model(backend, run_id)
    if way == "stage":
        moved = backend.call(ops.TransitionStage(name=NAME, version=1, stage="Production"))
    else:
        moved = backend.call(ops.SetAlias(name=NAME, alias="best", version=1))
    assert moved.size_bytes > 0
    assert files_of(backend) == ["part-0", "part-1"]
    log_model(backend, run_id, files=3)
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Archived"))
    assert files_of(backend) == ["part-0", "part-1"]


def test_a_move_of_a_version_whose_files_are_elsewhere_takes_none(backend: LocalBackend) -> None:
    register_early(backend)
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Staging"))
    assert files_of(backend) == []
    kinds = [event.kind for event in backend.call(ops.ListVersionEvents(name=NAME))]
    assert kinds == ["stage", "created"]
