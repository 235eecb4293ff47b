"""The fluent API: what MLflow users know, under the same names."""

from __future__ import annotations

import os
import time
import uuid
from typing import TYPE_CHECKING, Any

from loopline.backend.context import current_task
from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError
from loopline.records import operations as ops
from loopline.records.facts import RunStarted
from loopline.rules.names import check_experiment_name, check_id, check_key
from loopline.tracking.active import active_run, enter, last_active_run, leave
from loopline.tracking.capture import capture_into
from loopline.tracking.run import ActiveRun
from loopline.tracking.values import tag_text
from loopline.tracking.words import random_name, user_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from loopline.records.tracking import Artifact, Dataset, Experiment, MetricHistory, Run

__all__ = [
    "ExperimentHandle",
    "active_run",
    "delete_experiment",
    "delete_run",
    "delete_tag",
    "end_run",
    "get_experiment",
    "get_experiment_by_name",
    "get_metric_history",
    "get_run",
    "last_active_run",
    "list_artifacts",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_input",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_text",
    "restore_run",
    "search_experiments",
    "set_experiment",
    "set_tag",
    "set_tags",
    "start_run",
]

_experiment: list[str] = []


class ExperimentHandle:
    """An experiment by name; its id is asked from the store only when somebody wants it.

    Attributes:
        name: The experiment's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def fetch(self) -> Experiment:
        """Read the experiment from the store, making it when missing."""
        return get_recorder().call(ops.EnsureExperiment(name=self.name))

    @property
    def experiment_id(self) -> str:
        """Its id; asks the store."""
        return self.fetch().experiment_id

    def __repr__(self) -> str:
        return f"<Experiment {self.name!r}>"


def set_experiment(
    experiment_name: str | None = None, experiment_id: str | None = None
) -> ExperimentHandle:
    """Say which experiment the next runs belong to; a new one is made with its first run."""
    if (experiment_name is None) == (experiment_id is None):
        msg = "Give set_experiment either experiment_name or experiment_id."
        raise InvalidInputError(msg)
    if experiment_name is None:
        assert experiment_id is not None  # noqa: S101 - checked above
        experiment_name = get_experiment(experiment_id).name
    check_experiment_name(experiment_name)
    _experiment[:] = [experiment_name]
    return ExperimentHandle(experiment_name)


def _experiment_name() -> str:
    if _experiment:
        return _experiment[0]
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"


def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,  # noqa: FBT001, FBT002 - as MLflow has it
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
) -> ActiveRun:
    """Start a run and make it the active one; best used in a ``with`` statement.

    Args:
        run_id: Go on with this run instead of starting a new one.
        experiment_id: Where a new run belongs; the experiment set, or ``Default``, when None.
        run_name: Its name; one is made up when None.
        nested: Allow it inside an active run, as a child of that.
        parent_run_id: The run it is a child of; the active one when nested.
        tags: Tags to set on it.
        description: A note, in Markdown.

    Raises:
        InvalidInputError: A run is active and ``nested`` is false.
    """
    parent = active_run()
    if parent is not None and not nested:
        msg = (
            f"Run {parent.run_id} is active already. End it with loopline.end_run(), or start "
            "this one inside it with nested=True."
        )
        raise InvalidInputError(msg)
    if run_id is not None:
        check_id("run id", run_id)
    recorder = get_recorder()
    start_ms = time.time_ns() // 1_000_000
    name = run_name or (random_name() if run_id is None else "")
    texts = {key: tag_text(key, value) for key, value in (tags or {}).items()}
    for key in texts:
        check_key("tag", key)
    if description:
        texts["mlflow.note.content"] = tag_text("mlflow.note.content", description)
    if name:
        texts.setdefault("mlflow.runName", name)
    if parent is not None and parent_run_id is None:
        parent_run_id = parent.run_id
    if parent_run_id:
        texts["mlflow.parentRunId"] = parent_run_id
    user = user_name()
    texts.setdefault("mlflow.user", user)
    task = current_task.get()
    # An id is looked up, a name is not: a wrong id would leave the run without a home.
    experiment = get_experiment(experiment_id).name if experiment_id else _experiment_name()
    run = ActiveRun(
        recorder,
        run_id or uuid.uuid4().hex,
        name=name,
        experiment_name=experiment,
        start_ms=start_ms,
    )
    recorder.record(
        RunStarted(
            run_id=run.run_id,
            experiment=experiment,
            name=name,
            start_ms=start_ms,
            user=user,
            parent_run_id=parent_run_id,
            flow_run_id=task.flow_run_id if task else None,
            task_slug=task.task_slug if task else None,
            tags=texts,
            resumed=run_id is not None,
        )
    )
    enter(run)
    if run_id is None:
        capture_into(run, recorder)
    return run


def end_run(status: str = "FINISHED") -> None:
    """End the active run, if there is one."""
    run = active_run()
    if run is not None:
        run.end(status)
        leave(run)


def _run() -> ActiveRun:
    """Get the active run, starting one when there is none, as MLflow does."""
    return active_run() or start_run()


def log_metric(
    key: str, value: float, step: int | None = None, timestamp: int | None = None
) -> None:
    """Log one point of a metric to the active run; see ``ActiveRun.log_metric``."""
    (active_run() or start_run()).log_metric(key, value, step, timestamp)


def log_metrics(
    metrics: Mapping[str, float], step: int | None = None, timestamp: int | None = None
) -> None:
    """Log a point of several metrics to the active run."""
    _run().log_metrics(metrics, step, timestamp)


def log_param(key: str, value: Any) -> Any:  # noqa: ANN401
    """Log a param of the active run; it keeps its first value for good."""
    return _run().log_param(key, value)


def log_params(params: Mapping[str, Any]) -> None:
    """Log several params of the active run."""
    _run().log_params(params)


def set_tag(key: str, value: Any) -> None:  # noqa: ANN401
    """Set a tag of the active run."""
    _run().set_tag(key, value)


def set_tags(tags: Mapping[str, Any]) -> None:
    """Set several tags of the active run."""
    _run().set_tags(tags)


def delete_tag(key: str) -> None:
    """Take a tag off the active run."""
    _run().delete_tag(key)


def log_input(
    dataset: Dataset | Any,  # noqa: ANN401 - any data that `loopline.dataset` takes
    context: str = "",
    *,
    name: str = "",
) -> None:
    """Log data that the active run reads, and what for; see ``ActiveRun.log_input``."""
    _run().log_input(dataset, context, name=name)


def log_artifact(local_path: str | Path, artifact_path: str | None = None) -> None:
    """Log a file (or a folder) as an artifact of the active run."""
    _run().log_artifact(local_path, artifact_path)


def log_artifacts(local_dir: str | Path, artifact_path: str | None = None) -> None:
    """Log every file below a folder as artifacts of the active run."""
    _run().log_artifacts(local_dir, artifact_path)


def log_text(text: str, artifact_file: str) -> None:
    """Log a text as a file of the active run."""
    _run().log_text(text, artifact_file)


def log_dict(dictionary: Any, artifact_file: str) -> None:  # noqa: ANN401
    """Log a dictionary as JSON or YAML."""
    _run().log_dict(dictionary, artifact_file)


def log_figure(figure: Any, artifact_file: str) -> None:  # noqa: ANN401
    """Log a Matplotlib or Plotly figure."""
    _run().log_figure(figure, artifact_file)


def get_run(run_id: str) -> Run:
    """Get a run with its params, tags and metric summaries.

    Raises:
        NotFoundError: No run has this id.
    """
    return get_recorder().call(ops.GetRun(run_id=run_id))


def delete_run(run_id: str) -> None:
    """Soft-delete a run."""
    get_recorder().call(ops.DeleteRun(run_id=run_id))


def restore_run(run_id: str) -> None:
    """Undo the deletion of a run."""
    get_recorder().call(ops.RestoreRun(run_id=run_id))


def get_metric_history(run_id: str, key: str) -> MetricHistory:
    """Get every point of a metric, ordered by step, timestamp and value."""
    return get_recorder().call(ops.GetMetricHistory(run_id=run_id, key=key))


def list_artifacts(run_id: str, path: str = "") -> list[Artifact]:
    """List what lies in a folder of a run."""
    return get_recorder().call(ops.ListArtifacts(run_id=run_id, path=path))


def get_experiment(experiment_id: str) -> Experiment:
    """Get an experiment by its id."""
    return get_recorder().call(ops.GetExperiment(experiment_id=experiment_id))


def get_experiment_by_name(name: str) -> Experiment | None:
    """Get an experiment by its name; None when there is none."""
    from loopline.errors import NotFoundError

    try:
        return get_recorder().call(ops.GetExperiment(name=name))
    except NotFoundError:
        return None


def search_experiments(*, include_deleted: bool = False) -> list[Experiment]:
    """List experiments, newest change first."""
    return get_recorder().call(ops.ListExperiments(include_deleted=include_deleted))


def delete_experiment(experiment_id: str) -> None:
    """Soft-delete an experiment and its runs."""
    get_recorder().call(ops.DeleteExperiment(experiment_id=experiment_id))
