"""Decisions in the graph: what they weighed, and what stands where it does by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from loopline.records.decisions import DecisionStatus
from loopline.records.identity import Thing
from loopline.store import schema
from loopline.store.callers import only_visible
from loopline.store.lineage_links import Link, first_by, node_name, node_of, one_by, rows_by
from loopline.store.lineage_runs import (
    champions,
    find_data,
    find_run,
    find_version,
    parse_pair,
    stage_node,
    version_in_stages,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

    from loopline.records.lineage import LineageNode

__all__ = [
    "decisions_of_stages",
    "decisions_on_versions",
    "find_decision",
    "stages_of_decisions",
    "weighed_in_decisions",
]

_champion = schema.champion
_decision = schema.decision

DECISION_COLUMNS = (
    _decision.c.decision_id,
    _decision.c.name,
    _decision.c.stage,
    _decision.c.status,
    _decision.c.at_ms,
    _decision.c.run_id,
    _decision.c.challenger,
    _decision.c.document,
)


#: How a decision ends that moves a version.
MOVED = (DecisionStatus.PROMOTED, DecisionStatus.ROLLED_BACK)


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
    return node_of("decision", row.decision_id, title[:200], state=row.status, at_ms=row.at_ms)


def find_decision(connection: Connection, key: str) -> LineageNode | None:
    """Find a decision on a model that the caller may view."""
    row = one_by(connection, _decisions(connection), _decision.c.decision_id, key)
    return None if row is None else _decision_node(row)


def decisions_on_versions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From versions to the decisions on whether they take a place. Index look-up by version."""
    by_name: dict[str, list[int]] = {}
    for name, number in map(parse_pair, keys):
        by_name.setdefault(name, []).append(number)
    links: list[Link] = []
    for name, numbers in by_name.items():
        query = _decisions(connection).where(_decision.c.name == name)
        column = _decision.c.challenger
        if len(links) < most:
            links += [
                Link(
                    node_name("version", f"{row.name}/{row.challenger}"),
                    _decision_node(row),
                    "weighed",
                )
                for row in rows_by(connection, query, column, numbers, most - len(links))
            ]
    return links


def weighed_in_decisions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From decisions to the versions they weighed, and the data they weighed them on."""
    links = []
    for row in rows_by(connection, _decisions(connection), _decision.c.decision_id, keys, most):
        of, weighed = node_name("decision", row.decision_id), _weighed(row)
        for number, label in ((weighed.challenger, "weighed"), (weighed.champion, "was champion")):
            node = find_version(connection, f"{row.name}/{number}") if number else None
            if node is not None:
                links.append(Link(of, node, label))
        data = find_data(connection, weighed.data) if weighed.data else None
        if data is not None:
            links.append(Link(of, data, "decided on"))
        run = find_run(connection, row.run_id) if row.run_id else None
        if run is not None:
            links.append(Link(of, run, "compared"))
    return links


def stages_of_decisions(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From decisions to the stage that a version got by them and still stands in."""
    links = []
    for row in rows_by(connection, _decisions(connection), _decision.c.decision_id, keys, most):
        if row.status not in MOVED:
            continue
        champion = champions(connection).where(
            _champion.c.stage == row.stage, _champion.c.version == row.challenger
        )
        if first_by(connection, champion, _champion.c.name, row.name) is not None:
            of = node_name("decision", row.decision_id)
            links.append(Link(of, stage_node(row.name, row.stage), row.status))
    return links


def decisions_of_stages(connection: Connection, keys: Sequence[str], most: int) -> list[Link]:
    """From stages to the decisions by which their versions stand there."""
    links = []
    for link in version_in_stages(connection, keys, most):
        name, stage = link.of.partition(":")[2].rsplit("/", 1)
        query = _decisions(connection).where(
            _decision.c.name == name,
            _decision.c.stage == stage,
            _decision.c.status.in_(MOVED),
        )
        number = parse_pair(link.node.key)[1]
        rows = rows_by(connection, query, _decision.c.challenger, [number], most)
        links += [Link(link.of, _decision_node(row), row.status) for row in rows]
    return links
