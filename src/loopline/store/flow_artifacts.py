"""Artifacts of flow runs in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, select

from loopline.errors import InvalidInputError
from loopline.records.flow_artifacts import FlowArtifact
from loopline.store import schema
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import facts as f
    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["list_flow_artifacts", "put_flow_artifact"]

_artifact = schema.flow_artifact
_KINDS = frozenset({"link", "markdown", "table"})
#: Longer ones belong into files.
_LONGEST = 1 << 20

#: Of one flow run. Index scan.
OF_FLOW_RUN = (
    select(_artifact)
    .where(_artifact.c.flow_run_id == bindparam("id"))
    .order_by(_artifact.c.created_ms, _artifact.c.artifact_id)
)
PUT = InsertOrReplace(_artifact)
DELETE = delete(_artifact).where(
    _artifact.c.artifact_id == bindparam("artifact"), _artifact.c.flow_run_id == bindparam("id")
)
ONE = select(_artifact).where(_artifact.c.artifact_id == bindparam("artifact"))


def put_flow_artifact(connection: Connection, fact: f.FlowArtifactSet) -> None:
    """Keep, change or delete an artifact.

    Raises:
        InvalidInputError: It is of an unknown kind, too long, or of another flow run.
    """
    if not fact.artifact_kind:
        connection.execute(DELETE, {"artifact": fact.artifact_id, "id": fact.flow_run_id})
        return
    if fact.artifact_kind not in _KINDS or len(fact.data) > _LONGEST:
        msg = (
            f"An artifact of kind {fact.artifact_kind!r} with {len(fact.data)} characters cannot "
            f"be kept: the kinds are {', '.join(sorted(_KINDS))}, of at most {_LONGEST} characters."
        )
        raise InvalidInputError(msg)
    before = connection.execute(ONE, {"artifact": fact.artifact_id}).first()
    if before is not None and before.flow_run_id != fact.flow_run_id:
        msg = f"The artifact {fact.artifact_id} belongs to another flow run."
        raise InvalidInputError(msg)
    connection.execute(
        PUT,
        {
            "artifact_id": fact.artifact_id,
            "flow_run_id": fact.flow_run_id,
            "task_slug": fact.task_slug if before is None else before.task_slug,
            "map_index": fact.map_index if before is None else before.map_index,
            "kind": fact.artifact_kind,
            "document": fact.data.replace("\0", "\N{SYMBOL FOR NULL}"),
            "created_ms": fact.at_ms if before is None else before.created_ms,
        },
    )


def list_flow_artifacts(
    _store: Store, connection: Connection, call: ops.ListFlowArtifacts
) -> list[FlowArtifact]:
    """List the artifacts of a flow run, oldest first."""
    return [
        FlowArtifact(
            artifact_id=row.artifact_id,
            flow_run_id=row.flow_run_id,
            task_slug=row.task_slug,
            map_index=row.map_index,
            kind=row.kind,
            data=row.document,
            created_ms=row.created_ms,
        )
        for row in connection.execute(OF_FLOW_RUN, {"id": call.flow_run_id})
    ]
