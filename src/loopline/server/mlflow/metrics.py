"""Histories of metrics in MLflow's protocol."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from loopline.backend.local import LocalBackend
from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.operations import GetMetricColumns
from loopline.server.mlflow.answers import timed_pairs
from loopline.server.mlflow.requests import Call, required
from loopline.server.mlflow.rules import Rule, asks
from loopline.server.mlflow.runs import RunId, run_id_of
from loopline.store.page_tokens import decode_place, encode_place, key_of, stamp_of

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.tracking import MetricColumns

__all__ = ["METRICS"]

#: Points in one answer, as MLflow has it, and when nobody says how many.
MOST_POINTS = 25_000
#: Runs and points of one answer for a chart of several runs.
MOST_RUNS, MOST_BULK = 100, 2_500


class GetHistory(RunId, frozen=True, kw_only=True):
    """The points of a metric, some at a time."""

    metric_key: str = ""
    page_token: str = ""
    max_results: int | None = None


class GetBulk(Call, frozen=True, kw_only=True):
    """A metric of several runs, thinned for a chart."""

    run_ids: list[str] = []
    metric_key: str = ""
    start_step: int | None = None
    end_step: int | None = None
    max_results: int = MOST_BULK


class GetRunsHistory(Call, frozen=True, kw_only=True):
    """A metric of several runs, whole."""

    run_id: list[str] = []
    metric_key: str = ""
    max_results: int = MOST_POINTS


def _columns(backend: Backend, run_id: str, key: str, most: int = 0) -> MetricColumns | None:
    try:
        return backend.call(GetMetricColumns(run_id=run_id, key=key, max_points=most))
    except NotFoundError:
        return None  # MLflow answers that there are no points, of a run that is not there, too.


def _get_history(backend: Backend, call: GetHistory) -> dict[str, Any]:
    key = required("metric_key", call.metric_key)
    most = MOST_POINTS if call.max_results is None else min(call.max_results, MOST_POINTS)
    if most <= 0:
        msg = (
            f"Invalid value {most} for parameter 'max_results' supplied: it must be a positive "
            "integer."
        )
        raise InvalidInputError(msg)
    run_id = run_id_of(call)
    found = _columns(backend, run_id, key)
    if found is None:
        return {}
    steps, times, values = _unpacked(found)
    order = _by_time(steps, times)
    assert isinstance(backend, LocalBackend)  # noqa: S101 - a server serves a store
    stamp, start = stamp_of("metrics/get-history", run_id, key), 0
    if call.page_token:
        (start,) = decode_place(key_of(backend.store), call.page_token, stamp, 1)
    token = ""
    if start + most < len(order):
        token = encode_place(key_of(backend.store), stamp, (start + most,))
    shown = order[start : start + most]
    return {
        "metrics": timed_pairs(
            key,
            [steps[place] for place in shown],
            [times[place] for place in shown],
            [values[place] for place in shown],
        ),
        "next_page_token": token,
    }


def _get_runs_history(backend: Backend, call: GetRunsHistory) -> dict[str, Any]:
    key = required("metric_key", call.metric_key)
    if not 0 < len(call.run_id) <= MOST_RUNS:
        msg = (
            "GetMetricHistoryBulk request must specify at least one run_id, and at most "
            f"{MOST_RUNS}; {len(call.run_id)} were given."
        )
        raise InvalidInputError(msg)
    points: list[dict[str, Any]] = []
    for run_id in sorted(call.run_id):
        left = min(call.max_results, MOST_POINTS) - len(points)
        found = _columns(backend, run_id, key) if left > 0 else None
        if found is not None:
            steps, times, values = _unpacked(found)
            shown = _by_time(steps, times)[:left]
            columns = ([column[place] for place in shown] for column in (steps, times, values))
            points += [{**point, "run_id": run_id} for point in timed_pairs(key, *columns)]
    return {"metrics": points}


def _unpacked(found: MetricColumns) -> tuple[array[int], array[int], array[float]]:
    return array("q", found.steps), array("q", found.timestamps_ms), array("d", found.values)


def _by_time(steps: array[int], times: array[int]) -> list[int]:
    """Order places by time, then step, then value: clients draw a history as it comes.

    The points come by step, time and value. A training logs its steps in their order, so that
    there is little to sort.
    """
    return sorted(range(len(steps)), key=times.__getitem__)


def _get_bulk(backend: Backend, call: GetBulk) -> dict[str, Any]:
    key = required("metric_key", call.metric_key)
    if not 0 < len(call.run_ids) <= MOST_RUNS:
        msg = f"Give 1 to {MOST_RUNS} run_ids; {len(call.run_ids)} were given."
        raise InvalidInputError(msg)
    if not 0 < call.max_results <= MOST_BULK:
        msg = (
            f"Invalid value {call.max_results} for parameter 'max_results' supplied: it must lie "
            f"between 1 and {MOST_BULK:,}."
        )
        raise InvalidInputError(msg)
    if (call.start_step is None) != (call.end_step is None):
        msg = "If either start step or end step are specified, both must be specified."
        raise InvalidInputError(msg)
    first = -(2**63) if call.start_step is None else call.start_step
    last = 2**63 - 1 if call.end_step is None else call.end_step
    if last < first:
        msg = (
            f"end_step must be greater than start_step. Found start_step={first} and "
            f"end_step={last}."
        )
        raise InvalidInputError(msg)
    points: list[dict[str, Any]] = []
    for run_id in call.run_ids:
        found = _columns(backend, run_id, key, call.max_results)
        if found is not None:
            points += [
                {**point, "run_id": run_id}
                for point in timed_pairs(key, *_unpacked(found))
                if first <= point["step"] <= last
            ]
    return {"metrics": points}


METRICS: list[Rule] = [
    asks("metrics/get-history", GetHistory, _get_history),
    asks("metrics/get-history-bulk", GetRunsHistory, _get_runs_history),
    asks("metrics/get-history-bulk-interval", GetBulk, _get_bulk),
]
