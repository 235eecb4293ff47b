"""Operations that move whole stores in, as they were elsewhere and not as of now."""

from __future__ import annotations

from typing import ClassVar

from loopline.records.logged_models import LoggedModel
from loopline.records.operation import Operation
from loopline.records.registry import ModelVersion, RegisteredModel, VersionEvent
from loopline.records.tracking import Artifact, Experiment
from loopline.records.transfer import LoggedModelDescription, RunDescription, RunSettlement

__all__ = [
    "DescribeLoggedModels",
    "DescribeRuns",
    "ImportExperiment",
    "ImportLoggedModel",
    "ImportModel",
    "ImportVersion",
    "SettleRuns",
]


class DescribeRuns(Operation[list[RunDescription]], frozen=True, kw_only=True):
    """Get everything but metric points of those of some runs that exist, deleted ones too."""

    run_ids: list[str]


class DescribeLoggedModels(Operation[list[LoggedModelDescription]], frozen=True, kw_only=True):
    """Get everything of those of some logged models that exist, deleted ones too."""

    model_ids: list[str]


class ImportExperiment(Operation[Experiment], frozen=True, kw_only=True):
    """Make an experiment as it was elsewhere, or add what is new to the one of its name.

    Attributes:
        experiment: Its id is kept when the name is new and the number free and short.
        update: Tags, times and lifecycle of one that exists become those given, too.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    experiment: Experiment
    update: bool = False


class SettleRuns(Operation[int], frozen=True, kw_only=True):
    """Set how imported runs ended, and that ``writer`` no longer answers for their being alive.

    Answers how many of the runs exist.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    runs: list[RunSettlement]
    writer: str = ""


class ImportLoggedModel(Operation[LoggedModel], frozen=True, kw_only=True):
    """Make a logged model as it was elsewhere, or add what is new to it.

    That its files became complete, and that it was deleted, is always followed.

    Attributes:
        model: As it was, of an experiment that is here, with its points; what was registered from
            it is told by the versions.
        files: Its files by path; their bytes are in the blob store.
        update: Where both have a value, the given one counts.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    model: LoggedModel
    files: list[Artifact] = []
    update: bool = False


class ImportVersion(Operation[ModelVersion], frozen=True, kw_only=True):
    """Make a model version under the number it had elsewhere, or add what is new to it.

    Attributes:
        version: As it was, with stage, times and actor; aliases are set by ``ImportModel``. Its
            digest and size are counted anew.
        files: Its files by path inside the model folder; their bytes are in the blob store.
        update: Stage, description and tags of one that exists become those given, too.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    version: ModelVersion
    files: list[Artifact] = []
    update: bool = False


class ImportModel(Operation[RegisteredModel], frozen=True, kw_only=True):
    """Make a registered model as it was elsewhere, or add what is new to the one of its name.

    Attributes:
        model: As it was, with times, champions, aliases and the last number used; its versions
            are there already.
        events: Moves that its history shall have; those it has already are left out.
        update: Aliases, champions and description of one that exists become those given, too.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    model: RegisteredModel
    events: list[VersionEvent] = []
    update: bool = False
