"""Experiments in MLflow's protocol."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import structs

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.base import Lifecycle
from loopline.server.mlflow.answers import experiment_answer
from loopline.server.mlflow.requests import Call, KeyValue, required
from loopline.server.mlflow.rules import Rule, asks

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["EXPERIMENTS", "VIEWS", "check_experiment_id", "check_location", "view_of"]

#: Data versions in one answer, as MLflow has it.
MOST_DATASETS = 1000
#: Experiments in one answer to an old client that does not say how many it takes.
MOST_LISTED = 50_000
#: MLflow's words for what is looked at, and ours.
VIEWS = {"ACTIVE_ONLY": "active", "DELETED_ONLY": "deleted", "ALL": "all"}
#: The protocol's numbers for them; a text that is empty says nothing.
_NUMBERED = {"1": "ACTIVE_ONLY", "2": "DELETED_ONLY", "3": "ALL", "": "ACTIVE_ONLY"}
_NUMBER = re.compile(r"\d+\Z", re.ASCII)


class CreateExperiment(Call, frozen=True, kw_only=True):
    """A new experiment; where its files lie is the server's business."""

    name: str
    artifact_location: str = ""
    tags: list[KeyValue] = []


class ExperimentId(Call, frozen=True, kw_only=True):
    """An experiment by its id."""

    experiment_id: str


class ByName(Call, frozen=True, kw_only=True):
    """An experiment by its name."""

    experiment_name: str


class UpdateExperiment(Call, frozen=True, kw_only=True):
    """Another name."""

    experiment_id: str
    new_name: str = ""


class ExperimentTag(Call, frozen=True, kw_only=True):
    """A tag of an experiment."""

    experiment_id: str
    key: str
    value: str = ""


class SearchExperiments(Call, frozen=True, kw_only=True):
    """A search for experiments, which must say how many it takes."""

    max_results: int = 0
    page_token: str = ""
    filter: str = ""
    order_by: list[str] = []
    view_type: str | int = "ACTIVE_ONLY"


class ListExperiments(SearchExperiments, frozen=True, kw_only=True):
    """The search of clients before MLflow 2, which has no filter."""

    max_results: int = MOST_LISTED


class SearchDatasets(Call, frozen=True, kw_only=True):
    """A search for the data versions that runs of some experiments read."""

    experiment_ids: list[str] = []


def view_of(given: str | int) -> str:
    """Turn MLflow's word or number for what is looked at into ours.

    Raises:
        InvalidInputError: It is none.
    """
    text = str(given)
    try:
        return VIEWS[_NUMBERED.get(text, text).upper()]
    except KeyError:
        msg = (
            f"Invalid value {text[:80]!r} for parameter 'view_type' supplied: use "
            f"{', '.join(VIEWS)}."
        )
        raise InvalidInputError(msg) from None


def check_experiment_id(experiment_id: str) -> str:
    """Check that a text can be the id of an experiment.

    Raises:
        InvalidInputError: It is no number.
    """
    if not _NUMBER.match(required("experiment_id", experiment_id)):
        msg = (
            f"Invalid experiment ID '{experiment_id[:80]}'. Experiment ID must be a valid integer."
        )
        raise InvalidInputError(msg)
    return experiment_id


def check_location(location: str) -> None:
    """Refuse a place for files that a client chose: this server alone says where files lie.

    Raises:
        InvalidInputError: There is one.
    """
    if location:
        msg = (
            f"This server says itself where files lie, and does not take {location[:200]!r}. "
            "Leave artifact_location out; its files are stored once, whatever the experiment."
        )
        raise InvalidInputError(msg)


def _create(backend: Backend, call: CreateExperiment) -> dict[str, Any]:
    check_location(call.artifact_location)
    made = backend.call(
        ops.CreateExperiment(
            name=required("name", call.name), tags={tag.key: tag.value for tag in call.tags}
        )
    )
    return {"experiment_id": made.experiment_id}


def _get(backend: Backend, call: ExperimentId) -> dict[str, Any]:
    experiment_id = check_experiment_id(call.experiment_id)
    found = backend.call(ops.GetExperiment(experiment_id=experiment_id))
    return {"experiment": experiment_answer(found)}


def _get_by_name(backend: Backend, call: ByName) -> dict[str, Any]:
    required("experiment_name", call.experiment_name)
    try:
        found = backend.call(ops.GetExperiment(name=call.experiment_name))
    except NotFoundError:
        msg = f"Could not find experiment with name '{call.experiment_name}'"
        raise NotFoundError(msg) from None
    return {"experiment": experiment_answer(found)}


def _search(backend: Backend, call: SearchExperiments) -> dict[str, Any]:
    page = backend.call(
        ops.SearchExperiments(
            filter=call.filter,
            order_by=call.order_by,
            lifecycle=view_of(call.view_type),
            max_results=call.max_results,
            page_token=call.page_token,
        )
    )
    return {
        "experiments": [experiment_answer(each) for each in page.experiments],
        "next_page_token": page.next_page_token,
    }


def _update(backend: Backend, call: UpdateExperiment) -> dict[str, Any]:
    experiment_id = check_experiment_id(call.experiment_id)
    name = required("new_name", call.new_name)
    backend.call(ops.RenameExperiment(experiment_id=experiment_id, name=name))
    return {}


def _delete(backend: Backend, call: ExperimentId) -> dict[str, Any]:
    experiment_id = _find(backend, call.experiment_id, Lifecycle.ACTIVE)
    backend.call(ops.DeleteExperiment(experiment_id=experiment_id))
    return {}


def _restore(backend: Backend, call: ExperimentId) -> dict[str, Any]:
    experiment_id = _find(backend, call.experiment_id, Lifecycle.DELETED)
    backend.call(ops.RestoreExperiment(experiment_id=experiment_id))
    return {}


def _find(backend: Backend, experiment_id: str, lifecycle: Lifecycle) -> str:
    """Check that an experiment is there to be deleted or restored: MLflow looks among those only.

    Raises:
        NotFoundError: It is not, or it has been already.
    """
    found = backend.call(ops.GetExperiment(experiment_id=check_experiment_id(experiment_id)))
    if found.lifecycle is not lifecycle:
        msg = f"No Experiment with id={experiment_id} exists that is {lifecycle.value}."
        raise NotFoundError(msg)
    return found.experiment_id


def _set_tag(backend: Backend, call: ExperimentTag) -> dict[str, Any]:
    experiment_id = check_experiment_id(call.experiment_id)
    backend.call(ops.SetExperimentTags(experiment_id=experiment_id, tags={call.key: call.value}))
    return {}


def _delete_tag(backend: Backend, call: ExperimentTag) -> dict[str, Any]:
    experiment_id = check_experiment_id(call.experiment_id)
    backend.call(ops.RemoveExperimentTag(experiment_id=experiment_id, key=call.key))
    return {}


def _search_datasets(backend: Backend, call: SearchDatasets) -> dict[str, Any]:
    if not call.experiment_ids:
        msg = "SearchDatasets request must specify at least one experiment_id."
        raise InvalidInputError(msg)
    found = backend.call(ops.ListDatasets(experiment_ids=call.experiment_ids, limit=MOST_DATASETS))
    return {
        "dataset_summaries": [
            {key: value for key, value in structs.asdict(each).items() if value} for each in found
        ]
    }


POST = ("POST",)
EXPERIMENTS: list[Rule] = [
    asks("experiments/create", CreateExperiment, _create, methods=POST),
    asks("experiments/get", ExperimentId, _get),
    asks("experiments/get-by-name", ByName, _get_by_name),
    asks("experiments/list", ListExperiments, _search),
    asks("experiments/search", SearchExperiments, _search, methods=("GET",)),
    asks("experiments/search", SearchExperiments, _search, methods=POST, permission="view"),
    asks(
        "experiments/search-datasets", SearchDatasets, _search_datasets, methods=POST,
        permission="view",
    ),
    asks("experiments/update", UpdateExperiment, _update, methods=POST),
    asks("experiments/delete", ExperimentId, _delete, methods=POST),
    asks("experiments/restore", ExperimentId, _restore, methods=POST),
    asks("experiments/set-experiment-tag", ExperimentTag, _set_tag, methods=POST),
    asks("experiments/delete-experiment-tag", ExperimentTag, _delete_tag, methods=POST),
]  # fmt: skip
