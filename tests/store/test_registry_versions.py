"""Versions are registered from runs or from elsewhere, tagged, moved and deleted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from tests.store.registry_story import NAME, events_of, log_model, register

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.registry import Stage, VersionStatus
from loopline.rules.manifest import manifest_digest

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend


def test_a_version_holds_what_its_run_measured_and_its_files(backend: LocalBackend) -> None:
    run_id = log_model(backend, rmse=math.nan)
    made = backend.call(
        ops.RegisterVersion(
            name=NAME,
            run_id=run_id,
            artifact_path="model",
            description="First.",
            tags={"a": "1"},
            actor="vera",
        )
    )
    assert (made.version, made.status, made.source) == (1, VersionStatus.READY, "")
    assert (made.description, made.tags, made.actor) == ("First.", {"a": "1"}, "vera")
    assert (made.params, made.size_bytes) == ({"model": "gbm"}, 20)
    assert math.isnan(made.metrics["rmse"])
    files = backend.call(ops.ResolveModel(name=NAME, version=1)).files
    assert [file.path for file in files] == ["part-0", "part-1"]
    assert made.digest == manifest_digest((file.path, file.sha256) for file in files)


def test_what_an_mlflow_client_says_is_answered_word_for_word(backend: LocalBackend) -> None:
    run_id = log_model(backend)
    source = f"mlflow-artifacts:/1/{run_id}/artifacts/model"
    made = backend.call(
        ops.RegisterVersion(
            name=NAME,
            run_id=run_id,
            artifact_path="model",
            source=source,
            logged_model_id="m-0123456789abcdef",
            run_link="https://runs.example/7",
        )
    )
    assert (made.source, made.logged_model_id) == (source, "m-0123456789abcdef")
    assert made.run_link == "https://runs.example/7"
    assert made == backend.call(ops.GetVersion(name=NAME, version=1))


@pytest.mark.parametrize(
    ("run_id", "folder"), [("", ""), ("nobody-knows", ""), ("nobody-knows", "model"), ("taxi", "x")]
)
def test_a_version_may_be_empty_when_that_is_allowed(
    backend: LocalBackend, run_id: str, folder: str
) -> None:
    log_model(backend, "taxi")
    call = ops.RegisterVersion(name=NAME, run_id=run_id, artifact_path=folder, allow_empty=True)
    made = backend.call(call)
    assert (made.run_id, made.artifact_path, made.size_bytes) == (run_id, folder, 0)
    assert made.metrics == ({"rmse": 3.9} if run_id == "taxi" else {})
    with pytest.raises((NotFoundError, InvalidInputError)):
        backend.call(ops.RegisterVersion(name=NAME, run_id=run_id, artifact_path=folder))
    assert len(backend.call(ops.ListVersions(name=NAME))) == 1


def test_a_model_is_not_made_by_its_version_unless_that_is_wanted(backend: LocalBackend) -> None:
    with pytest.raises(NotFoundError, match="Registered Model with name=taxifare_model not found"):
        register(backend, create_model=False)
    assert backend.call(ops.ListModels()) == []
    backend.call(ops.CreateModel(name=NAME))
    assert register(backend, create_model=False).version == 1


def test_a_copy_has_the_very_files_of_its_version_and_a_life_of_its_own(
    backend: LocalBackend,
) -> None:
    run_id = log_model(backend)
    call = ops.RegisterVersion(
        name=NAME, run_id=run_id, artifact_path="model", description="First.", tags={"a": "1"}
    )
    was = backend.call(call)
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Production"))
    backend.call(ops.SetAlias(name=NAME, alias="best", version=1))

    copy = backend.call(ops.CopyVersion(name=NAME, version=1, to="live", actor="vera"))

    assert (copy.name, copy.version, copy.run_id, copy.actor) == ("live", 1, run_id, "vera")
    assert (copy.stage, copy.aliases, copy.tags) == (Stage.NONE, [], {"a": "1"})
    assert (copy.description, copy.metrics, copy.digest) == ("First.", was.metrics, was.digest)
    files = backend.call(ops.ResolveModel(name="live", version=1)).files
    assert files == backend.call(ops.ResolveModel(name=NAME, version=1)).files
    assert events_of(backend, "live")[0].reason == f"copied from version 1 of {NAME}"
    backend.call(ops.DeleteModel(name=NAME))
    assert backend.call(ops.ResolveModel(name="live", version=1)).files == files

    again = backend.call(
        ops.CopyVersion(
            name="live", version=1, to="live", description="", tags={}, source="models:/live/1"
        )
    )
    assert (again.version, again.description, again.tags) == (2, "", {})
    assert again.source == "models:/live/1"
    with pytest.raises(NotFoundError, match="Registered Model with name=new not found"):
        backend.call(ops.CopyVersion(name="live", version=1, to="new", create_model=False))


def test_a_version_that_is_not_there_is_said_to_be_missing(backend: LocalBackend) -> None:
    register(backend)
    calls: list[ops.Operation[Any]] = [
        ops.GetVersion(name=NAME, version=7),
        ops.UpdateVersion(name=NAME, version=7, description="x"),
        ops.DeleteVersion(name=NAME, version=7),
        ops.CopyVersion(name=NAME, version=7, to="other"),
        ops.SetVersionTags(name=NAME, version=7, tags={"a": "b"}),
        ops.RemoveVersionTag(name=NAME, version=7, key="a"),
        ops.TransitionStage(name=NAME, version=7, stage="Production"),
        ops.SetAlias(name=NAME, alias="champion", version=7),
        ops.ResolveModel(name=NAME, version=7),
    ]
    for call in calls:
        with pytest.raises(NotFoundError) as caught:
            backend.call(call)
        assert str(caught.value).startswith(f"Model Version (name={NAME}, version=7) not found.")


def test_a_version_is_described_anew(backend: LocalBackend) -> None:
    register(backend, description="First.", tags={"a": "1"})
    version = backend.call(ops.UpdateVersion(name=NAME, version=1, description="Good at night."))
    assert (version.description, version.tags) == ("Good at night.", {"a": "1"})
    assert version == backend.call(ops.GetVersion(name=NAME, version=1))


def test_tags_of_a_version_are_set_replaced_and_taken_off(backend: LocalBackend) -> None:
    register(backend, tags={"a": "1", "b": "2"})
    register(backend, tags={"a": "other"})
    call = ops.SetVersionTags(name=NAME, version=1, tags={"b": "two", "c": ""})
    assert backend.call(call).tags == {"a": "1", "b": "two", "c": ""}
    for _ in range(2):
        left = backend.call(ops.RemoveVersionTag(name=NAME, version=1, key="b")).tags
        assert left == {"a": "1", "c": ""}
    assert backend.call(ops.GetVersion(name=NAME, version=2)).tags == {"a": "other"}


def test_the_number_of_a_deleted_version_is_not_used_again(backend: LocalBackend) -> None:
    register(backend)
    register(backend)
    model = backend.call(ops.DeleteVersion(name=NAME, version=2, actor="vera"))
    assert model.latest_version == 2
    with pytest.raises(NotFoundError):
        backend.call(ops.GetVersion(name=NAME, version=2))
    assert register(backend).version == 3
    gone = events_of(backend)[2]
    assert (gone.version, gone.kind, gone.before, gone.actor) == (2, "deleted", "None", "vera")


def test_a_deleted_version_takes_its_aliases_along_and_the_history_says_so(
    backend: LocalBackend,
) -> None:
    register(backend)
    register(backend)
    backend.call(ops.SetAlias(name=NAME, alias="best", version=2))
    backend.call(ops.SetAlias(name=NAME, alias="old", version=1))
    model = backend.call(ops.DeleteVersion(name=NAME, version=2))
    assert model.aliases == {"old": 1}
    removed = next(event for event in events_of(backend) if event.kind == "alias removed")
    assert (removed.before, removed.reason) == ("best: 2", "version 2 was deleted")


def test_the_stage_of_a_deleted_champion_passes_on(backend: LocalBackend) -> None:
    for number in (1, 2, 3):
        register(backend)
        backend.call(
            ops.TransitionStage(
                name=NAME, version=number, stage="Production", archive_existing=False
            )
        )
    assert backend.call(ops.GetModel(name=NAME)).champions == {"Production": 3}
    for number, champions in ((3, {"Production": 2}), (1, {"Production": 2}), (2, {})):
        assert backend.call(ops.DeleteVersion(name=NAME, version=number)).champions == champions


def test_a_shared_stage_means_the_version_that_was_moved_last(backend: LocalBackend) -> None:
    register(backend)
    register(backend)
    for number in (2, 1):
        backend.call(
            ops.TransitionStage(name=NAME, version=number, stage="Staging", archive_existing=False)
        )
    stages = [version.stage for version in backend.call(ops.ListVersions(name=NAME))]
    assert stages == [Stage.STAGING, Stage.STAGING]
    assert backend.call(ops.ResolveModel(name=NAME, stage="staging")).version.version == 1


@pytest.mark.parametrize("stage", ["None", "archived"])
def test_only_stages_in_use_archive_what_they_had(backend: LocalBackend, stage: str) -> None:
    register(backend)
    register(backend)
    move = ops.TransitionStage
    with pytest.raises(InvalidInputError, match="cannot be archived for another one"):
        backend.call(move(name=NAME, version=1, stage=stage, archive_existing=True))
    for number in (1, 2):
        moved = backend.call(move(name=NAME, version=number, stage=stage))
        assert moved.stage == Stage(stage)
    assert {v.stage for v in backend.call(ops.ListVersions(name=NAME))} == {Stage(stage)}


def test_an_alias_that_is_not_there_may_be_taken_away_or_not(backend: LocalBackend) -> None:
    register(backend)
    with pytest.raises(NotFoundError, match="No alias of taxifare_model 'best'"):
        backend.call(ops.RemoveAlias(name=NAME, alias="best"))
    model = backend.call(ops.RemoveAlias(name=NAME, alias="best", missing_ok=True))
    assert model.aliases == {}
    assert [event.kind for event in events_of(backend)] == ["created"]
    with pytest.raises(NotFoundError, match="Registered Model with name=other not found"):
        backend.call(ops.RemoveAlias(name="other", alias="best", missing_ok=True))


@pytest.mark.parametrize(
    "given",
    [
        {"description": "a\0b"},
        {"source": "s3://\0"},
        {"source": "s" * 65_537},
        {"run_link": "\ud800"},
        {"logged_model_id": "m/1"},
        {"run_id": "../7"},
        {"artifact_path": "../7"},
    ],
)
def test_what_no_database_can_keep_is_refused(backend: LocalBackend, given: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError):
        register(backend, **given)
    assert backend.call(ops.ListModels()) == []
