"""Metric histories from an MLflow server: of a hundred runs with one request where it can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError, NotFoundError
from loopline.transfer.mlflow_rest import number_of
from loopline.transfer.points import ordered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loopline.transfer.mlflow_rest import Rest
    from loopline.transfer.source import Series

__all__ = ["read_series"]

#: Runs that one request may name, and points that one answer may hold.
MOST_RUNS = 100
MOST_POINTS = 25_000
BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"


def read_series(rest: Rest, keys_of: dict[str, list[str]]) -> Iterator[Series]:
    """Read every metric of some runs.

    Args:
        rest: The server.
        keys_of: Metric keys per run.
    """
    by_key: dict[str, list[str]] = {}
    for run_id, keys in keys_of.items():
        for key in keys:
            by_key.setdefault(key, []).append(run_id)
    for key, runs in sorted(by_key.items()):
        for start in range(0, len(runs), MOST_RUNS):
            yield from _some(rest, key, runs[start : start + MOST_RUNS])


def _some(rest: Rest, key: str, runs: Sequence[str]) -> Iterator[Series]:
    points = _bulk(rest, key, runs)
    if points is None:
        for run_id in runs:
            found = _one(rest, key, run_id)
            if found:
                yield _series(run_id, key, found)
        return
    by_run: dict[str, list[dict[str, Any]]] = {}
    for point in points:
        by_run.setdefault(str(point["run_id"]), []).append(point)
    for run_id, found in by_run.items():
        yield _series(run_id, key, found)


def _bulk(rest: Rest, key: str, runs: Sequence[str]) -> list[dict[str, Any]] | None:
    """Ask for all runs at once; None when the answer is cut, or there is no such question."""
    if len(runs) == 1:
        return None
    try:
        answer = rest.get(BULK, run_id=list(runs), metric_key=key, max_results=MOST_POINTS)
    except (NotFoundError, InvalidInputError):
        return None
    points: list[dict[str, Any]] = answer.get("metrics", [])
    return None if len(points) >= MOST_POINTS else points


def _one(rest: Rest, key: str, run_id: str) -> list[dict[str, Any]]:
    """Read one history, page by page; a server on a folder gives it in one."""
    points: list[dict[str, Any]] = []
    token = ""
    while True:
        answer = rest.get(
            "metrics/get-history",
            run_id=run_id,
            metric_key=key,
            max_results=MOST_POINTS,
            page_token=token,
        )
        points += answer.get("metrics", [])
        token = answer.get("next_page_token") or ""
        if not token:
            return points


def _series(run_id: str, key: str, points: list[dict[str, Any]]) -> Series:
    return ordered(
        run_id,
        key,
        [int(point.get("step") or 0) for point in points],
        [int(point.get("timestamp") or 0) for point in points],
        [number_of(point.get("value", 0.0)) for point in points],
    )
