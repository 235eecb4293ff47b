"""Serving processes and what they predicted, in the graph.

A serving process that records is a run; a metric of it for each version counts what that version
predicted. So a step costs the runs that served a model, whatever the number of their files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from loopline.records.base import Lifecycle
from loopline.records.identity import Thing
from loopline.records.predictions import (
    MODEL_TAG,
    Predictions,
    experiment_of,
    metric_of,
    model_of,
    version_of,
)
from loopline.records.tracking import RunStatus
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.lineage_links import (
    Link,
    first_by,
    node_name,
    node_of,
    one_by,
    rows_by,
    unindexed,
)
from loopline.store.lineage_runs import find_version, parse_pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

    from loopline.records.lineage import LineageNode

__all__ = [
    "deployments_of_predictions",
    "deployments_of_versions",
    "find_deployment",
    "find_predictions",
    "predictions_by_version",
    "predictions_of_deployments",
    "predictions_of_versions",
    "versions_of_deployments",
    "versions_of_predictions",
]

_run = schema.run
_experiment = schema.experiment
_metric = schema.metric
_tag = schema.tag

COLUMNS = (_run.c.run_id, _run.c.status, _run.c.start_ms, _experiment.c.name.label("experiment"))
COUNTED = (
    _metric.c.key,
    _metric.c.sum,
    _metric.c.first_step,
    _metric.c.last_step,
    _metric.c.timestamp_ms,
)


def _processes(connection: Connection, *more: Any) -> Select[Any]:  # noqa: ANN401 - columns
    """Select runs in use, with their experiments, that the caller may view."""
    return (
        select(*COLUMNS, *more)
        .join(_experiment, _experiment.c.id == _run.c.experiment_id)
        .where(
            unindexed(_run.c.lifecycle) == Lifecycle.ACTIVE,
            *only_visible(connection, Thing.EXPERIMENT, unindexed(_run.c.experiment_id)),
        )
    )


def _counts(connection: Connection) -> Select[Any]:
    """Select the metrics of runs, newest run first."""
    return (
        _processes(connection, *COUNTED)
        .join(_metric, _metric.c.run_pk == _run.c.pk)
        .order_by(_run.c.start_ms.desc())
    )


def _counted(rows: Sequence[Row[Any]]) -> list[Predictions]:
    """Read metrics that count predictions; others are left out."""
    return [
        Predictions(
            run_id=row.run_id,
            name=model_of(row.experiment),
            version=version_of(row.key),
            status=RunStatus(row.status),
            rows=round(row.sum or 0),
            first_ms=row.start_ms + row.first_step * 1000,
            # The last point may have come before a later one, of another second.
            last_ms=max(row.timestamp_ms, row.start_ms + row.last_step * 1000),
        )
        for row in rows
        if model_of(row.experiment) and version_of(row.key)
    ]


def predictions_by_version(
    connection: Connection, name: str, versions: Sequence[int], most: int
) -> list[Predictions]:
    """Tell what versions of a model predicted, newest process first.

    Index look-up by experiment and key: costs the processes that served one of the versions.
    """
    query = _counts(connection).where(
        _experiment.c.name == experiment_of(name),
        # Both lead the index that searches read.
        _metric.c.experiment_id == _experiment.c.id,
        _metric.c.lifecycle == Lifecycle.ACTIVE,
    )
    keys = [metric_of(version) for version in versions]
    return _counted(rows_by(connection, query, _metric.c.key, keys, most))


def _of_versions(connection: Connection, keys: Sequence[str], most: int) -> list[Predictions]:
    by_name: dict[str, list[int]] = {}
    for name, number in map(parse_pair, keys):
        by_name.setdefault(name, []).append(number)
    found: list[Predictions] = []
    for name, numbers in by_name.items():
        if len(found) < most:
            found += predictions_by_version(connection, name, numbers, most - len(found))
    return found


def _of_processes(connection: Connection, run_ids: Sequence[str], most: int) -> list[Predictions]:
    """Tell what serving processes predicted. Index look-up by run, over all its metrics."""
    query = _counts(connection).where(_metric.c.key.like("predictions/v%"))
    return _counted(rows_by(connection, query, _run.c.run_id, run_ids, most))


def _deployment(row: Row[Any]) -> LineageNode:
    state = "serving" if row.status == RunStatus.RUNNING else row.status
    title = f"of {model_of(row.experiment)} [{row.run_id[:8]}]"
    return node_of("deployment", row.run_id, title, state=state, at_ms=row.start_ms)


def _predictions(one: Predictions) -> LineageNode:
    title = f"{one.rows:,} of {one.name} v{one.version}"
    return node_of("predictions", f"{one.run_id}/{one.version}", title, at_ms=one.first_ms)


def _recording(connection: Connection) -> Select[Any]:
    """Select serving processes that record; who brings truth is none."""
    return _processes(connection).join(
        _tag, (_tag.c.run_pk == _run.c.pk) & (_tag.c.key == f"{MODEL_TAG}.address")
    )


def _deployments(
    connection: Connection, run_ids: Sequence[str], most: int
) -> dict[str, LineageNode]:
    """Find serving processes by their runs."""
    rows = rows_by(connection, _recording(connection), _run.c.run_id, run_ids, most)
    return {row.run_id: _deployment(row) for row in rows if model_of(row.experiment)}


def find_deployment(connection: Connection, key: str) -> LineageNode | None:
    """Find a serving process that records."""
    row = one_by(connection, _recording(connection), _run.c.run_id, key)
    return _deployment(row) if row is not None and model_of(row.experiment) else None


def find_predictions(connection: Connection, key: str) -> LineageNode | None:
    """Find what a serving process predicted with a version."""
    run_id, number = parse_pair(key)
    query = _counts(connection).where(_metric.c.key == metric_of(number))
    row = first_by(connection, query, _run.c.run_id, run_id)
    found = [] if row is None else _counted([row])
    return _predictions(found[0]) if found else None


def deployments_of_versions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From versions to the serving processes that answered with them."""
    found = _of_versions(connection, keys, most)
    nodes = _deployments(connection, sorted({one.run_id for one in found}), most)
    return [
        Link(node_name("version", f"{one.name}/{one.version}"), nodes[one.run_id], "served by")
        for one in found
        if one.run_id in nodes
    ]


def predictions_of_versions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From versions to what they predicted."""
    return [
        Link(node_name("version", f"{one.name}/{one.version}"), _predictions(one), "predicted")
        for one in _of_versions(connection, keys, most)
    ]


def predictions_of_deployments(
    connection: Connection, keys: Sequence[str], most: int
) -> list[Link]:
    """From serving processes to what they predicted, for each version."""
    return [
        Link(node_name("deployment", one.run_id), _predictions(one), "recorded")
        for one in _of_processes(connection, keys, most)
    ]


def versions_of_deployments(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From serving processes to the versions that they answered with."""
    links = []
    for one in _of_processes(connection, keys, most):
        node = find_version(connection, f"{one.name}/{one.version}")
        if node is not None:
            links.append(Link(node_name("deployment", one.run_id), node, "served by"))
    return links


def deployments_of_predictions(
    connection: Connection, keys: Sequence[str], most: int
) -> list[Link]:
    """From predictions to the serving process that made them."""
    nodes = _deployments(connection, sorted({parse_pair(key)[0] for key in keys}), most)
    return [
        Link(node_name("predictions", key), nodes[parse_pair(key)[0]], "recorded")
        for key in keys
        if parse_pair(key)[0] in nodes
    ]


def versions_of_predictions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From predictions to the version that made them."""
    wanted = set(keys)
    links = []
    for one in _of_processes(connection, sorted({parse_pair(key)[0] for key in keys}), most):
        key = f"{one.run_id}/{one.version}"
        node = find_version(connection, f"{one.name}/{one.version}") if key in wanted else None
        if node is not None:
            links.append(Link(node_name("predictions", key), node, "predicted"))
    return links
