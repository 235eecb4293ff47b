"""Writing to one run: every call is one append to the journal, with no global state."""

from __future__ import annotations

from struct import error as StructError  # noqa: N812 - a class
from time import time_ns
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, JournalClosedError
from loopline.journal.stream import Series
from loopline.records.facts import InputLogged, ParamsLogged, TagRemoved, TagsSet
from loopline.rules.names import check_key
from loopline.tracking.arrays import histories, is_history
from loopline.tracking.inputs import as_dataset, check_context
from loopline.tracking.values import (
    metric_key,
    metric_value,
    param_texts,
    tag_texts,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopline.backend.recorder import Recorder
    from loopline.records.facts import Fact
    from loopline.records.tracking import Dataset

__all__ = ["RunWriter", "now_ms"]


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time_ns() // 1_000_000


class RunWriter:
    """Writes to one run. Safe to use from several threads.

    Attributes:
        run_id: 32 hex digits.
        is_new: Whether it was begun here, so that all there is of it is known.
        recorder: Where it records to.
    """

    def __init__(self, recorder: Recorder, run_id: str, *, is_new: bool = False) -> None:
        """Write to a run; nothing is asked, for its start may be on its way still."""
        self.run_id = run_id
        self.is_new = is_new
        self.recorder = recorder
        self._params: dict[str, str] = {}
        self._series: dict[str, Series] = {}
        self._links: set[tuple[str, str]] = set()

    # --- metrics ---

    def log_metric(
        self,
        key: str,
        value: float,
        step: int | None = None,
        timestamp: int | None = None,
        *,
        dataset: Any = None,  # noqa: ANN401 - whatever a data version is made of
        model_id: str | None = None,
    ) -> None:
        """Log one point of a metric.

        Args:
            key: Name of the metric, such as ``"val_mae"``.
            value: A number in the metric's own unit, of any library; NaN and infinities are kept.
            step: Training step; 0 when it is None.
            timestamp: Unix time in milliseconds, or a date; now when it is None.
            dataset: The data version it was measured on: becomes an input of the run with the
                context ``metric <key>``.
            model_id: The model it was measured with: kept as the tag ``loopline.model.<key>``.

        Raises:
            InvalidInputError: The key or value cannot be; nothing is logged, the run goes on.
        """
        # The hot path. What is not as usual, a type, a range or a journal just closed by another
        # thread, goes the way below, which tells apart what can be and what cannot.
        try:
            self.recorder.append_point(
                self._series[key],
                step
                if type(step) is int
                else 0
                if step is None
                else whole_number("step", step, key),
                time_ns() // 1_000_000 if timestamp is None else timestamp,
                value if type(value) is float else metric_value(key, value),
            )
        except (KeyError, TypeError, StructError, JournalClosedError):
            series = self._series_of(key)
            self.recorder.log_point(
                series,
                0 if step is None else whole_number("step", step, key),
                now_ms() if timestamp is None else whole_number("timestamp", timestamp, key),
                metric_value(series.key, value),
            )
        if dataset is not None or model_id is not None:
            self._link((str(key),), dataset, model_id)

    def log_metrics(
        self,
        metrics: Mapping[str, Any],
        step: int | None = None,
        timestamp: int | None = None,
        *,
        steps: Any = None,  # noqa: ANN401 - any array of whole numbers
        timestamps: Any = None,  # noqa: ANN401
        dataset: Any = None,  # noqa: ANN401
        model_id: str | None = None,
    ) -> None:
        """Log a point of several metrics, or their whole histories at once.

        All of them are logged or, when one cannot be, none. A whole history costs a copy of the
        array, not a call a point: ``run.log_metrics({"loss": losses}, steps=epochs)``. Of one
        longer than 10,000 points a process killed in the middle has kept the beginning.

        Args:
            metrics: Key to a number or, for a history, to an array or list, shape (n,). An array
                of one element counts as a number.
            step: Step of the numbers; of a history's first value when there are no ``steps``.
            timestamp: Unix time in milliseconds of all points; now when it is None.
            steps: Steps of the histories, shape (n,); counted up when it is None.
            timestamps: Unix times in milliseconds or dates, shape (n,).
            dataset: The data version they were measured on; see ``log_metric``.
            model_id: The model they were measured with; see ``log_metric``.

        Raises:
            InvalidInputError: A key or value cannot be; nothing is logged, the run goes on.
        """
        at_ms = now_ms() if timestamp is None else whole_number("timestamp", timestamp)
        first = 0 if step is None else whole_number("step", step)
        points: dict[str, float] = {}
        whole: dict[str, Any] = {}
        for key, value in _metric_items(metrics):
            name = metric_key(key)
            if steps is not None or timestamps is not None or is_history(value):
                whole[name] = value
            else:
                points[name] = metric_value(name, value)
        if whole:
            for history in histories(
                whole, steps=steps, timestamps=timestamps, first_step=first, now_ms=at_ms
            ):
                for fact in history.facts(self.run_id):
                    self._record(fact)
        for name, number in points.items():
            self.recorder.log_point(self._series_of(name), first, at_ms, number)
        if dataset is not None or model_id is not None:
            self._link((*points, *whole), dataset, model_id)

    def _link(self, keys: Sequence[str], dataset: Any, model_id: str | None) -> None:  # noqa: ANN401
        """Note what metrics were measured on and with: once each, not once a point."""
        described = None if dataset is None else as_dataset(dataset)
        for key in keys:
            if described is not None and (key, described.digest) not in self._links:
                self.log_input(described, context=f"metric {key}")
                self._links.add((key, described.digest))
            if model_id is not None and (key, f"model {model_id}") not in self._links:
                self.set_tag(f"loopline.model.{key}", model_id)
                self._links.add((key, f"model {model_id}"))

    def _series_of(self, key: Any) -> Series:  # noqa: ANN401 - a wrong one is refused
        name = metric_key(key)
        series = self._series.get(name)
        if series is None:
            series = self._series[name] = Series(self.run_id, name)
        return series

    # --- params and tags ---

    def log_param(self, key: str, value: Any) -> Any:  # noqa: ANN401 - anything with a text
        """Log a param; it keeps its first value for good. Returns the value."""
        self.log_params({key: value})
        return value

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log several params; all of them or, when one cannot be, none.

        Raises:
            InvalidInputError: A key or value cannot be, or the key has another value already.
        """
        texts = param_texts(params)
        for key, text in texts.items():
            before = self._params.get(key, text)
            if before != text:
                msg = (
                    "Changing param values is not allowed. Param with "
                    f"key='{key}' was already logged with value='{before}' for run "
                    f"ID='{self.run_id}'. The new value was '{text}'; "
                    "log it under another key."
                )
                raise InvalidInputError(msg)
        if texts:
            self._record(ParamsLogged(run_id=self.run_id, params=texts))
            self._params.update(texts)

    def set_tag(self, key: str, value: Any) -> None:  # noqa: ANN401
        """Set a tag."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set several tags; the last value of a key counts."""
        texts = tag_texts(tags)
        if texts:
            self._record(TagsSet(run_id=self.run_id, tags=texts))

    def delete_tag(self, key: str) -> None:
        """Take a tag off; taking off one that is not there does nothing."""
        check_key("tag", key)
        self._record(TagRemoved(run_id=self.run_id, key=str(key)))

    # --- inputs ---

    def log_input(
        self,
        dataset: Any,  # noqa: ANN401
        context: str | None = None,
        tags: Mapping[str, Any] | None = None,
        *,
        name: str = "",
    ) -> None:
        """Log a data version that the run reads, and what for.

        Args:
            dataset: A data version of ``loopline.dataset``, one of MLflow's, or data to make one
                of: a DataFrame, an array, a path.
            context: Such as ``"training"``.
            name: What people call the data, when they are given themselves.
            tags: Of this reading; ``mlflow.data.context`` is the context.
        """
        given = dict(tags or {})
        purpose = context if context is not None else str(given.pop("mlflow.data.context", ""))
        check_context(purpose)
        fact = InputLogged(
            run_id=self.run_id,
            dataset=as_dataset(dataset, name),
            context=purpose,
            tags=tag_texts(given),
        )
        self._record(fact)

    def log_inputs(
        self,
        datasets: Sequence[Any] | None = None,
        contexts: Sequence[str | None] | None = None,
        tags_list: Sequence[Mapping[str, Any] | None] | None = None,
    ) -> None:
        """Log several data versions, with a context and tags for each."""
        datasets = datasets or []
        for name, others in (("contexts", contexts), ("tags_list", tags_list)):
            if others is not None and len(others) != len(datasets):
                msg = f"Of {name} there are {len(others)}, of datasets {len(datasets)}."
                raise InvalidInputError(f"{msg} Give one for each dataset, None for none.")
        described: list[Dataset] = [as_dataset(dataset) for dataset in datasets]
        for index, dataset in enumerate(described):
            self.log_input(
                dataset,
                contexts[index] if contexts else None,
                tags_list[index] if tags_list else None,
            )

    def _record(self, fact: Fact) -> None:
        """Journal a fact.

        Raises:
            InvalidInputError: A text in it is none: nothing was journaled.
        """
        try:
            self.recorder.record(fact)
        except UnicodeEncodeError as error:
            msg = (
                f"{type(fact).__name__} holds {error.object[error.start : error.end]!r}, a lone "
                "surrogate, which is no text. Take it out, or decode the bytes it came from."
            )
            raise InvalidInputError(msg) from None


def _metric_items(metrics: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401
    try:
        return list(metrics.items())
    except (AttributeError, TypeError):
        msg = (
            f"log_metrics takes a dictionary of keys and numbers, not {type(metrics).__name__}. "
            "For one metric there is log_metric(key, value)."
        )
        raise InvalidInputError(msg) from None
