"""Registered models are made, described, renamed, tagged and deleted with all they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from tests.store.registry_story import NAME, events_of, log_model, register

from loopline.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.registry import Stage
from loopline.store import schema

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend


def test_a_new_model_has_its_description_and_tags_and_no_version(backend: LocalBackend) -> None:
    made = backend.call(
        ops.CreateModel(name=NAME, description="Fares.", tags={"team": "cabs"}, actor="vera")
    )
    assert (made.name, made.description, made.tags) == (NAME, "Fares.", {"team": "cabs"})
    assert made.latest_version == 0
    assert made == backend.call(ops.GetModel(name=NAME))
    (event,) = events_of(backend)
    assert (event.version, event.kind, event.actor) == (0, "created", "vera")


def test_a_name_that_is_taken_is_refused_and_changes_nothing(backend: LocalBackend) -> None:
    before = backend.call(ops.CreateModel(name=NAME, description="Fares."))
    with pytest.raises(AlreadyExistsError) as caught:
        backend.call(ops.CreateModel(name=NAME, tags={"team": "cabs"}))
    assert str(caught.value).startswith(f"Registered Model (name={NAME}) already exists.")
    assert backend.call(ops.GetModel(name=NAME)) == before


@pytest.mark.parametrize("name", ["", "  ", "taxi/fare", "taxi:fare", "m" * 257, "a\0b", "\ud800"])
def test_a_name_that_cannot_be_is_refused(backend: LocalBackend, name: str) -> None:
    with pytest.raises(InvalidInputError):
        backend.call(ops.CreateModel(name=name))
    register(backend)
    with pytest.raises(InvalidInputError):
        backend.call(ops.RenameModel(name=NAME, new_name=name))
    assert [model.name for model in backend.call(ops.ListModels())] == [NAME]


@pytest.mark.parametrize("name", ["taxi fare", "fare@night", "Gebühr", "🚕" * 256, "a\nb", "%_"])
def test_any_other_name_is_a_name(backend: LocalBackend, name: str) -> None:
    register(backend, name, tags={"k" * 250: "v"})
    backend.call(ops.SetModelTags(name=name, tags={"k" * 250: "v" * 100_000}))
    backend.call(ops.SetAlias(name=name, alias="a" * 255, version=1))
    model = backend.call(ops.GetModel(name=name))
    assert (model.name, model.aliases, len(model.tags["k" * 250])) == (
        name,
        {"a" * 255: 1},
        100_000,
    )


def test_a_model_that_is_not_there_is_said_to_be_missing(backend: LocalBackend) -> None:
    register(backend)
    calls: list[ops.Operation[Any]] = [
        ops.GetModel(name="taxifare_modle"),
        ops.UpdateModel(name="taxifare_modle", description="x"),
        ops.RenameModel(name="taxifare_modle", new_name="other"),
        ops.DeleteModel(name="taxifare_modle"),
        ops.SetModelTags(name="taxifare_modle", tags={"a": "b"}),
        ops.RemoveModelTag(name="taxifare_modle", key="a"),
        ops.ListVersions(name="taxifare_modle"),
        ops.GetVersion(name="taxifare_modle", version=1),
        ops.GetLatestVersions(names=[NAME, "taxifare_modle"]),
        ops.ListVersionEvents(name="taxifare_modle"),
        ops.RegisterVersion(name="taxifare_modle", allow_empty=True, create_model=False),
    ]
    for call in calls:
        with pytest.raises(NotFoundError) as caught:
            backend.call(call)
        assert str(caught.value).startswith("Registered Model with name=taxifare_modle not found.")
        assert f"Did you mean {NAME!r}?" in str(caught.value)


def test_a_model_is_described_anew(backend: LocalBackend) -> None:
    backend.call(ops.CreateModel(name=NAME, description="Fares.", tags={"team": "cabs"}))
    model = backend.call(ops.UpdateModel(name=NAME, description="Fares at night."))
    assert (model.description, model.tags) == ("Fares at night.", {"team": "cabs"})
    assert model == backend.call(ops.GetModel(name=NAME))


def test_tags_are_set_replaced_and_taken_off(backend: LocalBackend) -> None:
    backend.call(ops.CreateModel(name=NAME, tags={"team": "cabs", "task": "fares"}))
    backend.call(ops.CreateModel(name="other", tags={"team": "buses"}))
    assert backend.call(ops.SetModelTags(name=NAME, tags={"task": "", "new": "1"})).tags == {
        "team": "cabs",
        "task": "",
        "new": "1",
    }
    assert backend.call(ops.RemoveModelTag(name=NAME, key="team")).tags == {"task": "", "new": "1"}
    assert backend.call(ops.RemoveModelTag(name=NAME, key="team")).tags == {"task": "", "new": "1"}
    assert backend.call(ops.GetModel(name="other")).tags == {"team": "buses"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("", "x"), ("k" * 251, "x"), ("k", "v" * 100_001), ("../k", "x"), ("k$", "x"), ("k", "a\0")],
)
def test_a_tag_that_cannot_be_is_refused_and_none_is_set(
    backend: LocalBackend, key: str, value: str
) -> None:
    register(backend)
    calls: list[ops.Operation[Any]] = [
        ops.SetModelTags(name=NAME, tags={"good": "x", key: value}),
        ops.SetVersionTags(name=NAME, version=1, tags={"good": "x", key: value}),
        ops.CreateModel(name="other", tags={key: value}),
        ops.RegisterVersion(name=NAME, allow_empty=True, tags={key: value}),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError):
            backend.call(call)
    (model,) = backend.call(ops.ListModels())
    (version,) = backend.call(ops.ListVersions(name=NAME))
    assert model.tags == version.tags == {}


def test_everything_follows_a_model_to_its_new_name(backend: LocalBackend) -> None:
    run_id = log_model(backend)
    backend.call(ops.CreateModel(name=NAME, tags={"team": "cabs"}))
    backend.call(
        ops.RegisterVersion(name=NAME, run_id=run_id, artifact_path="model", tags={"a": "1"})
    )
    register(backend)
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Production"))
    backend.call(ops.SetAlias(name=NAME, alias="champion", version=2))
    was = backend.call(ops.ResolveModel(name=NAME, stage="Production"))

    model = backend.call(ops.RenameModel(name=NAME, new_name="fares", actor="vera"))

    assert (model.name, model.tags, model.champions) == (
        "fares",
        {"team": "cabs"},
        {"Production": 1},
    )
    assert (model.aliases, model.latest_version) == ({"champion": 2}, 2)
    there = backend.call(ops.ResolveModel(name="fares", stage="Production"))
    assert there.files == was.files
    assert len(there.files) == 2
    assert (there.version.tags, there.version.digest) == ({"a": "1"}, was.version.digest)
    history = events_of(backend, "fares")
    assert [event.kind for event in history] == [
        "created", "created", "created", "stage", "alias", "renamed",
    ]  # fmt: skip
    assert (history[-1].before, history[-1].after, history[-1].actor) == (NAME, "fares", "vera")
    assert {event.name for event in history} == {"fares"}
    with pytest.raises(NotFoundError):
        backend.call(ops.GetModel(name=NAME))
    assert register(backend).version == 1
    assert register(backend, "fares").version == 3


def test_a_model_is_not_renamed_onto_another(backend: LocalBackend) -> None:
    register(backend)
    register(backend, "fares")
    with pytest.raises(AlreadyExistsError, match=r"Registered Model \(name=fares\) already exists"):
        backend.call(ops.RenameModel(name=NAME, new_name="fares"))
    assert len(backend.call(ops.ListModels())) == 2
    assert backend.call(ops.RenameModel(name=NAME, new_name=NAME)).name == NAME


def test_a_deleted_model_leaves_nothing_but_its_history(backend: LocalBackend) -> None:
    run_id = log_model(backend)
    backend.call(ops.CreateModel(name=NAME, tags={"team": "cabs"}))
    backend.call(ops.CreateModel(name="other"))
    backend.call(
        ops.RegisterVersion(name=NAME, run_id=run_id, artifact_path="model", tags={"a": "1"})
    )
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Production"))
    backend.call(ops.SetAlias(name=NAME, alias="champion", version=1))

    was = backend.call(ops.DeleteModel(name=NAME, actor="vera"))

    assert was.aliases == {"champion": 1}
    assert [model.name for model in backend.call(ops.ListModels())] == ["other"]
    with backend.store.read() as connection:
        for table in schema.metadata.sorted_tables:
            if table.name.startswith(("ll_model", "ll_champion", "ll_alias")):
                rows = connection.execute(select(table).where(table.c.name == NAME)).all()
                assert rows == [], table.name
    *before, last = events_of(backend)
    assert [event.kind for event in before] == ["created", "created", "stage", "alias"]
    assert (last.version, last.kind, last.actor) == (0, "deleted", "vera")


def test_a_model_that_is_made_again_counts_its_versions_from_one(backend: LocalBackend) -> None:
    register(backend)
    register(backend)
    backend.call(ops.DeleteModel(name=NAME))
    assert register(backend).version == 1
    model = backend.call(ops.GetModel(name=NAME))
    assert (model.latest_version, model.aliases, model.champions) == (1, {}, {})
    kinds = [(event.version, event.kind) for event in events_of(backend)]
    assert kinds == [(1, "created"), (2, "created"), (0, "deleted"), (1, "created")]


def test_the_latest_version_of_each_stage_is_found_for_many_models(backend: LocalBackend) -> None:
    for name in ("a", "b"):
        for _ in range(4):
            register(backend, name)
    backend.call(ops.CreateModel(name="none"))
    move = ops.TransitionStage
    backend.call(move(name="a", version=1, stage="Production", archive_existing=False))
    backend.call(move(name="a", version=2, stage="Production", archive_existing=False))
    backend.call(move(name="a", version=4, stage="Archived"))
    backend.call(move(name="b", version=4, stage="Staging"))

    def latest(*names: str, stages: tuple[str, ...] = ()) -> list[tuple[str, int, str]]:
        found = backend.call(ops.GetLatestVersions(names=list(names), stages=list(stages)))
        return [(one.name, one.version, one.stage) for one in found]

    none, staging, production, archived = Stage
    assert latest("b", "none", "a") == [
        ("b", 3, none),
        ("b", 4, staging),
        ("a", 2, production),
        ("a", 3, none),
        ("a", 4, archived),
    ]
    assert latest("a", "b", stages=("production", "STAGING")) == [
        ("a", 2, production),
        ("b", 4, staging),
    ]
    with pytest.raises(InvalidInputError, match="Value must be one of None, Staging"):
        latest("a", stages=("Live",))
