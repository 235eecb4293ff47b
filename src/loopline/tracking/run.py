"""A run being recorded: every ``log_*`` call is one append to the journal."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.records.facts import (
    ArtifactLogged,
    InputLogged,
    ParamsLogged,
    RunEnded,
    TagRemoved,
    TagsSet,
)
from loopline.records.operations import GetRun
from loopline.records.tracking import RunStatus
from loopline.rules.names import check_artifact_path, check_key
from loopline.tracking.values import metric_value, param_text, tag_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from loopline.backend.recorder import Recorder
    from loopline.records.tracking import Dataset, Run, RunData

__all__ = ["ActiveRun"]


class ActiveRun:
    """A run that this process writes to. Use it as a context manager, or end it yourself.

    Attributes:
        run_id: 32 hex digits.
        name: The run's name.
        experiment_name: Name of its experiment.
        status: RUNNING until it is ended here.
        start_ms: Unix time in milliseconds.
    """

    def __init__(
        self, recorder: Recorder, run_id: str, *, name: str, experiment_name: str, start_ms: int
    ) -> None:
        self.run_id = run_id
        self.name = name
        self.experiment_name = experiment_name
        self.status = RunStatus.RUNNING
        self.start_ms = start_ms
        self._recorder = recorder
        self._log_point = recorder.log_metric
        # Durations come from a clock that never jumps.
        self._started = time.monotonic()
        self._params: dict[str, str] = {}
        self._metric_keys: set[str] = set()

    # --- what it is ---

    @property
    def info(self) -> ActiveRun:
        """The run itself: ``run.info.run_id`` reads as it does with MLflow."""
        return self

    @property
    def run_name(self) -> str:
        """The run's name, as MLflow calls it."""
        return self.name

    @property
    def experiment_id(self) -> str:
        """Id of its experiment; asks the store."""
        return self.fetch().experiment_id

    @property
    def data(self) -> RunData:
        """Latest metric values, params and tags; asks the store."""
        return self.fetch().data

    def fetch(self) -> Run:
        """Read the run from the store, with everything logged so far."""
        return self._recorder.call(GetRun(run_id=self.run_id))

    # --- logging ---

    def log_metric(
        self, key: str, value: float, step: int | None = None, timestamp: int | None = None
    ) -> None:
        """Log one point of a metric.

        Args:
            key: Name of the metric, such as ``"val_mae"``.
            value: A number in the metric's own unit; NaN and infinities are kept.
            step: Training step; 0 when it is None.
            timestamp: Unix time in milliseconds; now when it is None.

        Raises:
            InvalidInputError: The key or value cannot be; nothing is logged, the run goes on.
        """
        if key not in self._metric_keys:
            check_key("metric", key)
            self._metric_keys.add(key)
        self._log_point(
            self.run_id,
            key,
            value if type(value) is float else metric_value(key, value),
            0 if step is None else _whole("step", step),
            time.time_ns() // 1_000_000 if timestamp is None else _whole("timestamp", timestamp),
        )

    def log_metrics(
        self,
        metrics: Mapping[str, float],
        step: int | None = None,
        timestamp: int | None = None,
    ) -> None:
        """Log a point of several metrics; all of them or, when one cannot be, none."""
        checked = {key: metric_value(key, value) for key, value in metrics.items()}
        for key in checked:
            check_key("metric", key)
        for key, value in checked.items():
            self.log_metric(key, value, step, timestamp)

    def log_param(self, key: str, value: Any) -> Any:  # noqa: ANN401 - anything with a text
        """Log a param; it keeps its first value for good. Returns the value."""
        self.log_params({key: value})
        return value

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log several params; all of them or, when one cannot be, none.

        Raises:
            InvalidInputError: A key or value cannot be, or the key has another value already.
        """
        texts = {}
        for key, value in params.items():
            check_key("param", key)
            texts[key] = param_text(key, value)
            before = self._params.get(key, texts[key])
            if before != texts[key]:
                msg = (
                    "Changing param values is not allowed. Param with "
                    f"key='{key}' was already logged with value='{before}' for run "
                    f"ID='{self.run_id}'. The new value was '{texts[key]}'; "
                    "log it under another key."
                )
                raise InvalidInputError(msg)
        self._params.update(texts)
        if texts:
            self._recorder.record(ParamsLogged(run_id=self.run_id, params=texts))

    def set_tag(self, key: str, value: Any) -> None:  # noqa: ANN401
        """Set a tag."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set several tags; the last value of a key counts."""
        texts = {}
        for key, value in tags.items():
            check_key("tag", key)
            texts[key] = tag_text(key, value)
        if texts:
            self._recorder.record(TagsSet(run_id=self.run_id, tags=texts))

    def delete_tag(self, key: str) -> None:
        """Take a tag off."""
        self._recorder.record(TagRemoved(run_id=self.run_id, key=key))

    def log_input(
        self,
        dataset: Dataset | Any,  # noqa: ANN401 - any data that `loopline.dataset` takes
        context: str = "",
        *,
        name: str = "",
    ) -> None:
        """Log a data version that the run reads, and what for.

        Args:
            dataset: A data version, or the data themselves: a table, an array, a path, ...
            context: Such as ``"training"``.
            name: What people call the data, when they are given themselves.

        Raises:
            InvalidInputError: It is nothing that a data version can be made of.
        """
        from loopline.data.versions import as_dataset

        version = as_dataset(dataset, name=name)
        self._recorder.record(InputLogged(run_id=self.run_id, dataset=version, context=context))

    def log_artifact(self, local_path: str | Path, artifact_path: str | None = None) -> None:
        """Log a file, or a folder with all below it, into ``artifact_path`` of the run."""
        source = Path(local_path)
        if source.is_dir():
            prefix = f"{artifact_path}/{source.name}" if artifact_path else source.name
            self.log_artifacts(source, prefix)
            return
        if not source.is_file():
            msg = f"There is no file {str(local_path)!r} to log. Write it before logging it."
            raise InvalidInputError(msg)
        self._log_file(source, f"{artifact_path}/{source.name}" if artifact_path else source.name)

    def log_artifacts(self, local_dir: str | Path, artifact_path: str | None = None) -> None:
        """Log every file below a folder, keeping their places, into ``artifact_path``."""
        root = Path(local_dir)
        if not root.is_dir():
            msg = f"There is no folder {str(local_dir)!r} to log. Give a folder that exists."
            raise InvalidInputError(msg)
        for file in sorted(root.rglob("*")):
            if file.is_file():
                relative = file.relative_to(root).as_posix()
                self._log_file(file, f"{artifact_path}/{relative}" if artifact_path else relative)

    def log_text(self, text: str, artifact_file: str) -> None:
        """Log a text as a file of the run."""
        self._log_bytes(text.encode(), artifact_file)

    def log_dict(self, dictionary: Any, artifact_file: str) -> None:  # noqa: ANN401
        """Log a dictionary as JSON, or as YAML when the file's name ends so."""
        if artifact_file.endswith((".yaml", ".yml")):
            import yaml

            self.log_text(yaml.safe_dump(dictionary, sort_keys=False), artifact_file)
        else:
            self.log_text(json.dumps(dictionary, indent=2, default=str), artifact_file)

    def log_figure(self, figure: Any, artifact_file: str) -> None:  # noqa: ANN401
        """Log a Matplotlib or Plotly figure; the file's ending says in which format."""
        suffix = Path(artifact_file).suffix
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / f"figure{suffix}"
            if hasattr(figure, "savefig"):
                figure.savefig(target)
            elif hasattr(figure, "write_html") and suffix == ".html":
                figure.write_html(target, include_plotlyjs=True)
            elif hasattr(figure, "write_image"):
                figure.write_image(target)
            else:
                msg = (
                    f"log_figure takes a Matplotlib or Plotly figure, not "
                    f"{type(figure).__name__}. Save it to a file and use log_artifact."
                )
                raise InvalidInputError(msg)
            self._log_file(target, artifact_file)

    def _log_bytes(self, data: bytes, path: str) -> None:
        clean = check_artifact_path(path)
        digest, size = self._recorder.stage_bytes(data)
        self._artifact(clean, digest, size)

    def _log_file(self, source: Path, path: str) -> None:
        try:
            path.encode()
        except UnicodeEncodeError:
            msg = f"The file name {path!r} is not text. Rename the file."
            raise InvalidInputError(msg) from None
        clean = check_artifact_path(path)
        digest, size = self._recorder.stage(source)
        self._artifact(clean, digest, size)

    def _artifact(self, path: str, digest: str, size: int) -> None:
        self._recorder.record(
            ArtifactLogged(
                run_id=self.run_id,
                path=path,
                sha256=digest,
                size_bytes=size,
                at_ms=time.time_ns() // 1_000_000,
            )
        )

    # --- the end ---

    def end(self, status: str = "FINISHED", reason: str = "") -> None:
        """End the run; ending it twice does nothing.

        Raises:
            InvalidInputError: ``status`` is none of FINISHED, FAILED and KILLED.
        """
        if self.status.is_terminal:
            return
        try:
            final = RunStatus(status)
        except ValueError:
            final = RunStatus.RUNNING
        if not final.is_terminal:
            msg = f"A run ends FINISHED, FAILED or KILLED, not {status!r}."
            raise InvalidInputError(msg)
        self.status = final
        self._recorder.record(
            RunEnded(
                run_id=self.run_id,
                status=final,
                end_ms=time.time_ns() // 1_000_000,
                duration_ms=round((time.monotonic() - self._started) * 1000),
                reason=reason,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        from loopline.tracking.active import leave

        leave(self)
        self.end(*ending(kind, error))

    def __repr__(self) -> str:
        return f"<Run {self.run_id} {self.name!r} {self.status.value}>"


def ending(kind: type[BaseException] | None, error: BaseException | None) -> tuple[str, str]:
    """Tell the status, and the reason, of a run that an exception (or none) brought to its end."""
    if kind is None or (isinstance(error, SystemExit) and not error.code):
        return "FINISHED", ""
    if issubclass(kind, KeyboardInterrupt):
        return "KILLED", "interrupted from the keyboard"
    return "FAILED", f"{kind.__name__}: {error}"[:1000]


def _whole(name: str, value: Any) -> int:  # noqa: ANN401
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        whole = None
    if whole is None or not -(2**63) <= whole < 2**63:
        msg = f"The {name} must be a whole number below 2**63, not {value!r}."
        raise InvalidInputError(msg) from None
    return whole
