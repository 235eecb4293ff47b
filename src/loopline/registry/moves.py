"""Moves of versions: between stages, under aliases, and who made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.backend.recorder import get_recorder
from loopline.records.operations import (
    AddStage,
    ListVersionEvents,
    RemoveAlias,
    RemoveStage,
    SetAlias,
    TransitionStage,
)
from loopline.registry.found import Events
from loopline.registry.given import actor, as_number

if TYPE_CHECKING:
    from loopline.records.registry import ModelVersion, RegisteredModel, Stage

__all__ = [
    "add_stage",
    "history",
    "remove_alias",
    "remove_stage",
    "set_alias",
    "transition_stage",
]


def transition_stage(
    name: str,
    version: int | str,
    stage: Stage | str,
    *,
    archive_existing: bool | None = None,
    only_after: int | None = None,
    reason: str = "",
) -> ModelVersion:
    """Move a version to a stage; from then on ``models:/name/Stage`` means it.

    Args:
        name: Of the registered model.
        version: Its number.
        stage: ``"None"``, ``"Staging"``, ``"Production"``, ``"Archived"`` or one of the model's
            own, in any case.
        archive_existing: The versions that were in that stage go to Archived, which a move to
            None or Archived cannot ask for; left out, they do where they can.
        only_after: The version that must be the stage's champion until now, 0 for none; left
            out, whichever it is.
        reason: Why, kept in the history.

    Raises:
        NotFoundError: There is no such version.
        InvalidInputError: There is no such stage.
        ConflictError: Another version is the champion than ``only_after``.
    """
    return get_recorder().call(
        TransitionStage(
            name=name,
            version=as_number(version),
            stage=str(stage),
            archive_existing=archive_existing,
            only_after=only_after,
            reason=reason,
            actor=actor(),
        )
    )


def add_stage(name: str, stage: str, *, seen_as: Stage | str = "None") -> RegisteredModel:
    """Give a model a stage of its own, such as ``"Canary"``; ``models:/name/Canary`` addresses it.

    Args:
        name: Of the registered model.
        stage: Its name; case does not matter when it is asked for.
        seen_as: What MLflow's clients, who know four stages, are told of a version in it:
            ``"None"``, ``"Staging"`` or ``"Archived"``.

    Raises:
        NotFoundError: There is no such model.
        InvalidInputError: The name cannot be, or ``seen_as``.
    """
    return get_recorder().call(
        AddStage(name=name, stage=stage, seen_as=str(seen_as), actor=actor())
    )


def remove_stage(name: str, stage: str) -> RegisteredModel:
    """Take away a stage of a model's own.

    Raises:
        InvalidInputError: It has no such stage, or it is one of the four that each has.
        ConflictError: Versions stand in it.
    """
    return get_recorder().call(RemoveStage(name=name, stage=stage, actor=actor()))


def set_alias(name: str, alias: str, version: int | str) -> ModelVersion:
    """Point an alias at a version; ``models:/name@alias`` then means it."""
    return get_recorder().call(
        SetAlias(name=name, alias=alias, version=as_number(version), actor=actor())
    )


def remove_alias(name: str, alias: str) -> RegisteredModel:
    """Take an alias away; the version it pointed at stays."""
    return get_recorder().call(RemoveAlias(name=name, alias=alias, actor=actor()))


def history(name: str) -> Events:
    """List who moved which version of a model when and why, newest first; of a deleted one, too."""
    found = get_recorder().call(ListVersionEvents(name=name))
    return Events(found)
