"""Files that are taken back go from their run or logged model, and from nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from loopline.backend.local import LocalBackend
from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATHS = ("a%b/x", "a%b/y/z", "a%b.txt", "aXb/x", "a%b0")


@pytest.fixture
def taxi(tmp_path: Path) -> Iterator[LocalBackend]:
    backend = LocalBackend(Address("home", str(tmp_path / "home")))
    digest, size = "0" * 64, 1
    facts: list[f.Fact] = [f.RunStarted(run_id="taxi", experiment="wagoncab", start_ms=1)]
    facts += [
        f.ArtifactLogged(run_id="taxi", path=path, sha256=digest, size_bytes=size, at_ms=2)
        for path in PATHS
    ]
    backend.call(ops.RecordFacts(facts=facts))
    yield backend
    backend.close()


def files(backend: LocalBackend) -> set[str]:
    return {each.path for each in backend.call(ops.ListArtifacts(run_id="taxi", recursive=True))}


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("a%b", {"a%b/x", "a%b/y/z"}),
        ("a%b/", {"a%b/x", "a%b/y/z"}),
        ("a%b.txt", {"a%b.txt"}),
        ("a%b/y/z", {"a%b/y/z"}),
        ("nothing", set()),
        ("", set(PATHS)),
    ],
)
def test_a_file_or_all_below_a_folder_is_taken_back(
    taxi: LocalBackend, path: str, gone: set[str]
) -> None:
    assert taxi.call(ops.DeleteArtifacts(run_id="taxi", path=path)) == len(gone)
    assert files(taxi) == set(PATHS) - gone


def test_files_of_a_logged_model_are_taken_back_too(taxi: LocalBackend) -> None:
    model = taxi.call(ops.CreateLoggedModel(experiment_id="1", name="fares"))
    logged = f.LoggedModelFile(
        model_id=model.model_id, path="MLmodel", sha256="1" * 64, size_bytes=1, at_ms=1
    )
    taxi.call(ops.RecordFacts(facts=[logged]))
    assert taxi.call(ops.DeleteArtifacts(model_id=model.model_id, path="MLmodel")) == 1
    assert taxi.call(ops.ListLoggedModelFiles(model_id=model.model_id)) == []
    assert files(taxi) == set(PATHS)


def test_whose_files_they_are_has_to_be_said(taxi: LocalBackend) -> None:
    with pytest.raises(InvalidInputError, match="run_id or model_id"):
        taxi.call(ops.DeleteArtifacts(path="a"))
    with pytest.raises(InvalidInputError, match="run_id or model_id"):
        taxi.call(ops.DeleteArtifacts(run_id="taxi", model_id="m-1"))
    with pytest.raises(NotFoundError):
        taxi.call(ops.DeleteArtifacts(run_id="nobody"))
    with pytest.raises(InvalidInputError):
        taxi.call(ops.DeleteArtifacts(run_id="taxi", path="../x"))
    assert files(taxi) == set(PATHS)
