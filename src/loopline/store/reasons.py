"""Why a model version is where it is: from the history of the registry and the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.reasons import Reasons
from loopline.rules.reasons import decided_by, decision_of, version_before
from loopline.store import decisions, registry, runs, schema
from loopline.store.lineage_graph import get_lineage
from loopline.store.lineage_kinds import KINDS
from loopline.store.lineage_serving import predictions_by_version

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records.decisions import KeptDecision
    from loopline.records.lineage import LineageNode
    from loopline.records.registry import ModelVersion
    from loopline.records.tracking import Run, RunInput
    from loopline.store.database import Store

__all__ = ["explain_version"]

_run = schema.run
_param = schema.param
#: Runs that scored a version, told at most.
MOST_COMPARED = 5
#: Params by which a run says which version it scored, as the lifecycle's tasks write them.
SCORED = ("challenger", "version")
#: Serving processes told at most.
MOST_DEPLOYMENTS = 100
#: Decisions on a version looked through, newest first.
MOST_DECISIONS = 100


def explain_version(store: Store, connection: Connection, call: ops.ExplainVersion) -> Reasons:
    """Tell who or what decided on a version, on which data, and what came of it."""
    if bool(call.version) == bool(call.stage):
        msg = "Say which version: its number, or the stage that it stands in."
        raise InvalidInputError(msg)
    asked = ops.ResolveModel(name=call.name, version=call.version, stage=call.stage)
    version = registry.resolve_model(store, connection, asked).version
    events = registry.list_version_events(
        store, connection, ops.ListVersionEvents(name=version.name)
    )
    decision = decision_of(version, events)
    weighed = _weighed(connection, version)
    run = _run_of(store, connection, version)
    lineage = get_lineage(
        store,
        connection,
        ops.GetLineage(node=f"version:{version.name}/{version.version}", depth=6),
    )
    compared = _compared(store, connection, version, run)
    by = weighed.run_id if weighed is not None else ""
    if by and all(one.run_id != by for one in compared):
        scored = _get(store, connection, by) if KINDS["run"].find(connection, by) else None
        compared = [*([scored] if scored else []), *compared]
    return Reasons(
        version=version,
        decision=decision,
        weighed=weighed,
        decided_by=decided_by(decision, weighed),
        before=version_before(decision, events),
        history=[event for event in events if event.version == version.version],
        run=run,
        inputs=[] if run is None else _inputs(store, connection, run),
        compared=compared,
        compared_on=_distinct(one for run in compared for one in _inputs(store, connection, run)),
        made_by=[
            node
            for node in lineage.nodes
            if node.kind in {"flow", "schedule", "flow run", "task run"}
        ],
        consequences=_consequences(lineage.nodes),
        predictions=predictions_by_version(
            connection, version.name, [version.version], MOST_DEPLOYMENTS
        ),
    )


def _weighed(connection: Connection, version: ModelVersion) -> KeptDecision | None:
    """Find the newest decision on a version: the one by which it stands there, if one is."""
    of_it = decisions.decisions_on(connection, version.name, version.version, MOST_DECISIONS)
    by = (kept for kept in of_it if kept.has_moved and kept.stage == version.stage)
    return next(by, of_it[0] if of_it else None)


def _consequences(nodes: list[LineageNode]) -> list[LineageNode]:
    causes = {"flow", "schedule", "flow run", "task run", "run", "data", "version", "feed"}
    causes |= {"predictions"}  # Told by themselves.
    return [node for node in nodes if node.kind not in causes]


def _distinct(inputs: object) -> list[RunInput]:
    found: dict[str, RunInput] = {}
    for one in inputs:  # type: ignore[attr-defined]
        found.setdefault(one.dataset.digest, one)
    return list(found.values())


def _run_of(store: Store, connection: Connection, version: ModelVersion) -> Run | None:
    if not version.run_id or KINDS["run"].find(connection, version.run_id) is None:
        return None
    return _get(store, connection, version.run_id)


def _get(store: Store, connection: Connection, run_id: str) -> Run | None:
    try:
        return runs.get_run(store, connection, ops.GetRun(run_id=run_id))
    except NotFoundError:
        return None


def _inputs(store: Store, connection: Connection, run: Run) -> list[RunInput]:
    return runs.list_inputs(store, connection, ops.ListInputs(run_id=run.run_id))


def _compared(
    store: Store, connection: Connection, version: ModelVersion, run: Run | None
) -> list[Run]:
    """Find the runs of the same flow run, or else experiment, that say they scored the version.

    Index look-ups: by flow run, or by experiment, key and value.
    """
    if run is None:
        return []
    query = (
        select(_run.c.run_id)
        .join(_param, _param.c.run_pk == _run.c.pk)
        .where(
            _param.c.key.in_(SCORED),
            _param.c.value == str(version.version),
            _param.c.experiment_id == int(run.experiment_id),
            _param.c.lifecycle == "active",
        )
        .order_by(_run.c.start_ms.desc())
    )
    if run.flow_run_id:
        query = query.where(_run.c.flow_run_id == run.flow_run_id)
    found = connection.execute(query.limit(MOST_COMPARED)).scalars().all()
    got = (_get(store, connection, run_id) for run_id in found if run_id != run.run_id)
    return [one for one in got if one is not None]
