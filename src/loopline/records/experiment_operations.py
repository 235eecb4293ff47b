"""Operations on whole experiments, and on a run's place among them."""

from __future__ import annotations

from typing import ClassVar

from loopline.records.operation import Operation
from loopline.records.tracking import Experiment, ExperimentPage, Run

__all__ = [
    "CopyRun",
    "CreateExperiment",
    "DeleteExperiment",
    "EnsureExperiment",
    "GetExperiment",
    "ListExperiments",
    "MoveRuns",
    "RemoveExperimentTag",
    "RenameExperiment",
    "RestoreExperiment",
    "SearchExperiments",
    "SetExperimentTags",
]


class EnsureExperiment(Operation[Experiment], frozen=True, kw_only=True):
    """Get the experiment of this name, creating it when missing."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    tags: dict[str, str] = {}


class GetExperiment(Operation[Experiment], frozen=True, kw_only=True):
    """Get an experiment by id or by name."""

    experiment_id: str = ""
    name: str = ""


class ListExperiments(Operation[list[Experiment]], frozen=True, kw_only=True):
    """List experiments, newest change first."""

    include_deleted: bool = False


class DeleteExperiment(Operation[Experiment], frozen=True, kw_only=True):
    """Soft-delete an experiment and its runs."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    experiment_id: str


class RestoreExperiment(Operation[Experiment], frozen=True, kw_only=True):
    """Undo a deletion."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    experiment_id: str


class CreateExperiment(Operation[Experiment], frozen=True, kw_only=True):
    """Make a new experiment; a name that is taken, by a deleted one too, is an error."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    name: str
    tags: dict[str, str] = {}


class RenameExperiment(Operation[Experiment], frozen=True, kw_only=True):
    """Give an experiment another name, which nothing else may have."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    experiment_id: str
    name: str


class SetExperimentTags(Operation[Experiment], frozen=True, kw_only=True):
    """Set tags of an experiment; the last value of a key counts."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    experiment_id: str
    tags: dict[str, str]


class RemoveExperimentTag(Operation[Experiment], frozen=True, kw_only=True):
    """Take a tag off an experiment; one that is not there is an error."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    experiment_id: str
    key: str


class SearchExperiments(Operation[ExperimentPage], frozen=True, kw_only=True):
    """Search experiments by a filter, in order, a page at a time.

    Attributes:
        filter: The language of ``SearchRuns`` over name, experiment_id, creation_time,
            last_update_time and tags.
        order_by: Such as ``["name ASC"]``; newest change first when empty.
        lifecycle: ``"active"``, ``"deleted"`` or ``"all"``.
        max_results: 1 to 50,000.
        page_token: From the page before.
    """

    filter: str = ""
    order_by: list[str] = []
    lifecycle: str = "active"
    max_results: int = 1000
    page_token: str = ""


class MoveRuns(Operation[list[Run]], frozen=True, kw_only=True):
    """Move runs to an experiment with all that belongs to them; all of them or none.

    The logged models that a run made in its experiment go along.

    Attributes:
        experiment_id: Where to; or by name, which is made when missing.
        with_children: The runs started inside them go along, and those inside these.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    run_ids: list[str]
    experiment_id: str = ""
    experiment: str = ""
    with_children: bool = True
    actor: str = ""


class CopyRun(Operation[Run], frozen=True, kw_only=True):
    """Copy a run that has ended, with its whole history; files are shared, no bytes are copied.

    So are the logged models that it read and made: they stay where they are, and the copy names
    them, too.

    Attributes:
        experiment_id: Where to; or by name, which is made when missing; neither: where it is.
        new_run_id: Id of the copy; one is made up when empty.
        name: Of the copy; that of the run when empty.
        with_children: The runs started inside it are copied too, as children of the copy.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    run_id: str
    experiment_id: str = ""
    experiment: str = ""
    new_run_id: str = ""
    name: str = ""
    with_children: bool = False
    actor: str = ""
