"""``loopline.Client``: everything the fluent functions do, by run id and with no global state."""

from __future__ import annotations

import threading
import time
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records.facts import RunEnded, RunStarted
from loopline.records.tracking import Dataset, Run, RunStatus
from loopline.registry.client import RegistryClient
from loopline.rules.names import check_id
from loopline.tracking.files import RunFiles
from loopline.tracking.logged_models import LoggedModelClient
from loopline.tracking.runs import RunClient
from loopline.tracking.values import (
    metric_key,
    metric_value,
    param_texts,
    tag_texts,
    told,
    whole_number,
)
from loopline.tracking.words import random_name, user_name
from loopline.tracking.writer import now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import IO

    from loopline.settings import Address

__all__ = ["Client", "Pending", "pending"]

#: Runs whose writers are kept, so that a changed param is refused at once and keys are checked
#: but once.
WRITERS = 256


class Pending:
    """What a call with ``synchronous=False`` answers: it is safe already, and may be waited for."""

    def __init__(self, client: RunClient) -> None:
        self._client = client

    def wait(self) -> None:
        """Wait until what was logged is in the store, and can be read by everybody."""
        self._client.flush()


def pending(client: RunClient, *, synchronous: bool | None) -> Pending | None:
    """Answer a call that MLflow may carry out later; here it is done when it returns."""
    return Pending(client) if synchronous is False else None


class Client(RunClient, RegistryClient, LoggedModelClient):
    """Talks to one store. Safe to use from several threads.

    Methods have MLflow's names and arguments. What they log is journaled when they return; what
    they ask sees everything that this process logged before.
    """

    def __init__(
        self, tracking_uri: str | Address | None = None, registry_uri: str | None = None
    ) -> None:
        super().__init__(tracking_uri, registry_uri)
        self._writers: OrderedDict[str, RunFiles] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, run_id: str) -> RunFiles:
        """Get the writer of a run: ``client.run(run_id).log_metric("rmse", 3.9)``.

        Raises:
            InvalidInputError: No run can have this id. Whether one has is not asked.
        """
        recorder = self.recorder
        with self._lock:
            writer = self._writers.get(run_id)
            if writer is None or writer.recorder is not recorder:
                check_id("run id", run_id)
                writer = self._writers[run_id] = RunFiles(recorder, run_id)
                if len(self._writers) > WRITERS:
                    self._writers.popitem(last=False)
            self._writers.move_to_end(run_id)
        return writer

    # --- a run's life ---

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        *,
        parent_run_id: str | None = None,
    ) -> Run:
        """Begin a run, which is active nowhere; end it with ``set_terminated``.

        Args:
            experiment_id: Where it belongs.
            start_time: Unix time in milliseconds; now when None.
            tags: Tags to set on it; ``mlflow.parentRunId`` makes it a child.
            run_name: Its name; one is made up when None.
            parent_run_id: The run it is a child of.

        Raises:
            NotFoundError: There is no such experiment.
        """
        experiment = self.get_experiment(experiment_id)
        start_ms = now_ms() if start_time is None else whole_number("start_time", start_time)
        texts = tag_texts(tags or {})
        name = run_name or texts.get("mlflow.runName") or random_name()
        texts |= tag_texts({"mlflow.runName": name})
        user = texts.setdefault("mlflow.user", user_name())
        parent = parent_run_id or texts.get("mlflow.parentRunId")
        if parent:
            check_id("parent run id", parent)
            texts["mlflow.parentRunId"] = parent
        run_id = uuid.uuid4().hex
        self.recorder.record(
            RunStarted(
                run_id=run_id,
                experiment_id=experiment.experiment_id,
                name=name,
                start_ms=start_ms,
                user=user,
                parent_run_id=parent,
                tags=texts,
            )
        )
        return Run(
            run_id=run_id,
            experiment_id=experiment.experiment_id,
            experiment_name=experiment.name,
            name=name,
            start_ms=start_ms,
            user=user,
            parent_run_id=parent,
            tags=texts,
        )

    def set_terminated(
        self, run_id: str, status: str | None = None, end_time: int | None = None
    ) -> None:
        """End a run.

        Args:
            run_id: The run.
            status: FINISHED (when None), FAILED or KILLED.
            end_time: Unix time in milliseconds; now when None.
        """
        final = status or "FINISHED"
        if final not in {"FINISHED", "FAILED", "KILLED"}:
            msg = f"A run ends FINISHED, FAILED or KILLED, not {status!r}."
            raise InvalidInputError(msg)
        check_id("run id", run_id)
        end_ms = now_ms() if end_time is None else whole_number("end_time", end_time)
        self.recorder.record(RunEnded(run_id=run_id, status=RunStatus(final), end_ms=end_ms))

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Give a run another name, or another status: RUNNING goes on with it."""
        check_id("run id", run_id)
        if name is not None:
            self.run(run_id).set_tag("mlflow.runName", name)
        if status == "RUNNING":
            fact = RunStarted(run_id=run_id, start_ms=now_ms(), user=user_name(), resumed=True)
            self.recorder.record(fact)
        elif status is not None:
            self.set_terminated(run_id, status)

    # --- logging ---

    def log_metric(  # noqa: PLR0913, PLR0917 - as MLflow has it
        self,
        run_id: str,
        key: str,
        value: float,
        timestamp: int | None = None,
        step: int | None = None,
        synchronous: bool | None = None,  # noqa: FBT001 - as MLflow has it
        dataset_name: str | None = None,
        dataset_digest: str | None = None,
        model_id: str | None = None,
        *,
        dataset: Any = None,  # noqa: ANN401 - whatever a data version is made of
    ) -> Pending | None:
        """Log one point of a metric; see ``RunWriter.log_metric``.

        The data version that it was measured on is given itself, or by name and digest.
        """
        if dataset is None and (dataset_name is not None or dataset_digest is not None):
            dataset = Dataset(name=dataset_name or "dataset", digest=dataset_digest or "")
        self.run(run_id).log_metric(key, value, step, timestamp, dataset=dataset, model_id=model_id)
        return pending(self, synchronous=synchronous)

    def log_metrics(  # noqa: PLR0913 - as the fluent function has it
        self,
        run_id: str,
        metrics: Mapping[str, Any],
        step: int | None = None,
        timestamp: int | None = None,
        *,
        steps: Any = None,  # noqa: ANN401
        timestamps: Any = None,  # noqa: ANN401
        dataset: Any = None,  # noqa: ANN401
        model_id: str | None = None,
        synchronous: bool | None = None,
    ) -> Pending | None:
        """Log a point of several metrics, or whole histories; see ``RunWriter.log_metrics``."""
        self.run(run_id).log_metrics(
            metrics,
            step,
            timestamp,
            steps=steps,
            timestamps=timestamps,
            dataset=dataset,
            model_id=model_id,
        )
        return pending(self, synchronous=synchronous)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Any] = (),
        params: Sequence[Any] | Mapping[str, Any] = (),
        tags: Sequence[Any] | Mapping[str, Any] = (),
        synchronous: bool | None = None,  # noqa: FBT001 - as MLflow has it
    ) -> Pending | None:
        """Log metrics, params and tags together; all of them or, when one cannot be, none.

        Args:
            run_id: The run.
            metrics: Records with key, value, timestamp (ms) and step: ours or MLflow's.
            params: Records with key and value (``loopline.Param``), or a dictionary.
            tags: Likewise (``loopline.RunTag``).
            synchronous: False answers something to wait for.
        """
        writer = self.run(run_id)
        points = [_point(metric) for metric in metrics]
        param_values, tag_values = _pairs(params, "Param"), _pairs(tags, "RunTag")
        param_texts(param_values)
        tag_texts(tag_values)
        writer.log_params(param_values)  # First: the one that another value may forbid.
        writer.set_tags(tag_values)
        for key, value, step, timestamp in points:
            writer.log_metric(key, value, step, timestamp)
        return pending(self, synchronous=synchronous)

    def log_param(
        self,
        run_id: str,
        key: str,
        value: Any,  # noqa: ANN401
        synchronous: bool | None = None,  # noqa: FBT001 - as MLflow has it
    ) -> Any:  # noqa: ANN401
        """Log a param; it keeps its first value for good. Returns the value."""
        self.run(run_id).log_param(key, value)
        return pending(self, synchronous=synchronous) or value

    def log_params(
        self,
        run_id: str,
        params: Mapping[str, Any],
        synchronous: bool | None = None,  # noqa: FBT001 - as MLflow has it
    ) -> Pending | None:
        """Log several params; all of them or, when one cannot be, none."""
        self.run(run_id).log_params(params)
        return pending(self, synchronous=synchronous)

    def set_tag(
        self,
        run_id: str,
        key: str,
        value: Any,  # noqa: ANN401
        synchronous: bool | None = None,  # noqa: FBT001 - as MLflow has it
    ) -> Pending | None:
        """Set a tag."""
        self.run(run_id).set_tag(key, value)
        return pending(self, synchronous=synchronous)

    def set_tags(
        self,
        run_id: str,
        tags: Mapping[str, Any],
        synchronous: bool | None = None,  # noqa: FBT001 - as MLflow has it
    ) -> Pending | None:
        """Set several tags."""
        self.run(run_id).set_tags(tags)
        return pending(self, synchronous=synchronous)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Take a tag off."""
        self.run(run_id).delete_tag(key)

    def log_input(
        self,
        run_id: str,
        dataset: Any,  # noqa: ANN401
        context: str | None = None,
        tags: Mapping[str, Any] | None = None,
        *,
        name: str = "",
    ) -> None:
        """Log a data version that a run reads; see ``RunWriter.log_input``."""
        self.run(run_id).log_input(dataset, context, tags, name=name)

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[Any] | None = None,
        *,
        contexts: Sequence[str | None] | None = None,
        tags_list: Sequence[Mapping[str, Any] | None] | None = None,
    ) -> None:
        """Log several data versions that a run reads, with a context and tags for each.

        Args:
            run_id: The run.
            datasets: Ours, MLflow's, or data; MLflow's ``DatasetInput`` brings its own tags.
            contexts: One for each; None for that of the dataset's own tags.
            tags_list: Tags for each, beside its own.
        """
        given = list(datasets or ())
        # A table may have a column of any name: of a record, the dataset inside has a digest.
        is_record = [_holds_dataset(one) for one in given]
        marked = list(zip(given, is_record, strict=True))
        own = [_pairs(getattr(one, "tags", None) or ()) if yes else {} for one, yes in marked]
        own_contexts = [getattr(one, "context", None) if yes else None for one, yes in marked]
        if tags_list is not None and len(tags_list) == len(given):
            tags_list = [mine | dict(tags or {}) for mine, tags in zip(own, tags_list, strict=True)]
        self.run(run_id).log_inputs(
            [one.dataset if yes else one for one, yes in marked],
            own_contexts if contexts is None else contexts,
            own if tags_list is None else tags_list,
        )

    # --- files ---

    def log_artifact(
        self, run_id: str, local_path: str | Path, artifact_path: str | None = None
    ) -> None:
        """Log a file, or a folder with all below it."""
        self.run(run_id).log_artifact(local_path, artifact_path)

    def log_artifacts(
        self, run_id: str, local_dir: str | Path, artifact_path: str | None = None
    ) -> None:
        """Log every file below a folder."""
        self.run(run_id).log_artifacts(local_dir, artifact_path)

    def log_stream(self, run_id: str, stream: IO[bytes], artifact_file: str) -> None:
        """Log what an open binary file still holds."""
        self.run(run_id).log_stream(stream, artifact_file)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Log a text as a file."""
        self.run(run_id).log_text(text, artifact_file)

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:  # noqa: ANN401
        """Log a dictionary as JSON or YAML."""
        self.run(run_id).log_dict(dictionary, artifact_file)

    def log_figure(
        self,
        run_id: str,
        figure: Any,  # noqa: ANN401
        artifact_file: str,
        *,
        save_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        """Log a Matplotlib or Plotly figure."""
        self.run(run_id).log_figure(figure, artifact_file, save_kwargs=save_kwargs)

    def log_image(
        self,
        run_id: str,
        image: Any,  # noqa: ANN401
        artifact_file: str | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
        synchronous: bool | None = None,  # noqa: ARG002, FBT001 - it is done when it returns
    ) -> None:
        """Log a picture, once or as a series; see ``RunFiles.log_image``."""
        self.run(run_id).log_image(image, artifact_file, key, step, timestamp)

    def log_audio(
        self,
        run_id: str,
        audio: Any,  # noqa: ANN401
        artifact_file: str | None = None,
        sample_rate: int | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Log a sound, once or as a series; see ``RunFiles.log_audio``."""
        self.run(run_id).log_audio(audio, artifact_file, sample_rate, key, step, timestamp)

    def log_video(
        self,
        run_id: str,
        video: Any,  # noqa: ANN401
        artifact_file: str | None = None,
        fps: float = 8.0,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Log a video, once or as a series; see ``RunFiles.log_video``."""
        self.run(run_id).log_video(video, artifact_file, fps, key, step, timestamp)

    def log_table(self, run_id: str, data: Any, artifact_file: str) -> None:  # noqa: ANN401
        """Log a table or append to it; see ``RunFiles.log_table``."""
        self.run(run_id).log_table(data, artifact_file)


def _point(metric: Any) -> tuple[str, float, int, int | None]:  # noqa: ANN401
    try:
        key, value = metric.key, metric.value
    except AttributeError:
        msg = (
            f"log_batch takes metrics with key, value, timestamp and step, not "
            f"{type(metric).__name__}. Use loopline.Metric(key, value, timestamp, step), or "
            "log_metrics with a dictionary."
        )
        raise InvalidInputError(msg) from None
    step = getattr(metric, "step", None)
    at_ms = getattr(metric, "timestamp", None)
    return (
        metric_key(key),
        metric_value(key, value),
        0 if step is None else whole_number("step", step, key),
        time.time_ns() // 1_000_000 if at_ms is None else whole_number("timestamp", at_ms, key),
    )


def _holds_dataset(given: Any) -> bool:  # noqa: ANN401
    return isinstance(getattr(getattr(given, "dataset", None), "digest", None), str)


def _pairs(given: Any, record: str = "RunTag") -> dict[str, Any]:  # noqa: ANN401
    """Turn params or tags as records into a dictionary.

    Raises:
        InvalidInputError: A key stands twice with different values, or it is no record.
    """
    if hasattr(given, "items"):
        return dict(given.items())
    found: dict[str, Any] = {}
    for item in given:
        if not hasattr(item, "key") or not hasattr(item, "value"):
            what = "params" if record == "Param" else "tags"
            msg = (
                f"Among the {what} is {told(item)}, a {type(item).__name__}, which has no key and "
                f"value. Give a dictionary, or a list of loopline.{record}(key, value)."
            )
            raise InvalidInputError(msg)
        if found.setdefault(item.key, item.value) != item.value:
            msg = f"The key {item.key!r} stands twice with different values. Give it once."
            raise InvalidInputError(msg)
    return found
