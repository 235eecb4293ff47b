"""The fluent API: what MLflow users know, under the same names and with the same arguments.

Each function is one line over the active run or over a ``Client`` of the store that is set.
What MLflow may do later (``synchronous=False``) is done when the call returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.tracking import artifacts
from loopline.tracking.active import active_run, active_stack, last_active_run, leave
from loopline.tracking.client import Pending, pending
from loopline.tracking.fluent_store import (
    copy_run,
    create_experiment,
    current_client,
    delete_experiment,
    delete_experiment_tag,
    delete_run,
    download_artifacts,
    get_experiment,
    get_experiment_by_name,
    get_metric_history,
    get_parent_run,
    get_run,
    list_artifacts,
    load_dict,
    load_image,
    load_table,
    load_text,
    move_runs,
    rename_experiment,
    rename_run,
    restore_experiment,
    restore_run,
    search_experiments,
    set_experiment_tag,
    set_experiment_tags,
)
from loopline.tracking.starting import set_experiment, start_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import IO

    from loopline.tracking.files import RunFiles
    from loopline.tracking.run import ActiveRun

__all__ = [
    "active_run",
    "copy_run",
    "create_experiment",
    "delete_experiment",
    "delete_experiment_tag",
    "delete_run",
    "delete_tag",
    "download_artifacts",
    "end_run",
    "flush",
    "flush_artifact_async_logging",
    "flush_async_logging",
    "get_artifact_uri",
    "get_experiment",
    "get_experiment_by_name",
    "get_metric_history",
    "get_parent_run",
    "get_run",
    "last_active_run",
    "list_artifacts",
    "load_dict",
    "load_image",
    "load_table",
    "load_text",
    "log_artifact",
    "log_artifacts",
    "log_audio",
    "log_dict",
    "log_figure",
    "log_image",
    "log_input",
    "log_inputs",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_stream",
    "log_table",
    "log_text",
    "log_video",
    "move_runs",
    "rename_experiment",
    "rename_run",
    "restore_experiment",
    "restore_run",
    "search_experiments",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_tag",
    "set_tags",
    "start_run",
]


def _run() -> ActiveRun:
    """Get the active run, starting one when there is none, as MLflow does."""
    return active_run() or start_run()


def _writer(run_id: str | None) -> RunFiles:
    """Get the run to write to: the active one, or another by its id."""
    return _run() if run_id is None else current_client().run(run_id)


def end_run(status: str = "FINISHED") -> None:
    """End the active run, if there is one."""
    run = active_run()
    if run is not None:
        run.end(status)
        leave(run)


# --- metrics, params, tags --------------------------------------------------------------------


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,  # noqa: FBT001 - as MLflow has it
    timestamp: int | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
    dataset: Any = None,  # noqa: ANN401 - whatever a data version is made of
) -> Pending | None:
    """Log one point of a metric to the active run (or to ``run_id``).

    Args:
        key: Name of the metric, such as ``"val_mae"``.
        value: A number in the metric's own unit: a scalar or an array of one element, of any
            library; NaN and infinities are kept.
        step: Training step; 0 when it is None.
        synchronous: False answers something to wait for; the point is safe already.
        timestamp: Unix time in milliseconds; now when it is None.
        run_id: Another run than the active one.
        model_id: The model it was measured with.
        dataset: The data version it was measured on.

    Raises:
        InvalidInputError: The key or value cannot be, naming it and its type; nothing is logged,
            the run goes on.
    """
    if run_id is None and model_id is None and dataset is None and synchronous is None:
        # The way of a training loop, and so `active_run` is written out.
        stack = active_stack()
        if stack and not (run := stack[-1]).is_ended:
            run.log_metric(key, value, step, timestamp)
        else:
            _run().log_metric(key, value, step, timestamp)
        return None
    _writer(run_id).log_metric(key, value, step, timestamp, dataset=dataset, model_id=model_id)
    return pending(current_client(), synchronous=synchronous)


def log_metrics(  # noqa: PLR0913 - as above
    metrics: Mapping[str, Any],
    step: int | None = None,
    synchronous: bool | None = None,  # noqa: FBT001 - as MLflow has it
    run_id: str | None = None,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: Any = None,  # noqa: ANN401
    *,
    steps: Any = None,  # noqa: ANN401 - any array of whole numbers
    timestamps: Any = None,  # noqa: ANN401
) -> Pending | None:
    """Log a point of several metrics, or their whole histories at once.

    A finished history goes in one call: ``log_metrics({"loss": losses}, steps=epochs)``.

    Args:
        metrics: Key to a number or, for a history, to an array or list, shape (n,).
        step: Step of the numbers; of a history's first value when there are no ``steps``.
        synchronous: False answers something to wait for.
        run_id: Another run than the active one.
        timestamp: Unix time in milliseconds of all points; now when it is None.
        model_id: The model they were measured with.
        dataset: The data version they were measured on.
        steps: Steps of the histories, shape (n,); counted up when it is None.
        timestamps: Unix times in milliseconds or dates, shape (n,).

    Raises:
        InvalidInputError: A key or value cannot be; nothing is logged, the run goes on.
    """
    _writer(run_id).log_metrics(
        metrics,
        step,
        timestamp,
        steps=steps,
        timestamps=timestamps,
        dataset=dataset,
        model_id=model_id,
    )
    return pending(current_client(), synchronous=synchronous)


def log_param(
    key: str,
    value: Any,  # noqa: ANN401
    synchronous: bool | None = None,  # noqa: ARG001, FBT001 - it is done when it returns
) -> Any:  # noqa: ANN401
    """Log a param of the active run; it keeps its first value for good. Returns the value."""
    return _run().log_param(key, value)


def log_params(
    params: Mapping[str, Any],
    synchronous: bool | None = None,  # noqa: FBT001 - as MLflow has it
    run_id: str | None = None,
) -> Pending | None:
    """Log several params; all of them or, when one cannot be, none."""
    _writer(run_id).log_params(params)
    return pending(current_client(), synchronous=synchronous)


def set_tag(
    key: str,
    value: Any,  # noqa: ANN401
    synchronous: bool | None = None,  # noqa: FBT001 - as MLflow has it
) -> Pending | None:
    """Set a tag of the active run."""
    _run().set_tag(key, value)
    return pending(current_client(), synchronous=synchronous)


def set_tags(
    tags: Mapping[str, Any],
    synchronous: bool | None = None,  # noqa: FBT001 - as MLflow has it
) -> Pending | None:
    """Set several tags of the active run; the last value of a key counts."""
    _run().set_tags(tags)
    return pending(current_client(), synchronous=synchronous)


def delete_tag(key: str) -> None:
    """Take a tag off the active run."""
    _run().delete_tag(key)


def log_input(
    dataset: Any,  # noqa: ANN401
    context: str | None = None,
    tags: Mapping[str, Any] | None = None,
    *,
    name: str = "",
) -> None:
    """Log a data version that the active run reads, and what for; see ``RunWriter.log_input``."""
    _run().log_input(dataset, context, tags, name=name)


def log_inputs(
    datasets: Sequence[Any] | None = None,
    contexts: Sequence[str | None] | None = None,
    tags_list: Sequence[Mapping[str, Any] | None] | None = None,
) -> None:
    """Log several data versions that the active run reads."""
    _run().log_inputs(datasets, contexts, tags_list)


def flush(timeout_s: float = 30.0) -> None:
    """Wait until everything logged by this process is in the store.

    Raises:
        BackendUnavailableError: It did not get there in time; it is kept and sent later.
    """
    get_recorder().flush(timeout_s)


#: MLflow's names for the same.
flush_async_logging = flush
flush_artifact_async_logging = flush


# --- files ------------------------------------------------------------------------------------


def log_artifact(
    local_path: str | Path, artifact_path: str | None = None, run_id: str | None = None
) -> None:
    """Log a file (or a folder) as an artifact of the active run, or of ``run_id``."""
    _writer(run_id).log_artifact(local_path, artifact_path)


def log_artifacts(
    local_dir: str | Path, artifact_path: str | None = None, run_id: str | None = None
) -> None:
    """Log every file below a folder as artifacts of the active run, or of ``run_id``."""
    _writer(run_id).log_artifacts(local_dir, artifact_path)


def log_stream(stream: IO[bytes], artifact_file: str, run_id: str | None = None) -> None:
    """Log what an open binary file still holds as a file of the run."""
    _writer(run_id).log_stream(stream, artifact_file)


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Log a text as a file of the active run, or of ``run_id``."""
    _writer(run_id).log_text(text, artifact_file)


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:  # noqa: ANN401
    """Log a dictionary as JSON, or as YAML when the file's name ends so."""
    _writer(run_id).log_dict(dictionary, artifact_file)


def log_figure(
    figure: Any,  # noqa: ANN401
    artifact_file: str,
    *,
    save_kwargs: Mapping[str, Any] | None = None,
) -> None:
    """Log a Matplotlib or Plotly figure; see ``RunFiles.log_figure``."""
    _run().log_figure(figure, artifact_file, save_kwargs=save_kwargs)


def log_image(
    image: Any,  # noqa: ANN401
    artifact_file: str | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = None,  # noqa: ARG001, FBT001 - it is done when it returns
) -> None:
    """Log a picture: as a file, or as a series by key and step; see ``RunFiles.log_image``."""
    _run().log_image(image, artifact_file, key, step, timestamp)


def log_audio(
    audio: Any,  # noqa: ANN401
    artifact_file: str | None = None,
    sample_rate: int | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
) -> None:
    """Log a sound: a file, or samples as WAV; see ``RunFiles.log_audio``."""
    _run().log_audio(audio, artifact_file, sample_rate, key, step, timestamp)


def log_video(
    video: Any,  # noqa: ANN401
    artifact_file: str | None = None,
    fps: float = 8.0,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
) -> None:
    """Log a video: a file, or frames as a moving PNG; see ``RunFiles.log_video``."""
    _run().log_video(video, artifact_file, fps, key, step, timestamp)


def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:  # noqa: ANN401
    """Log a table, or append rows to one logged before; see ``RunFiles.log_table``."""
    _writer(run_id).log_table(data, artifact_file)


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """Tell the address of a file of the active run, which ``load_text`` and others take."""
    return artifacts.run_uri(_run().run_id, artifact_path)
