"""Rows of an MLflow database, made of Loopline's records."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from loopline.records.base import Lifecycle
from loopline.records.logged_models import LoggedModelStatus, ModelRole
from loopline.rules.mlflow_datasets import dataset_words
from loopline.transfer.mlflow_facts import CONTEXT, DELETED_STAGE, PARENT

if TYPE_CHECKING:
    from loopline.records.logged_models import LoggedModel, LoggedModelPoint, RunModel
    from loopline.records.registry import ModelVersion, RegisteredModel
    from loopline.records.tracking import Dataset, Experiment, Run

__all__ = [
    "CONTEXT",
    "dataset_row",
    "deleted_version_row",
    "experiment_row",
    "input_row",
    "logged_model_point_row",
    "logged_model_row",
    "model_row",
    "point_row",
    "run_row",
    "tags_of",
    "use_row",
    "version_row",
]

#: What MLflow's databases hold in the place of infinity.
LARGEST = 1.7976931348623157e308
_LOGGED_MODEL_STATUSES = {
    LoggedModelStatus.PENDING: 1,
    LoggedModelStatus.READY: 2,
    LoggedModelStatus.FAILED: 3,
}
_USES = {
    ModelRole.INPUT: ("RUN_INPUT", "MODEL_INPUT"),
    ModelRole.OUTPUT: ("RUN_OUTPUT", "MODEL_OUTPUT"),
}


def experiment_row(experiment: Experiment, location: str) -> dict[str, Any]:
    """Make a row of ``experiments``."""
    return {
        "experiment_id": int(experiment.experiment_id),
        "name": experiment.name,
        "artifact_location": location,
        "lifecycle_stage": experiment.lifecycle.value,
        "creation_time": experiment.created_ms,
        "last_update_time": experiment.updated_ms,
    }


def run_row(run: Run, artifact_uri: str) -> dict[str, Any]:
    """Make a row of ``runs``."""
    is_deleted = run.lifecycle == Lifecycle.DELETED
    return {
        "run_uuid": run.run_id,
        "name": run.name,
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "user_id": run.user,
        "status": run.status.value,
        "start_time": run.start_ms,
        "end_time": run.end_ms,
        "source_version": "",
        "lifecycle_stage": run.lifecycle.value,
        "artifact_uri": artifact_uri,
        "experiment_id": int(run.experiment_id),
        # `mlflow gc` goes by it; when a run was deleted here is not kept.
        "deleted_time": (run.end_ms or run.start_ms) if is_deleted else None,
    }


def tags_of(run: Run) -> dict[str, str]:
    """Take a run's tags, with the one by which MLflow knows what it is nested in."""
    return {PARENT: run.parent_run_id, **run.tags} if run.parent_run_id else run.tags


def point_row(run_id: str, key: str, step: int, timestamp_ms: int, value: float) -> dict[str, Any]:
    """Make a row of ``metrics``: NaN is a mark, and infinity the largest number."""
    is_nan = math.isnan(value)
    return {
        "run_uuid": run_id,
        "key": key,
        "value": 0.0 if is_nan else max(-LARGEST, min(LARGEST, value)),
        "timestamp": timestamp_ms,
        "step": step,
        "is_nan": is_nan,
    }


def dataset_row(dataset: Dataset, dataset_id: str, experiment_id: int) -> dict[str, Any]:
    """Make a row of ``datasets``; what came from MLflow goes back word for word."""
    words = dataset_words(dataset)
    return {
        "dataset_uuid": dataset_id,
        "experiment_id": experiment_id,
        "name": dataset.name,
        "digest": dataset.digest,
        "dataset_source_type": words["source_type"],
        "dataset_source": words["source"],
        "dataset_schema": words.get("schema"),
        "dataset_profile": words.get("profile"),
    }


def input_row(input_id: str, dataset_id: str, run_id: str) -> dict[str, Any]:
    """Make a row of ``inputs``."""
    return {
        "input_uuid": input_id,
        "source_type": "DATASET",
        "source_id": dataset_id,
        "destination_type": "RUN",
        "destination_id": run_id,
    }


def use_row(input_id: str, run_id: str, use: RunModel) -> dict[str, Any]:
    """Make a row of ``inputs`` as MLflow 3 has it: a run read or made a logged model."""
    source_type, destination_type = _USES[use.role]
    return {
        "input_uuid": input_id,
        "source_type": source_type,
        "source_id": run_id,
        "destination_type": destination_type,
        "destination_id": use.model_id,
        "step": use.step,
    }


def logged_model_row(model: LoggedModel, location: str) -> dict[str, Any]:
    """Make a row of ``logged_models``."""
    return {
        "model_id": model.model_id,
        "experiment_id": int(model.experiment_id),
        "name": model.name,
        "artifact_location": location,
        "creation_timestamp_ms": model.created_ms,
        "last_updated_timestamp_ms": model.updated_ms,
        "status": _LOGGED_MODEL_STATUSES[model.status],
        "lifecycle_stage": model.lifecycle.value,
        "model_type": model.model_type or None,
        "source_run_id": model.source_run_id or None,
        "status_message": model.status_message or None,
    }


def logged_model_point_row(model: LoggedModel, point: LoggedModelPoint) -> dict[str, Any]:
    """Make a row of ``logged_model_metrics``, in which NULL is NaN."""
    return {
        "model_id": model.model_id,
        "experiment_id": int(model.experiment_id),
        "metric_name": point.key,
        "metric_timestamp_ms": point.timestamp_ms,
        "metric_step": point.step,
        "metric_value": None if math.isnan(point.value) else point.value,
        "run_id": point.run_id,
        "dataset_uuid": None,
        "dataset_name": point.dataset_name or None,
        "dataset_digest": point.dataset_digest or None,
    }


def model_row(model: RegisteredModel) -> dict[str, Any]:
    """Make a row of ``registered_models``."""
    return {
        "name": model.name,
        "creation_time": model.created_ms,
        "last_updated_time": model.updated_ms,
        "description": model.description or None,
    }


def version_row(version: ModelVersion, location: str, source: str) -> dict[str, Any]:
    """Make a row of ``model_versions``."""
    return {
        "name": version.name,
        "version": version.version,
        "creation_time": version.created_ms,
        "last_updated_time": version.updated_ms,
        "description": version.description or None,
        "user_id": version.actor or None,
        "current_stage": version.seen_as.value,
        "source": source,
        "run_id": version.run_id or None,
        "run_link": version.run_link or None,
        "status": version.status.value,
        "status_message": version.status_message or None,
        "storage_location": location,
    }


def deleted_version_row(model: RegisteredModel, number: int) -> dict[str, Any]:
    """Make the row by which MLflow remembers a number that is not to be used again."""
    return {
        "name": model.name,
        "version": number,
        "creation_time": model.created_ms,
        "last_updated_time": model.updated_ms,
        "description": None,
        "user_id": None,
        "current_stage": DELETED_STAGE,
        "source": "REDACTED-SOURCE-PATH",
        "run_id": "REDACTED-RUN-ID",
        "run_link": None,
        "status": "READY",
        "status_message": None,
        "storage_location": None,
    }
