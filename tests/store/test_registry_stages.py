"""Stages of a model's own: made, moved to, seen by MLflow's clients, and taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert, update
from tests.store.registry_story import register

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.registry import Stage
from loopline.store import schema

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend

NAME = "taxifare"


def with_stage(backend: LocalBackend, stage: str = "Canary", seen_as: str = "None") -> None:
    for _ in range(3):
        register(backend, NAME)
    backend.call(ops.AddStage(name=NAME, stage=stage, seen_as=seen_as, actor="ada"))


def move(backend: LocalBackend, version: int, stage: str, *, archive: bool | None = None) -> None:
    backend.call(
        ops.TransitionStage(
            name=NAME,
            version=version,
            stage=stage,
            archive_existing=archive,
            actor="ada",
            reason="looks good",
        )
    )


def test_a_stage_of_ones_own_has_a_champion_and_a_history(backend: LocalBackend) -> None:
    with_stage(backend)
    move(backend, 1, "canary")
    move(backend, 2, "CANARY")
    model = backend.call(ops.GetModel(name=NAME))
    assert model.stages == {"Canary": Stage.NONE}
    assert model.champions == {"Canary": 2}
    assert backend.call(ops.ResolveModel(name=NAME, stage="Canary")).version.version == 2
    stages = {v.version: v.stage for v in backend.call(ops.ListVersions(name=NAME))}
    assert stages == {1: "Archived", 2: "Canary", 3: "None"}
    moves = [
        (event.version, event.kind, event.before, event.after, event.actor, event.reason)
        for event in backend.call(ops.ListVersionEvents(name=NAME))
        if "stage" in event.kind
    ]
    assert moves == [
        (2, "stage", "None", "Canary", "ada", "looks good"),
        (1, "stage", "Canary", "Archived", "ada", "version 2 took its place"),
        (1, "stage", "None", "Canary", "ada", "looks good"),
        (0, "stage added", "", "Canary", "ada", "MLflow's clients see None"),
    ]


def test_a_champion_that_leaves_passes_the_stage_on(backend: LocalBackend) -> None:
    with_stage(backend)
    move(backend, 1, "Canary", archive=False)
    move(backend, 2, "Canary", archive=False)
    move(backend, 2, "Production")
    assert backend.call(ops.GetModel(name=NAME)).champions == {"Canary": 1, "Production": 2}


@pytest.mark.parametrize("seen_as", ["None", "Staging", "Archived"])
def test_what_mlflow_is_told_is_one_of_the_four(backend: LocalBackend, seen_as: str) -> None:
    with_stage(backend, seen_as=seen_as)
    move(backend, 3, "Canary")
    assert backend.call(ops.GetVersion(name=NAME, version=3)).seen_as == seen_as
    found = backend.call(ops.GetLatestVersions(names=[NAME], as_mlflow=True))
    assert {v.seen_as.value: v.version for v in found} == {"None": 2, seen_as: 3}
    asked = ops.GetLatestVersions(names=[NAME], stages=[seen_as], as_mlflow=True)
    assert [v.version for v in backend.call(asked)] == [3]
    own = backend.call(ops.GetLatestVersions(names=[NAME], stages=["canary"]))
    assert [v.version for v in own] == [3]


def test_a_stage_is_taken_away_only_when_nothing_stands_in_it(backend: LocalBackend) -> None:
    with_stage(backend)
    move(backend, 1, "Canary")
    with pytest.raises(ConflictError, match="1 version of 'taxifare' stands in Canary"):
        backend.call(ops.RemoveStage(name=NAME, stage="canary"))
    move(backend, 1, "None")
    assert backend.call(ops.RemoveStage(name=NAME, stage="canary")).stages == {}
    with pytest.raises(InvalidInputError, match="one of None, Staging, Production, Archived"):
        move(backend, 1, "Canary")


@pytest.mark.parametrize("name", ["", "3", "latest", "Pro/duction", "a" * 41, "production", "-x"])
def test_what_cannot_be_a_stage_is_refused(backend: LocalBackend, name: str) -> None:
    backend.call(ops.CreateModel(name=NAME))
    with pytest.raises(InvalidInputError):
        backend.call(ops.AddStage(name=NAME, stage=name))
    with pytest.raises(InvalidInputError, match="not as"):
        backend.call(ops.AddStage(name=NAME, stage="Live", seen_as="Production"))
    with pytest.raises(NotFoundError):
        backend.call(ops.AddStage(name="other", stage="Live"))


def test_a_stage_follows_its_model_to_another_name_and_goes_with_it(
    backend: LocalBackend,
) -> None:
    with_stage(backend)
    move(backend, 1, "Canary")
    backend.call(ops.SetAlias(name=NAME, alias="best", version=1))
    renamed = backend.call(ops.RenameModel(name=NAME, new_name="fares"))
    assert (renamed.stages, renamed.champions) == ({"Canary": Stage.NONE}, {"Canary": 1})
    copy = backend.call(ops.CopyVersion(name="fares", version=1, to="other"))
    assert copy.stage == "None"
    backend.call(ops.DeleteModel(name="fares"))
    assert [m.name for m in backend.call(ops.ListModels())] == ["other"]


def test_the_database_itself_refuses_what_cannot_be(backend: LocalBackend) -> None:
    with_stage(backend)
    move(backend, 1, "Canary")
    version, champion, stage = schema.model_version, schema.champion, schema.stage
    here = version.c.name == NAME
    statements = [
        update(version).where(here, version.c.version == 2).values(stage="Nowhere"),
        update(version).where(here, version.c.version == 2).values(version=0),
        update(version).where(here, version.c.version == 2).values(version=3),
        insert(champion).values(name=NAME, stage="Canary", version=2),
        insert(champion).values(name=NAME, stage="Production", version=2),
        insert(champion).values(name=NAME, stage="Staging", version=9),
        delete(stage).where(stage.c.name == NAME, stage.c.stage == "Canary"),
        insert(stage).values(name=NAME, stage="CANARY", folded="canary", seen_as="None"),
        insert(stage).values(name=NAME, stage="Live", folded="live", seen_as="Somewhere"),
    ]
    for statement in statements:
        with (
            pytest.raises(InvalidInputError, match="contradicts what is stored"),
            backend.store.write() as connection,
        ):
            connection.execute(statement)
