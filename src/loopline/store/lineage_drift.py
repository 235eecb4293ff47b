"""Reports of drift in the graph: which run made them, of which data, against which version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from loopline.records.base import Lifecycle
from loopline.records.drift import DATA_TAG, SENTENCE_TAG, VERSION_TAG
from loopline.store import schema
from loopline.store.lineage_links import Link, node_name, node_of, one_by, rows_by
from loopline.store.lineage_runs import (
    find_data,
    find_version,
    run_node,
    visible_runs,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

    from loopline.records.lineage import LineageNode

__all__ = [
    "data_of_drift",
    "drift_of_data",
    "drift_of_runs",
    "drift_of_versions",
    "find_drift",
    "runs_of_drift",
    "versions_of_drift",
]

_run = schema.run
_said = schema.tag.alias("said")
_about = schema.tag.alias("about")


def _reports(connection: Connection) -> Select[Any]:
    """Select runs with a report, and what it says. Look-up of a tag by its primary key."""
    return visible_runs(connection, _said.c.value.label("sentence")).join(
        _said, (_said.c.run_pk == _run.c.pk) & (_said.c.key == SENTENCE_TAG)
    )


def _drift_node(row: Row[Any]) -> LineageNode:
    return node_of("drift", row.run_id, row.sentence[:200], at_ms=row.start_ms)


def find_drift(connection: Connection, key: str) -> LineageNode | None:
    """Find the report of a run."""
    row = one_by(connection, _reports(connection), _run.c.run_id, key)
    return None if row is None else _drift_node(row)


def drift_of_runs(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From runs to the reports that they made."""
    rows = rows_by(connection, _reports(connection), _run.c.run_id, keys, most)
    return [Link(node_name("run", row.run_id), _drift_node(row), "reported") for row in rows]


def runs_of_drift(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From reports to the runs that made them."""
    rows = rows_by(connection, _reports(connection), _run.c.run_id, keys, most)
    return [Link(node_name("drift", row.run_id), run_node(row), "reported") for row in rows]


def _found_by(connection: Connection, tag: str, values: Sequence[str], most: int) -> list[Row[Any]]:
    """Find reports by a tag that says what they are about: an index look-up an experiment."""
    query = (
        visible_runs(connection, _said.c.value.label("sentence"), _about.c.value.label("of"))
        .join(_said, (_said.c.run_pk == _run.c.pk) & (_said.c.key == SENTENCE_TAG))
        .join(_about, _about.c.run_pk == _run.c.pk)
        .where(
            _about.c.key == tag,
            # All three lead the index that searches read.
            _about.c.experiment_id.in_(select(schema.experiment.c.id)),
            _about.c.lifecycle == Lifecycle.ACTIVE,
        )
        .order_by(_run.c.start_ms.desc())
    )
    return rows_by(connection, query, _about.c.value, values, most)


def drift_of_versions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From versions to the reports of what differs from the data they learnt from."""
    return [
        Link(node_name("version", row.of), _drift_node(row), "compared with")
        for row in _found_by(connection, VERSION_TAG, keys, most)
    ]


def drift_of_data(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From data to the reports about them."""
    return [
        Link(node_name("data", row.of), _drift_node(row), "looked at")
        for row in _found_by(connection, DATA_TAG, keys, most)
    ]


def _about_of(
    connection: Connection, tag: str, keys: Sequence[str], most: int
) -> list[tuple[str, str]]:
    """Tell of reports, by their runs, what a tag says they are about."""
    query = visible_runs(connection, _about.c.value.label("of")).join(
        _about, (_about.c.run_pk == _run.c.pk) & (_about.c.key == tag)
    )
    rows = rows_by(connection, query, _run.c.run_id, keys, most)
    return [(row.run_id, row.of) for row in rows]


def versions_of_drift(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From reports to the versions that learnt from the data they compare with."""
    pairs = _about_of(connection, VERSION_TAG, keys, most)
    nodes = {of: find_version(connection, of) for of in {of for _, of in pairs}}
    return [
        Link(node_name("drift", run_id), node, "compared with")
        for run_id, of in pairs
        if (node := nodes[of]) is not None
    ]


def data_of_drift(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From reports to the data they are about, where a run the caller may view has read them."""
    pairs = _about_of(connection, DATA_TAG, keys, most)
    nodes = {of: find_data(connection, of) for of in {of for _, of in pairs}}
    return [
        Link(node_name("drift", run_id), node, "looked at")
        for run_id, of in pairs
        if (node := nodes[of]) is not None
    ]
