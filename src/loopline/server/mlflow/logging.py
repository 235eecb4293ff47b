"""What MLflow's clients log: metrics, params, tags, data versions and models of a run.

Each request becomes facts, all of which are taken or none, and is answered when they are durable.
"""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from loopline.errors import InvalidInputError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.logged_models import LoggedModelPoint, ModelRole
from loopline.rules.mlflow_datasets import check_dataset, dataset_of
from loopline.rules.names import check_key
from loopline.server.mlflow.experiments import POST
from loopline.server.mlflow.requests import Call, KeyValue, missing, required
from loopline.server.mlflow.rules import Rule, asks, records
from loopline.server.mlflow.runs import RunId, run_id_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.backend.protocol import Backend

__all__ = ["LOGGING"]

#: MLflow's limits of one batch.
MOST_METRICS, MOST_PARAMS, MOST_TAGS, MOST_TOGETHER = 1000, 100, 100, 1000
MOST_DATASETS = 1000
#: Tag in which old clients keep the models that a run logged.
HISTORY = "mlflow.log-model.history"
#: What an old client's model says of itself at least.
_OF_MODEL = ("artifact_path", "flavors", "utc_time_created", "run_id")
#: Two models of a run that are logged at once: the second is appended to what the first wrote.
_appending = threading.Lock()
#: Tag of a data version that says what it was read for.
CONTEXT = "mlflow.data.context"
_pack, _ONE_WHOLE, _ONE_REAL = struct.pack, struct.Struct("<q").pack, struct.Struct("<d").pack


class Point(Call, frozen=True, kw_only=True, gc=False):
    """A point of a metric, which may be measured on a logged model and on a data version."""

    key: str
    value: float
    timestamp: int | None = None
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LogMetric(RunId, frozen=True, kw_only=True, gc=False):
    """A point of a metric of a run, as ``Point`` has it."""

    key: str
    value: float
    timestamp: int | None = None
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LogParam(RunId, frozen=True, kw_only=True):
    """A param of a run."""

    key: str
    value: str = ""


class SetTag(RunId, frozen=True, kw_only=True):
    """A tag of a run."""

    key: str
    value: str = ""


class DeleteTag(RunId, frozen=True, kw_only=True):
    """A tag to take off a run."""

    key: str


class LogBatch(RunId, frozen=True, kw_only=True):
    """Metrics, params and tags together."""

    metrics: list[Point] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class DatasetWords(Call, frozen=True, kw_only=True):
    """A data version, as MLflow writes it."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


class DatasetInput(Call, frozen=True, kw_only=True):
    """A data version that a run read, with tags."""

    dataset: DatasetWords
    tags: list[KeyValue] = []


class ModelInput(Call, frozen=True, kw_only=True):
    """A logged model that a run read."""

    model_id: str


class ModelOutput(ModelInput, frozen=True, kw_only=True):
    """A logged model that a run made, at a step."""

    step: int = 0


class LogOutputs(RunId, frozen=True, kw_only=True):
    """What a run made."""

    models: list[ModelOutput] = []


class LogInputs(RunId, frozen=True, kw_only=True):
    """What a run read."""

    datasets: list[DatasetInput] = []
    models: list[ModelInput] = []


class LogModel(RunId, frozen=True, kw_only=True):
    """An old client's model: a JSON text about it."""

    model_json: str


def points_of(run_id: str, points: Sequence[Point | LogMetric]) -> list[f.Fact]:
    """Gather points by their metric, a fact each, in the order of the first ones.

    Those measured on a logged model become points of that, too: one more fact.
    """
    columns: dict[str, tuple[list[int], list[int], list[float]]] = {}
    of_models: list[LoggedModelPoint] = []
    for point in points:
        found = columns.get(point.key)
        if found is None:
            check_key("metric", point.key)
            found = columns[point.key] = ([], [], [])
        at_ms = point.timestamp
        if at_ms is None or at_ms < 0:
            raise _wrong_time(points, point)
        steps, times, values = found
        steps.append(point.step)
        times.append(at_ms)
        values.append(point.value)
        if point.model_id:
            of_models.append(_of_model(run_id, point, point.model_id, at_ms))
    try:
        facts: list[f.Fact] = [
            f.MetricPoints(
                run_id=run_id,
                key=key,
                steps=_whole(steps),
                timestamps_ms=_whole(times),
                values=_real(values),
            )
            for key, (steps, times, values) in columns.items()
        ]
    except struct.error:
        msg = "A step or timestamp is larger than can be kept. Use numbers below 2^63."
        raise InvalidInputError(msg) from None
    if of_models:
        facts.append(f.LoggedModelMeasured(points=of_models))
    return facts


def _wrong_time(points: Sequence[Point | LogMetric], point: Point | LogMetric) -> InvalidInputError:
    """Say in MLflow's words what is wrong with a point's time."""
    at = points.index(point)
    name = "timestamp" if isinstance(point, LogMetric) else f"metrics[{at}].timestamp"
    if point.timestamp is None:
        return missing(name)
    return InvalidInputError(
        f"Invalid value {point.timestamp} for parameter '{name}' supplied: metric "
        f"'{point.key[:80]}' (value={point.value}). Timestamp must be a nonnegative long (64-bit "
        "integer): milliseconds since 1970."
    )


def _whole(numbers: list[int]) -> bytes:
    # Most metrics of a request have one point.
    return _ONE_WHOLE(numbers[0]) if len(numbers) == 1 else _pack(f"<{len(numbers)}q", *numbers)


def _real(numbers: list[float]) -> bytes:
    return _ONE_REAL(numbers[0]) if len(numbers) == 1 else _pack(f"<{len(numbers)}d", *numbers)


def _of_model(run_id: str, point: Point | LogMetric, model_id: str, at_ms: int) -> LoggedModelPoint:
    return LoggedModelPoint(
        model_id=model_id,
        key=point.key,
        value=point.value,
        step=point.step,
        timestamp_ms=at_ms,
        run_id=run_id,
        dataset_name=point.dataset_name or "",
        dataset_digest=point.dataset_digest or "",
    )


def _log_metric(call: LogMetric) -> list[f.Fact]:
    return points_of(run_id_of(call), [call])


def _log_param(call: LogParam) -> list[f.Fact]:
    run_id = run_id_of(call)
    return [f.ParamsLogged(run_id=run_id, params={required("key", call.key): call.value})]


def _set_tag(call: SetTag) -> list[f.Fact]:
    return [f.TagsSet(run_id=run_id_of(call), tags={required("key", call.key): call.value})]


def _delete_tag(call: DeleteTag) -> list[f.Fact]:
    return [f.TagRemoved(run_id=run_id_of(call), key=required("key", call.key), must_exist=True)]


def _log_batch(call: LogBatch) -> list[f.Fact]:
    run_id = run_id_of(call)
    _check_lengths(call)
    params: dict[str, str] = {}
    for param in call.params:
        if param.key in params:
            msg = f"Duplicate parameter keys have been submitted: ['{param.key}']. Send each once."
            raise InvalidInputError(msg)
        params[param.key] = param.value
    facts = points_of(run_id, call.metrics)
    if params:
        facts.append(f.ParamsLogged(run_id=run_id, params=params))
    if call.tags:
        facts.append(f.TagsSet(run_id=run_id, tags={tag.key: tag.value for tag in call.tags}))
    # A batch of nothing is a question whether the run can be logged to.
    return facts or [f.TagsSet(run_id=run_id, tags={})]


def _check_lengths(call: LogBatch) -> None:
    for what, given, most in (
        ("metrics", call.metrics, MOST_METRICS),
        ("params", call.params, MOST_PARAMS),
        ("tags", call.tags, MOST_TAGS),
    ):
        if len(given) > most:
            msg = (
                f"A batch logging request can contain at most {most:,} {what}. Got "
                f"{len(given):,} {what}. Please split up {what} across multiple requests and "
                "try again."
            )
            raise InvalidInputError(msg)
    together = len(call.metrics) + len(call.params) + len(call.tags)
    if together > MOST_TOGETHER:
        msg = (
            f"A batch logging request can contain at most {MOST_TOGETHER:,} metrics, params, and "
            f"tags in total. Got {together:,}. Split it up."
        )
        raise InvalidInputError(msg)


def _log_inputs(call: LogInputs) -> list[f.Fact]:
    run_id = run_id_of(call)
    if len(call.datasets) > MOST_DATASETS:
        msg = f"At most {MOST_DATASETS:,} datasets are taken at once; {len(call.datasets):,} came."
        raise InvalidInputError(msg)
    facts: list[f.Fact] = []
    for each in call.datasets:
        tags = {tag.key: tag.value for tag in each.tags}
        words = msgspec.structs.asdict(each.dataset)
        check_dataset(words, tags)
        context = tags.pop(CONTEXT, "")
        facts.append(
            f.InputLogged(run_id=run_id, dataset=dataset_of(words), context=context, tags=tags)
        )
    facts += [
        f.LoggedModelUsed(run_id=run_id, model_id=model.model_id, role=ModelRole.INPUT)
        for model in call.models
    ]
    return facts or [f.TagsSet(run_id=run_id, tags={})]


def _log_outputs(call: LogOutputs) -> list[f.Fact]:
    run_id = run_id_of(call)
    facts: list[f.Fact] = [
        f.LoggedModelUsed(
            run_id=run_id, model_id=model.model_id, role=ModelRole.OUTPUT, step=model.step
        )
        for model in call.models
    ]
    return facts or [f.TagsSet(run_id=run_id, tags={})]


def _log_model(backend: Backend, call: LogModel) -> dict[str, Any]:
    run_id = run_id_of(call)
    try:
        model = msgspec.json.decode(call.model_json, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        msg = f"Malformed model info. \n {call.model_json[:200]} \n is no JSON object: {error}."
        raise InvalidInputError(msg) from None
    if absent := [name for name in _OF_MODEL if name not in model]:
        msg = f"Model json is missing mandatory fields: {', '.join(absent)}."
        raise InvalidInputError(msg)
    with _appending:
        tags = backend.call(ops.GetRun(run_id=run_id)).tags
        models = [*msgspec.json.decode(tags.get(HISTORY, "[]"), type=list[Any]), model]
        history = {HISTORY: msgspec.json.encode(models).decode()}
        backend.call(ops.RecordFacts(facts=[f.TagsSet(run_id=run_id, tags=history)]))
    return {}


LOGGING: list[Rule] = [
    records("runs/log-metric", LogMetric, _log_metric),
    records("runs/log-parameter", LogParam, _log_param),
    records("runs/set-tag", SetTag, _set_tag),
    records("runs/delete-tag", DeleteTag, _delete_tag),
    records("runs/log-batch", LogBatch, _log_batch),
    records("runs/log-inputs", LogInputs, _log_inputs),
    records("runs/outputs", LogOutputs, _log_outputs),
    asks("runs/log-model", LogModel, _log_model, methods=POST),
]
