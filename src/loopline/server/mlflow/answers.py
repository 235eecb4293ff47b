"""Records in MLflow's JSON: fields that are not set, and lists that are empty, are left out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from msgspec import json

from loopline.records.logged_models import LoggedModelStatus, ModelRole
from loopline.rules.mlflow_datasets import dataset_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopline.records.logged_models import LoggedModel, LoggedModelPoint, RunModel
    from loopline.records.registry import ModelVersion, RegisteredModel
    from loopline.records.tracking import Experiment, Run, RunInput

__all__ = [
    "SCHEME",
    "artifact_root",
    "experiment_answer",
    "logged_model_answer",
    "model_answer",
    "model_root",
    "number",
    "pairs",
    "run_answer",
    "run_info",
    "timed_pairs",
    "version_answer",
]

#: Scheme of the addresses that this server gives out, and takes back.
SCHEME = "mlflow-artifacts:/"
#: Tag of a logged model that says which versions were made from it.
_VERSIONS = "mlflow.modelVersions"
_STATUS = {
    LoggedModelStatus.PENDING: "LOGGED_MODEL_PENDING",
    LoggedModelStatus.READY: "LOGGED_MODEL_READY",
    LoggedModelStatus.FAILED: "LOGGED_MODEL_UPLOAD_FAILED",
}
_SPELLED = {math.inf: "Infinity", -math.inf: "-Infinity"}


def number(value: float) -> float | str:
    """Write a number as protobuf's JSON has it, which has words for what JSON cannot say."""
    return value if math.isfinite(value) else _SPELLED.get(value, "NaN")


def pairs(texts: Mapping[str, str]) -> list[dict[str, str]]:
    """Write params or tags."""
    return [{"key": key, "value": value} for key, value in texts.items()]


def artifact_root(experiment_id: str, run_id: str) -> str:
    """Tell the address of a run's files."""
    return f"{SCHEME}{experiment_id}/{run_id}/artifacts"


def model_root(experiment_id: str, model_id: str) -> str:
    """Tell the address of a logged model's files."""
    return f"{SCHEME}{experiment_id}/models/{model_id}/artifacts"


def logged_model_answer(model: LoggedModel) -> dict[str, Any]:
    """Write a logged model with all its points, and in a tag the versions made from it."""
    tags = dict(model.tags)
    if model.registrations:
        versions = [{"name": name, "version": number} for name, number in model.registrations]
        tags[_VERSIONS] = json.encode(versions).decode()
    info = {
        "model_id": model.model_id,
        "experiment_id": model.experiment_id,
        "name": model.name,
        "creation_timestamp_ms": model.created_ms,
        "last_updated_timestamp_ms": model.updated_ms,
        "artifact_uri": model_root(model.experiment_id, model.model_id),
        "status": _STATUS[model.status],
        "status_message": model.status_message,
        "model_type": model.model_type,
        "source_run_id": model.source_run_id,
        "tags": pairs(tags),
        "registrations": [
            {"name": name, "version": str(number)} for name, number in model.registrations
        ],
    }
    data = {
        "params": pairs(model.params),
        "metrics": [_point_answer(point) for point in model.metrics],
    }
    return {
        "info": {key: value for key, value in info.items() if value},
        "data": {key: value for key, value in data.items() if value},
    }


def _point_answer(point: LoggedModelPoint) -> dict[str, Any]:
    answer = {
        "key": point.key,
        "value": number(point.value),
        "timestamp": point.timestamp_ms,
        "step": point.step,
        "model_id": point.model_id,
        "run_id": point.run_id,
    }
    if point.dataset_name:
        answer["dataset_name"] = point.dataset_name
        answer["dataset_digest"] = point.dataset_digest
    return answer


def experiment_answer(experiment: Experiment) -> dict[str, Any]:
    """Write an experiment."""
    answer = {
        "experiment_id": experiment.experiment_id,
        "name": experiment.name,
        "artifact_location": f"{SCHEME}{experiment.experiment_id}",
        "lifecycle_stage": experiment.lifecycle.value,
        "creation_time": experiment.created_ms,
        "last_update_time": experiment.updated_ms,
    }
    return answer | ({"tags": pairs(experiment.tags)} if experiment.tags else {})


def run_info(run: Run) -> dict[str, Any]:
    """Write what a run is."""
    answer: dict[str, Any] = {
        "run_id": run.run_id,
        "run_uuid": run.run_id,
        "run_name": run.name,
        "experiment_id": run.experiment_id,
        "user_id": run.user,
        "status": run.status.value,
        "start_time": run.start_ms,
        "artifact_uri": artifact_root(run.experiment_id, run.run_id),
        "lifecycle_stage": run.lifecycle.value,
    }
    if run.end_ms is not None:
        answer["end_time"] = run.end_ms
    return answer


def run_answer(
    run: Run, inputs: Sequence[RunInput] = (), models: Sequence[RunModel] = ()
) -> dict[str, Any]:
    """Write a run with the latest point of each metric, and what it read and made if given."""
    data: dict[str, Any] = {}
    if run.metrics:
        data["metrics"] = [
            {
                "key": key,
                "value": number(summary.value),
                "timestamp": summary.timestamp_ms,
                "step": summary.step,
            }
            for key, summary in run.metrics.items()
        ]
    if run.params:
        data["params"] = pairs(run.params)
    # MLflow's clients show the name from its tag.
    tags = run.tags if "mlflow.runName" in run.tags else {"mlflow.runName": run.name, **run.tags}
    data["tags"] = pairs(tags)
    answer: dict[str, Any] = {"info": run_info(run), "data": data}
    read = [{"model_id": each.model_id} for each in models if each.role is ModelRole.INPUT]
    made = [
        {"model_id": each.model_id, "step": each.step}
        for each in models
        if each.role is ModelRole.OUTPUT
    ]
    if inputs or read:
        datasets = [_input_answer(each) for each in inputs]
        answer["inputs"] = {
            **({"dataset_inputs": datasets} if datasets else {}),
            **({"model_inputs": read} if read else {}),
        }
    if made:
        answer["outputs"] = {"model_outputs": made}
    return answer


def _input_answer(each: RunInput) -> dict[str, Any]:
    said = {"mlflow.data.context": each.context} if each.context else {}
    tags = [{"key": key, "value": value} for key, value in (said | each.tags).items()]
    return {"dataset": dataset_words(each.dataset), **({"tags": tags} if tags else {})}


def version_answer(version: ModelVersion) -> dict[str, Any]:
    """Write a model version; its number is a text."""
    answer = {
        "name": version.name,
        "version": str(version.version),
        "creation_timestamp": version.created_ms,
        "last_updated_timestamp": version.updated_ms,
        "user_id": version.actor,
        "current_stage": version.seen_as.value,
        "description": version.description,
        "source": version.source or f"runs:/{version.run_id}/{version.artifact_path}",
        "run_id": version.run_id,
        "run_link": version.run_link,
        "model_id": version.logged_model_id,
        "status": version.status.value,
        "status_message": version.status_message,
        "tags": pairs(version.tags),
        "aliases": version.aliases,
    }
    return {key: value for key, value in answer.items() if value}


def model_answer(model: RegisteredModel, latest: Sequence[ModelVersion]) -> dict[str, Any]:
    """Write a registered model, with the newest version in each stage."""
    answer = {
        "name": model.name,
        "creation_timestamp": model.created_ms,
        "last_updated_timestamp": model.updated_ms,
        "description": model.description,
        "latest_versions": [version_answer(version) for version in latest],
        "tags": pairs(model.tags),
        "aliases": [
            {"alias": alias, "version": str(version)} for alias, version in model.aliases.items()
        ],
    }
    return {key: value for key, value in answer.items() if value}


def timed_pairs(key: str, steps: Any, times: Any, values: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Write points of a metric, given its columns."""
    return [
        {"key": key, "value": number(value), "timestamp": timestamp, "step": step}
        for step, timestamp, value in zip(steps, times, values, strict=True)
    ]
