"""Kinds of nodes in the graph of what led to what, and the steps between them.

A new kind is a row of ``KINDS``: how a node is found, and what leads up and down from many of them
at once. Every statement leaves out what the caller may not view.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import select, tuple_

from loopline.records.base import Lifecycle
from loopline.records.decisions import DecisionStatus
from loopline.records.identity import Thing
from loopline.records.lineage import LineageNode
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.flow_run_authors import visible_flow_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Row, Select

__all__ = ["KINDS", "Kind", "Link", "node_name"]

_run = schema.run
_input = schema.run_input
_dataset = schema.dataset
_version = schema.model_version
_champion = schema.champion
_decision = schema.decision
_flow = schema.flow
_flow_run = schema.flow_run
_task_run = schema.task_run
_tag = schema.tag

#: Tag of a run that is the reproduction of another.
REPRODUCTION_OF = "loopline.reproduction_of"
#: Keys asked for with one statement.
TOGETHER = 400


class Link(NamedTuple):
    """A step from one node to another.

    Attributes:
        of: Name of the node it goes out from.
        node: Where it leads.
        label: How the two are connected.
    """

    of: str
    node: LineageNode
    label: str = ""


class Kind(NamedTuple):
    """A kind of node.

    Attributes:
        find: Gets a node by its key; None: there is none that the caller may view.
        up: Steps to what led to nodes of this kind.
        down: Steps to what came of them.
    """

    find: Callable[[Connection, str], LineageNode | None]
    up: tuple[Callable[[Connection, Sequence[str], int], list[Link]], ...] = ()
    down: tuple[Callable[[Connection, Sequence[str], int], list[Link]], ...] = ()


def node_name(kind: str, key: str) -> str:
    """Name a node in the graph."""
    return f"{kind.replace(' ', '-')}:{key}"


def _node(kind: str, key: str, title: str, *, state: str = "", at_ms: int = 0) -> LineageNode:
    return LineageNode(
        node=node_name(kind, key), kind=kind, key=key, title=title, state=state, at_ms=at_ms
    )


def _rows(
    connection: Connection,
    query: Select[Any],
    column: Any,  # noqa: ANN401 - a column or several
    keys: Sequence[Any],
    most: int,
) -> list[Row[Any]]:
    """Ask for rows by many keys, some hundreds a statement, until there are enough."""
    found: list[Row[Any]] = []
    for start in range(0, len(keys), TOGETHER):
        some = keys[start : start + TOGETHER]
        found += connection.execute(query.where(column.in_(some)).limit(most - len(found))).all()
        if len(found) >= most:
            break
    return found


def _first(
    connection: Connection,
    query: Select[Any],
    column: Any,  # noqa: ANN401 - a column
    key: object,
) -> Row[Any] | None:
    return connection.execute(query.where(column == key)).first()


# --- runs ---------------------------------------------------------------------------------------

RUN_COLUMNS = (_run.c.run_id, _run.c.name, _run.c.status, _run.c.start_ms)


def _runs(connection: Connection, *more: Any) -> Select[Any]:  # noqa: ANN401 - columns
    """Select the runs in use that the caller may view."""
    return select(*RUN_COLUMNS, *more).where(
        _run.c.lifecycle == Lifecycle.ACTIVE,
        *only_visible(connection, Thing.EXPERIMENT, _run.c.experiment_id),
    )


def _run_node(row: Row[Any]) -> LineageNode:
    title = row.name or row.run_id[:8]
    return _node("run", row.run_id, title, state=row.status, at_ms=row.start_ms)


def _find_run(connection: Connection, key: str) -> LineageNode | None:
    row = _first(connection, _runs(connection), _run.c.run_id, key)
    return None if row is None else _run_node(row)


def _parents(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    child = _run.alias("child")
    query = _runs(connection, child.c.run_id.label("of")).join(
        child, child.c.parent_run_id == _run.c.run_id
    )
    rows = _rows(connection, query, child.c.run_id, keys, most)
    return [Link(node_name("run", row.of), _run_node(row), "started") for row in rows]


def _children(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    query = _runs(connection, _run.c.parent_run_id.label("of")).order_by(_run.c.start_ms)
    rows = _rows(connection, query, _run.c.parent_run_id, keys, most)
    return [Link(node_name("run", row.of), _run_node(row), "started") for row in rows]


def _reproductions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    query = (
        _runs(connection, _tag.c.value.label("of"))
        .join(_tag, _tag.c.run_pk == _run.c.pk)
        .where(
            _tag.c.key == REPRODUCTION_OF,
            # All three lead the index that searches read.
            _tag.c.experiment_id == _run.c.experiment_id,
            _tag.c.lifecycle == Lifecycle.ACTIVE,
        )
        .order_by(_run.c.start_ms)
    )
    rows = _rows(connection, query, _tag.c.value, keys, most)
    return [Link(node_name("run", row.of), _run_node(row), "reproduced") for row in rows]


def _reproduced(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    copy = _run.alias("copy")
    query = (
        _runs(connection, copy.c.run_id.label("of"))
        .join(_tag, (_tag.c.key == REPRODUCTION_OF) & (_tag.c.value == _run.c.run_id))
        .join(copy, copy.c.pk == _tag.c.run_pk)
    )
    rows = _rows(connection, query, copy.c.run_id, keys, most)
    return [Link(node_name("run", row.of), _run_node(row), "reproduced") for row in rows]


# --- data ---------------------------------------------------------------------------------------


def _data_node(digest: str, name: str) -> LineageNode:
    return _node("data", digest, name)


def _reading(connection: Connection) -> Select[Any]:
    return (
        _runs(connection, _dataset.c.digest, _dataset.c.name.label("dataset"), _input.c.context)
        .join(_input, _input.c.run_pk == _run.c.pk)
        .join(_dataset, _dataset.c.id == _input.c.dataset_id)
    )


def _find_data(connection: Connection, key: str) -> LineageNode | None:
    row = _first(connection, _reading(connection), _dataset.c.digest, key)
    return None if row is None else _data_node(row.digest, row.dataset)


def _data_of_runs(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    rows = _rows(connection, _reading(connection), _run.c.run_id, keys, most)
    return [
        Link(node_name("run", row.run_id), _data_node(row.digest, row.dataset), row.context)
        for row in rows
    ]


def _runs_of_data(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    query = _reading(connection).order_by(_run.c.start_ms)
    rows = _rows(connection, query, _dataset.c.digest, keys, most)
    return [Link(node_name("data", row.digest), _run_node(row), row.context) for row in rows]


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
    return _node("version", key, title, state=state, at_ms=row.created_ms)


def _pair(key: str) -> tuple[str, int]:
    name, _, number = key.rpartition("/")
    return name, int(number) if number.isdecimal() and len(number) < 10 else 0  # noqa: PLR2004


def _find_version(connection: Connection, key: str) -> LineageNode | None:
    name, number = _pair(key)
    query = _versions(connection).where(_version.c.version == number)
    row = _first(connection, query, _version.c.name, name)
    return None if row is None else _version_node(row)


def _versions_of_runs(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    query = _versions(connection).order_by(_version.c.name, _version.c.version)
    rows = _rows(connection, query, _version.c.run_id, keys, most)
    return [Link(node_name("run", row.run_id), _version_node(row), "made") for row in rows]


def _runs_of_versions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    query = _runs(connection, _version.c.name.label("model"), _version.c.version).join(
        _version, _version.c.run_id == _run.c.run_id
    )
    column = tuple_(_version.c.name, _version.c.version)
    rows = _rows(connection, query, column, [_pair(key) for key in keys], most)
    return [
        Link(node_name("version", f"{row.model}/{row.version}"), _run_node(row), "made")
        for row in rows
    ]


def _stage_node(name: str, stage: str) -> LineageNode:
    return _node("stage", f"{name}/{stage}", f"models:/{name}/{stage}")


def _champions(connection: Connection) -> Select[Any]:
    return (
        select(*VERSION_COLUMNS, _champion.c.stage.label("stands"))
        .join(
            _champion,
            (_champion.c.name == _version.c.name) & (_champion.c.version == _version.c.version),
        )
        .where(*only_visible(connection, Thing.MODEL, _version.c.name))
    )


def _find_stage(connection: Connection, key: str) -> LineageNode | None:
    name, _, stage = key.rpartition("/")
    query = _champions(connection).where(_champion.c.stage == stage)
    row = _first(connection, query, _champion.c.name, name)
    return None if row is None else _stage_node(row.name, row.stands)


def _stages_of_versions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    column = tuple_(_champion.c.name, _champion.c.version)
    pairs = [_pair(key) for key in keys]
    rows = _rows(connection, _champions(connection), column, pairs, most)
    return [
        Link(
            node_name("version", f"{row.name}/{row.version}"),
            _stage_node(row.name, row.stands),
            "is",
        )
        for row in rows
        if row.stands != "Archived"
    ]


def _version_in_stages(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    pairs = [(name, stage) for name, _, stage in (key.rpartition("/") for key in keys)]
    column = tuple_(_champion.c.name, _champion.c.stage)
    rows = _rows(connection, _champions(connection), column, pairs, most)
    return [
        Link(node_name("stage", f"{row.name}/{row.stands}"), _version_node(row), "is")
        for row in rows
    ]


# --- decisions ----------------------------------------------------------------------------------

DECISION_COLUMNS = (
    _decision.c.decision_id,
    _decision.c.name,
    _decision.c.stage,
    _decision.c.status,
    _decision.c.at_ms,
    _decision.c.run_id,
    _decision.c.document,
)


class _Weighed(msgspec.Struct):
    """The part of a decision that leads to other things."""

    sentence: str = ""
    challenger: int = 0
    champion: int | None = None
    data: str = ""


def _decisions(connection: Connection) -> Select[Any]:
    query = select(*DECISION_COLUMNS).order_by(_decision.c.at_ms.desc())
    return query.where(*only_visible(connection, Thing.MODEL, _decision.c.name))


def _weighed(row: Row[Any]) -> _Weighed:
    return msgspec.json.decode(row.document, type=_Weighed)


def _decision_node(row: Row[Any]) -> LineageNode:
    title = _weighed(row).sentence or row.decision_id[:8]
    return _node("decision", row.decision_id, title[:200], state=row.status, at_ms=row.at_ms)


def _find_decision(connection: Connection, key: str) -> LineageNode | None:
    row = _first(connection, _decisions(connection), _decision.c.decision_id, key)
    return None if row is None else _decision_node(row)


def _decisions_on_versions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From versions to the decisions on whether they take a place: a scan of their models'."""
    wanted = set(map(_pair, keys))
    names = sorted({name for name, _ in wanted})
    links = []
    for row in _rows(connection, _decisions(connection), _decision.c.name, names, most):
        number = _weighed(row).challenger
        if (row.name, number) in wanted:
            of = node_name("version", f"{row.name}/{number}")
            links.append(Link(of, _decision_node(row), "weighed"))
    return links


def _weighed_in_decisions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From decisions to the versions they weighed, and the data they weighed them on."""
    links = []
    for row in _rows(connection, _decisions(connection), _decision.c.decision_id, keys, most):
        of, weighed = node_name("decision", row.decision_id), _weighed(row)
        for number, label in ((weighed.challenger, "weighed"), (weighed.champion, "was champion")):
            node = _find_version(connection, f"{row.name}/{number}") if number else None
            if node is not None:
                links.append(Link(of, node, label))
        data = _find_data(connection, weighed.data) if weighed.data else None
        if data is not None:
            links.append(Link(of, data, "decided on"))
        run = _find_run(connection, row.run_id) if row.run_id else None
        if run is not None:
            links.append(Link(of, run, "compared"))
    return links


def _stages_of_decisions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From decisions to the stage that a version got by them and still stands in."""
    links = []
    for row in _rows(connection, _decisions(connection), _decision.c.decision_id, keys, most):
        if row.status != DecisionStatus.PROMOTED:
            continue
        champion = _champions(connection).where(
            _champion.c.stage == row.stage, _champion.c.version == _weighed(row).challenger
        )
        if _first(connection, champion, _champion.c.name, row.name) is not None:
            of = node_name("decision", row.decision_id)
            links.append(Link(of, _stage_node(row.name, row.stage), "promoted"))
    return links


def _decisions_of_stages(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From stages to the decisions by which their versions stand there."""
    links = []
    for link in _version_in_stages(connection, keys, most):
        name, stage = link.of.partition(":")[2].rsplit("/", 1)
        query = _decisions(connection).where(
            _decision.c.stage == stage, _decision.c.status == DecisionStatus.PROMOTED
        )
        number = _pair(link.node.key)[1]
        for row in _rows(connection, query, _decision.c.name, [name], most):
            if _weighed(row).challenger == number:
                links.append(Link(link.of, _decision_node(row), "promoted"))
    return links


# --- flows --------------------------------------------------------------------------------------

FLOW_RUN_COLUMNS = (
    _flow_run.c.flow_run_id,
    _flow_run.c.project,
    _flow_run.c.flow_name,
    _flow_run.c.flow_id,
    _flow_run.c.name,
    _flow_run.c.state,
    _flow_run.c.start_ms,
    _flow_run.c.scheduled_ms,
    _flow_run.c.is_automatic,
    _flow_run.c.parameters,
)


def _flow_runs(connection: Connection, *more: Any) -> Select[Any]:  # noqa: ANN401 - columns
    return select(*FLOW_RUN_COLUMNS, *more).where(*visible_flow_runs(connection))


def _flow_run_node(row: Row[Any]) -> LineageNode:
    given = json.loads(row.parameters or "{}")
    some = ", ".join(f"{key}={value}" for key, value in list(given.items())[:2])
    title = row.name or f"{row.flow_name} ({some})" if some else row.name or row.flow_name
    at_ms = row.start_ms or row.scheduled_ms
    return _node("flow run", row.flow_run_id, title[:120], state=row.state, at_ms=at_ms)


def _find_flow_run(connection: Connection, key: str) -> LineageNode | None:
    row = _first(connection, _flow_runs(connection), _flow_run.c.flow_run_id, key)
    return None if row is None else _flow_run_node(row)


def _flow_runs_of_runs(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From runs to the task runs, or flow runs, that they were started in."""
    query = _flow_runs(connection, _run.c.run_id.label("of"), _run.c.task_slug).join(
        _run, _run.c.flow_run_id == _flow_run.c.flow_run_id
    )
    rows = _rows(connection, query, _run.c.run_id, keys, most)
    return [
        Link(
            node_name("run", row.of),
            _task_node(row, row.task_slug) if row.task_slug else _flow_run_node(row),
            "started",
        )
        for row in rows
    ]


def _task_node(row: Row[Any], slug: str) -> LineageNode:
    return _node("task run", f"{row.flow_run_id}/{slug}", slug)


def _find_task_run(connection: Connection, key: str) -> LineageNode | None:
    flow_run_id, _, slug = key.partition("/")
    query = _flow_runs(connection).join(
        _task_run, _task_run.c.flow_run_id == _flow_run.c.flow_run_id
    )
    row = _first(
        connection, query.where(_task_run.c.task_slug == slug), _flow_run.c.flow_run_id, flow_run_id
    )
    return None if row is None else _task_node(row, slug)


def _flow_runs_of_tasks(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    slugs: dict[str, list[str]] = {}
    for key in keys:
        slugs.setdefault(key.partition("/")[0], []).append(key)
    rows = _rows(connection, _flow_runs(connection), _flow_run.c.flow_run_id, list(slugs), most)
    return [
        Link(node_name("task run", key), _flow_run_node(row), "")
        for row in rows
        for key in slugs[row.flow_run_id]
    ]


def _runs_of_tasks(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    query = _runs(connection, _run.c.flow_run_id, _run.c.task_slug).order_by(_run.c.start_ms)
    # The index is on the flow run alone: its few runs are told apart here.
    flow_runs = list(dict.fromkeys(key.partition("/")[0] for key in keys))
    rows = _rows(connection, query, _run.c.flow_run_id, flow_runs, most)
    wanted = set(keys)
    return [
        Link(node_name("task run", f"{row.flow_run_id}/{row.task_slug}"), _run_node(row), "started")
        for row in rows
        if f"{row.flow_run_id}/{row.task_slug}" in wanted
    ]


def _runs_of_flow_runs(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From flow runs to those of their tasks that started runs, and to other runs of theirs."""
    query = _runs(connection, _run.c.flow_run_id, _run.c.task_slug).order_by(_run.c.start_ms)
    rows = _rows(connection, query, _run.c.flow_run_id, keys, most)
    links = [
        Link(
            node_name("flow run", row.flow_run_id),
            _task_node(row, row.task_slug) if row.task_slug else _run_node(row),
            "" if row.task_slug else "started",
        )
        for row in rows
    ]
    return list({(link.of, link.node.node): link for link in links}.values())


def _flow_node(row: Row[Any]) -> LineageNode:
    return _node("flow", f"{row.project}/{row.flow_name}", f"{row.project}/{row.flow_name}")


def _schedule_node(row: Row[Any]) -> LineageNode:
    key = f"{row.project}/{row.flow_name}"
    return _node("schedule", key, f"schedule of {key}")


def _flows(connection: Connection) -> Select[Any]:
    return select(_flow.c.project, _flow.c.name.label("flow_name"), _flow.c.id).where(
        *only_visible(connection, Thing.PROJECT, _flow.c.project)
    )


def _flow_row(connection: Connection, key: str) -> Row[Any] | None:
    # Either name may hold a slash: the two together tell.
    return next(
        (
            row
            for row in connection.execute(
                _flows(connection).where(tuple_(_flow.c.project, _flow.c.name).in_(_partings(key)))
            )
        ),
        None,
    )


def _partings(key: str) -> list[tuple[str, str]]:
    parts = key.split("/")
    return [("/".join(parts[:i]), "/".join(parts[i:])) for i in range(1, len(parts))] or [("", key)]


def _find_flow(connection: Connection, key: str) -> LineageNode | None:
    row = _flow_row(connection, key)
    return None if row is None else _flow_node(row)


def _find_schedule(connection: Connection, key: str) -> LineageNode | None:
    row = _flow_row(connection, key)
    return None if row is None else _schedule_node(row)


def _flow_of_flow_runs(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From flow runs to the schedule that made them, or to their flow."""
    query = _flow_runs(connection).where(_flow_run.c.flow_id.is_not(None))
    rows = _rows(connection, query, _flow_run.c.flow_run_id, keys, most)
    return [
        Link(
            node_name("flow run", row.flow_run_id),
            _schedule_node(row) if row.is_automatic else _flow_node(row),
            "was due" if row.is_automatic else "",
        )
        for row in rows
    ]


def _flow_runs_of(kind: str, *, is_automatic: bool) -> Callable[..., list[Link]]:
    def step(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
        links: list[Link] = []
        for key in keys:
            flow = _flow_row(connection, key)
            if flow is None:
                continue
            query = (
                _flow_runs(connection)
                .where(
                    _flow_run.c.is_automatic == is_automatic,
                    # What is only planned has led to nothing yet.
                    _flow_run.c.start_ms.is_not(None),
                )
                .order_by(_flow_run.c.scheduled_ms.desc())
            )
            rows = _rows(connection, query, _flow_run.c.flow_id, [flow.id], most - len(links))
            label = "was due" if is_automatic else ""
            links += [Link(node_name(kind, key), _flow_run_node(row), label) for row in rows]
        return links

    return step


def _flow_of_schedules(connection: Connection, keys: Sequence[str], _most: int) -> list[Link]:
    rows = [(key, _flow_row(connection, key)) for key in keys]
    return [Link(node_name("schedule", key), _flow_node(row), "") for key, row in rows if row]


def _schedules_of_flows(connection: Connection, keys: Sequence[str], _most: int) -> list[Link]:
    rows = [(key, _flow_row(connection, key)) for key in keys]
    found = []
    for key, row in rows:
        if row is None:
            continue
        query = select(_flow_run.c.flow_run_id).where(
            _flow_run.c.flow_id == row.id, _flow_run.c.is_automatic
        )
        if connection.execute(query.limit(1)).first() is not None:
            found.append(Link(node_name("flow", key), _schedule_node(row), ""))
    return found


#: Every kind by its name. Feeds, deployments and predictions add rows of their own,
#: and steps to the rows that lead to them.
KINDS: dict[str, Kind] = {
    "flow": Kind(_find_flow, down=(_schedules_of_flows, _flow_runs_of("flow", is_automatic=False))),
    "schedule": Kind(
        _find_schedule,
        up=(_flow_of_schedules,),
        down=(_flow_runs_of("schedule", is_automatic=True),),
    ),
    "flow run": Kind(_find_flow_run, up=(_flow_of_flow_runs,), down=(_runs_of_flow_runs,)),
    "task run": Kind(_find_task_run, up=(_flow_runs_of_tasks,), down=(_runs_of_tasks,)),
    "run": Kind(
        _find_run,
        up=(_flow_runs_of_runs, _parents, _reproduced, _data_of_runs),
        down=(_versions_of_runs, _children, _reproductions),
    ),
    "data": Kind(_find_data, down=(_runs_of_data,)),
    "version": Kind(
        _find_version, up=(_runs_of_versions,), down=(_decisions_on_versions, _stages_of_versions)
    ),
    "decision": Kind(_find_decision, up=(_weighed_in_decisions,), down=(_stages_of_decisions,)),
    "stage": Kind(_find_stage, up=(_decisions_of_stages, _version_in_stages)),
}
