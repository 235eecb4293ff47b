"""Schedules, flows, flow runs and task runs in the graph."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, tuple_

from loopline.records.identity import Thing
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.flow_run_authors import visible_flow_runs
from loopline.store.lineage_links import Link, first_by, node_name, node_of, rows_by
from loopline.store.lineage_runs import run_node, visible_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Row, Select

    from loopline.records.lineage import LineageNode

__all__ = [
    "find_flow",
    "find_flow_run",
    "find_schedule",
    "find_task_run",
    "flow_of_flow_runs",
    "flow_of_schedules",
    "flow_runs_of",
    "flow_runs_of_runs",
    "flow_runs_of_tasks",
    "runs_of_flow_runs",
    "runs_of_tasks",
    "schedules_of_flows",
]

_run = schema.run
_flow = schema.flow
_flow_run = schema.flow_run
_task_run = schema.task_run

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
    return node_of("flow run", row.flow_run_id, title[:120], state=row.state, at_ms=at_ms)


def find_flow_run(connection: Connection, key: str) -> LineageNode | None:
    """Find a flow run."""
    row = first_by(connection, _flow_runs(connection), _flow_run.c.flow_run_id, key)
    return None if row is None else _flow_run_node(row)


def flow_runs_of_runs(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From runs to the task runs, or flow runs, that they were started in."""
    query = _flow_runs(connection, _run.c.run_id.label("of"), _run.c.task_slug).join(
        _run, _run.c.flow_run_id == _flow_run.c.flow_run_id
    )
    rows = rows_by(connection, query, _run.c.run_id, keys, most)
    return [
        Link(
            node_name("run", row.of),
            _task_node(row, row.task_slug) if row.task_slug else _flow_run_node(row),
            "started",
        )
        for row in rows
    ]


def _task_node(row: Row[Any], slug: str) -> LineageNode:
    return node_of("task run", f"{row.flow_run_id}/{slug}", slug)


def find_task_run(connection: Connection, key: str) -> LineageNode | None:
    """Find a task run by its flow run and slug; the elements of a map are one."""
    flow_run_id, _, slug = key.partition("/")
    query = _flow_runs(connection).join(
        _task_run, _task_run.c.flow_run_id == _flow_run.c.flow_run_id
    )
    row = first_by(
        connection, query.where(_task_run.c.task_slug == slug), _flow_run.c.flow_run_id, flow_run_id
    )
    return None if row is None else _task_node(row, slug)


def flow_runs_of_tasks(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from task runs to their flow runs."""
    slugs: dict[str, list[str]] = {}
    for key in keys:
        slugs.setdefault(key.partition("/")[0], []).append(key)
    rows = rows_by(connection, _flow_runs(connection), _flow_run.c.flow_run_id, list(slugs), most)
    return [
        Link(node_name("task run", key), _flow_run_node(row), "")
        for row in rows
        for key in slugs[row.flow_run_id]
    ]


def runs_of_tasks(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """Go from task runs to the runs that were started in them."""
    query = visible_runs(connection, _run.c.flow_run_id, _run.c.task_slug).order_by(_run.c.start_ms)
    # The index is on the flow run alone: its few runs are told apart here.
    flow_runs = list(dict.fromkeys(key.partition("/")[0] for key in keys))
    rows = rows_by(connection, query, _run.c.flow_run_id, flow_runs, most)
    wanted = set(keys)
    return [
        Link(node_name("task run", f"{row.flow_run_id}/{row.task_slug}"), run_node(row), "started")
        for row in rows
        if f"{row.flow_run_id}/{row.task_slug}" in wanted
    ]


def runs_of_flow_runs(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From flow runs to those of their tasks that started runs, and to other runs of theirs."""
    query = visible_runs(connection, _run.c.flow_run_id, _run.c.task_slug).order_by(_run.c.start_ms)
    rows = rows_by(connection, query, _run.c.flow_run_id, keys, most)
    links = [
        Link(
            node_name("flow run", row.flow_run_id),
            _task_node(row, row.task_slug) if row.task_slug else run_node(row),
            "" if row.task_slug else "started",
        )
        for row in rows
    ]
    return list({(link.of, link.node.node): link for link in links}.values())


def _flow_node(row: Row[Any]) -> LineageNode:
    return node_of("flow", f"{row.project}/{row.flow_name}", f"{row.project}/{row.flow_name}")


def _schedule_node(row: Row[Any]) -> LineageNode:
    key = f"{row.project}/{row.flow_name}"
    return node_of("schedule", key, f"schedule of {key}")


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


def find_flow(connection: Connection, key: str) -> LineageNode | None:
    """Find a flow by project and name."""
    row = _flow_row(connection, key)
    return None if row is None else _flow_node(row)


def find_schedule(connection: Connection, key: str) -> LineageNode | None:
    """Find the schedule of a flow."""
    row = _flow_row(connection, key)
    return None if row is None else _schedule_node(row)


def flow_of_flow_runs(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From flow runs to the schedule that made them, or to their flow."""
    query = _flow_runs(connection).where(_flow_run.c.flow_id.is_not(None))
    rows = rows_by(connection, query, _flow_run.c.flow_run_id, keys, most)
    return [
        Link(
            node_name("flow run", row.flow_run_id),
            _schedule_node(row) if row.is_automatic else _flow_node(row),
            "was due" if row.is_automatic else "",
        )
        for row in rows
    ]


def flow_runs_of(kind: str, *, is_automatic: bool) -> Callable[..., list[Link]]:
    """Make the step from flows, or from their schedules, to the flow runs these led to."""

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
            rows = rows_by(connection, query, _flow_run.c.flow_id, [flow.id], most - len(links))
            label = "was due" if is_automatic else ""
            links += [Link(node_name(kind, key), _flow_run_node(row), label) for row in rows]
        return links

    return step


def flow_of_schedules(connection: Connection, keys: Sequence[str], _most: int) -> list[Link]:
    """Go from schedules to their flows."""
    rows = [(key, _flow_row(connection, key)) for key in keys]
    return [Link(node_name("schedule", key), _flow_node(row), "") for key, row in rows if row]


def schedules_of_flows(connection: Connection, keys: Sequence[str], _most: int) -> list[Link]:
    """Go from flows to their schedules, where these have made flow runs."""
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
