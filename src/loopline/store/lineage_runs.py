"""Runs, the data they read, the versions they made and the stages of these, in the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, tuple_

from loopline.records.base import Lifecycle
from loopline.records.identity import Thing
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

    from loopline.records.lineage import LineageNode

__all__ = [
    "champions",
    "children",
    "data_node",
    "data_of_runs",
    "find_data",
    "find_run",
    "find_stage",
    "find_version",
    "parents",
    "parse_pair",
    "reading",
    "reproduced",
    "reproductions",
    "run_node",
    "runs_of_data",
    "runs_of_versions",
    "stage_node",
    "stages_of_versions",
    "version_in_stages",
    "versions_of_runs",
    "visible_runs",
]

_run = schema.run
_input = schema.run_input
_dataset = schema.dataset
_version = schema.model_version
_champion = schema.champion
_tag = schema.tag

#: Tag of a run that is the reproduction of another.
REPRODUCTION_OF = "loopline.reproduction_of"

# --- runs ---------------------------------------------------------------------------------------

RUN_COLUMNS = (_run.c.run_id, _run.c.name, _run.c.status, _run.c.start_ms)


def visible_runs(connection: Connection, *more: Any) -> Select[Any]:  # noqa: ANN401 - columns
    """Select the runs in use that the caller may view."""
    return select(*RUN_COLUMNS, *more).where(
        unindexed(_run.c.lifecycle) == Lifecycle.ACTIVE,
        *only_visible(connection, Thing.EXPERIMENT, unindexed(_run.c.experiment_id)),
    )


def run_node(row: Row[Any]) -> LineageNode:
    """Make the node of a run."""
    title = row.name or row.run_id[:8]
    return node_of("run", row.run_id, title, state=row.status, at_ms=row.start_ms)


def find_run(connection: Connection, key: str) -> LineageNode | None:
    """Find a run in use."""
    row = one_by(connection, visible_runs(connection), _run.c.run_id, key)
    return None if row is None else run_node(row)


def parents(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from runs to those that they were started inside."""
    child = _run.alias("child")
    query = visible_runs(connection, child.c.run_id.label("of")).join(
        child, child.c.parent_run_id == _run.c.run_id
    )
    rows = rows_by(connection, query, child.c.run_id, keys, most)
    return [Link(node_name("run", row.of), run_node(row), "started") for row in rows]


def children(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from runs to those that were started inside them."""
    query = visible_runs(connection, _run.c.parent_run_id.label("of")).order_by(_run.c.start_ms)
    rows = rows_by(connection, query, _run.c.parent_run_id, keys, most)
    return [Link(node_name("run", row.of), run_node(row), "started") for row in rows]


def reproductions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from runs to their reproductions: an index look-up an experiment."""
    query = (
        visible_runs(connection, _tag.c.value.label("of"))
        .join(_tag, _tag.c.run_pk == _run.c.pk)
        .where(
            _tag.c.key == REPRODUCTION_OF,
            # All three lead the index that searches read.
            _tag.c.experiment_id.in_(select(schema.experiment.c.id)),
            _tag.c.lifecycle == Lifecycle.ACTIVE,
        )
        .order_by(_run.c.start_ms)
    )
    rows = rows_by(connection, query, _tag.c.value, keys, most)
    return [Link(node_name("run", row.of), run_node(row), "reproduced") for row in rows]


def reproduced(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from reproductions to the runs that they reproduce."""
    copy = _run.alias("copy")
    query = (
        visible_runs(connection, copy.c.run_id.label("of"))
        .join(_tag, (_tag.c.key == REPRODUCTION_OF) & (_tag.c.value == _run.c.run_id))
        .join(copy, copy.c.pk == _tag.c.run_pk)
    )
    rows = rows_by(connection, query, copy.c.run_id, keys, most)
    return [Link(node_name("run", row.of), run_node(row), "reproduced") for row in rows]


# --- data ---------------------------------------------------------------------------------------


def data_node(digest: str, name: str) -> LineageNode:
    """Make the node of a data version."""
    return node_of("data", digest, name)


def reading(connection: Connection) -> Select[Any]:
    """Select the runs in use that the caller may view, with the data that they read."""
    return (
        visible_runs(
            connection, _dataset.c.digest, _dataset.c.name.label("dataset"), _input.c.context
        )
        .join(_input, _input.c.run_pk == _run.c.pk)
        .join(_dataset, _dataset.c.id == _input.c.dataset_id)
    )


def find_data(connection: Connection, key: str) -> LineageNode | None:
    """Find a data version that a run the caller may view has read."""
    row = one_by(connection, reading(connection), _dataset.c.digest, key)
    return None if row is None else data_node(row.digest, row.dataset)


def data_of_runs(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from runs to the data that they read."""
    rows = rows_by(connection, reading(connection), _run.c.run_id, keys, most)
    return [
        Link(node_name("run", row.run_id), data_node(row.digest, row.dataset), row.context)
        for row in rows
    ]


def runs_of_data(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from data to the runs that read them."""
    query = reading(connection).order_by(_run.c.start_ms)
    rows = rows_by(connection, query, _dataset.c.digest, keys, most)
    return [Link(node_name("data", row.digest), run_node(row), row.context) for row in rows]


# --- model versions and stages ------------------------------------------------------------------

VERSION_COLUMNS = (
    _version.c.name,
    _version.c.version,
    _version.c.stage,
    _version.c.created_ms,
    _version.c.run_id,
)


def _versions(connection: Connection) -> Select[Any]:
    return select(*VERSION_COLUMNS).where(*only_visible(connection, Thing.MODEL, _version.c.name))


def _version_node(row: Row[Any]) -> LineageNode:
    state = "" if row.stage == "None" else row.stage
    title = f"{row.name} v{row.version}"
    key = f"{row.name}/{row.version}"
    return node_of("version", key, title, state=state, at_ms=row.created_ms)


def parse_pair(key: str) -> tuple[str, int]:
    """Part a key of a version into name and number; 0: it has none."""
    name, _, number = key.rpartition("/")
    return name, int(number) if number.isdecimal() and len(number) < 10 else 0  # noqa: PLR2004


def find_version(connection: Connection, key: str) -> LineageNode | None:
    """Find a model version."""
    name, number = parse_pair(key)
    query = _versions(connection).where(_version.c.version == number)
    row = first_by(connection, query, _version.c.name, name)
    return None if row is None else _version_node(row)


def versions_of_runs(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from runs to the versions made of their models."""
    query = _versions(connection).order_by(_version.c.name, _version.c.version)
    rows = rows_by(connection, query, _version.c.run_id, keys, most)
    return [Link(node_name("run", row.run_id), _version_node(row), "made") for row in rows]


def runs_of_versions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from versions to the runs that made them."""
    query = visible_runs(connection, _version.c.name.label("model"), _version.c.version).join(
        _version, _version.c.run_id == _run.c.run_id
    )
    column = tuple_(_version.c.name, _version.c.version)
    rows = rows_by(connection, query, column, [parse_pair(key) for key in keys], most)
    return [
        Link(node_name("version", f"{row.model}/{row.version}"), run_node(row), "made")
        for row in rows
    ]


def stage_node(name: str, stage: str) -> LineageNode:
    """Make the node of a stage of a model."""
    return node_of("stage", f"{name}/{stage}", f"models:/{name}/{stage}")


def champions(connection: Connection) -> Select[Any]:
    """Select versions with the stages that mean them."""
    return (
        select(*VERSION_COLUMNS, _champion.c.stage.label("stands"))
        .join(
            _champion,
            (_champion.c.name == _version.c.name) & (_champion.c.version == _version.c.version),
        )
        .where(*only_visible(connection, Thing.MODEL, _version.c.name))
    )


def find_stage(connection: Connection, key: str) -> LineageNode | None:
    """Find a stage that a version stands in."""
    name, _, stage = key.rpartition("/")
    query = champions(connection).where(_champion.c.stage == stage)
    row = first_by(connection, query, _champion.c.name, name)
    return None if row is None else stage_node(row.name, row.stands)


def stages_of_versions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from versions to the stages that mean them."""
    column = tuple_(_champion.c.name, _champion.c.version)
    pairs = [parse_pair(key) for key in keys]
    rows = rows_by(connection, champions(connection), column, pairs, most)
    return [
        Link(
            node_name("version", f"{row.name}/{row.version}"),
            stage_node(row.name, row.stands),
            "is",
        )
        for row in rows
        if row.stands != "Archived"
    ]


def version_in_stages(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from stages to the versions that they mean."""
    pairs = [(name, stage) for name, _, stage in (key.rpartition("/") for key in keys)]
    column = tuple_(_champion.c.name, _champion.c.stage)
    rows = rows_by(connection, champions(connection), column, pairs, most)
    return [
        Link(node_name("stage", f"{row.name}/{row.stands}"), _version_node(row), "is")
        for row in rows
    ]
