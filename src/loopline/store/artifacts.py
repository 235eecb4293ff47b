"""Files of runs and logged models that are taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, or_

from loopline.errors import InvalidInputError
from loopline.rules.names import check_artifact_path
from loopline.store import schema
from loopline.store.artifact_paths import below
from loopline.store.find import run_row
from loopline.store.logged_models import logged_model_row

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["delete_artifacts"]


def delete_artifacts(_store: Store, connection: Connection, call: ops.DeleteArtifacts) -> int:
    """Take back a file, or all below a folder; what else names their bytes keeps them."""
    path = check_artifact_path(call.path) if call.path else ""
    if bool(call.run_id) == bool(call.model_id):
        msg = "Say whose files they are: give run_id or model_id, and not both."
        raise InvalidInputError(msg)
    if call.run_id:
        table = schema.artifact
        chosen = table.c.run_pk == run_row(connection, call.run_id).pk
    else:
        table = schema.logged_model_file
        chosen = table.c.model_pk == logged_model_row(connection, call.model_id).pk
    statement = delete(table).where(chosen)
    if path:
        statement = statement.where(or_(table.c.path == path, below(table, path)))
    return connection.execute(statement).rowcount
