"""Logged models moved in from elsewhere: set as they were there, not as of now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from loopline.errors import ConflictError, InvalidInputError
from loopline.records.base import Lifecycle
from loopline.records.logged_models import LoggedModelStatus
from loopline.records.transfer import LoggedModelDescription
from loopline.rules.names import (
    check_artifact_path,
    check_id,
    check_key,
    check_logged_model_name,
    check_param_value,
    check_tag_value,
    check_text,
)
from loopline.store import experiments, schema
from loopline.store.logged_model_facts import check_point, point_row
from loopline.store.logged_models import (
    MAX_MESSAGE,
    MAX_TYPE,
    MODEL,
    logged_model_files,
    logged_model_records,
)
from loopline.store.upserts import InsertOrIgnore, InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Table

    from loopline.records import operations as ops
    from loopline.records.logged_models import LoggedModel
    from loopline.store.database import Store

__all__ = ["describe_logged_models", "import_logged_model"]

#: Logged models described with one call.
MOST_MODELS = 1_000

_model = schema.logged_model


def describe_logged_models(
    _store: Store, connection: Connection, call: ops.DescribeLoggedModels
) -> list[LoggedModelDescription]:
    """Get everything of those of some logged models that exist; a look-up each for their files."""
    if len(call.model_ids) > MOST_MODELS:
        count = len(call.model_ids)
        msg = f"{count:,} logged models were asked for; ask for {MOST_MODELS:,} at a time."
        raise InvalidInputError(msg)
    query = select(_model).where(_model.c.model_id.in_(call.model_ids)).order_by(_model.c.pk)
    rows = connection.execute(query).all()
    return [
        LoggedModelDescription(model=model, files=logged_model_files(connection, row.pk))
        for row, model in zip(rows, logged_model_records(connection, rows), strict=True)
    ]


def import_logged_model(
    _store: Store, connection: Connection, call: ops.ImportLoggedModel
) -> LoggedModel:
    """Make a logged model as it was elsewhere, or add what is new to it.

    Raises:
        ConflictError: The id belongs to a model made at another time.
        NotFoundError: There is no such experiment.
        InvalidInputError: Something cannot be kept; nothing was.
    """
    given = call.model
    _check(given)
    experiment = experiments.find(connection, given.experiment_id)
    made = connection.execute(
        InsertOrIgnore(_model)
        .inline()  # Its number is asked for below, of a model that was there, too.
        .values(
            model_id=given.model_id,
            experiment_id=experiment.id,
            name=given.name,
            model_type=given.model_type,
            source_run_id=given.source_run_id,
            status=given.status,
            status_message=given.status_message,
            lifecycle=given.lifecycle,
            created_ms=given.created_ms,
            updated_ms=given.updated_ms,
        )
    )
    row = connection.execute(MODEL, {"model_id": given.model_id}).one()
    if not made.rowcount:
        _renew(connection, row, given, update_all=call.update)
    replace = call.update
    for table, texts in (
        (schema.logged_model_param, given.params),
        (schema.logged_model_tag, given.tags),
    ):
        rows = [{"model_pk": row.pk, "key": key, "value": value} for key, value in texts.items()]
        _put(connection, table, rows, replace=replace)
    points = [point_row(row.pk, point) for point in given.metrics]
    _put(connection, schema.logged_model_metric, points, replace=replace)
    files = [
        {
            "model_pk": row.pk,
            "path": check_artifact_path(file.path),
            "sha256": file.sha256,
            "size_bytes": file.size_bytes,
            "at_ms": given.created_ms,
        }
        for file in call.files
    ]
    _put(connection, schema.logged_model_file, files, replace=replace)
    row = connection.execute(MODEL, {"model_id": given.model_id}).one()
    return logged_model_records(connection, [row])[0]


def _check(given: LoggedModel) -> None:
    check_id("logged model id", given.model_id)
    check_logged_model_name(given.name)
    check_text("model type", given.model_type, MAX_TYPE)
    check_text("message", given.status_message, MAX_MESSAGE)
    if given.source_run_id:
        check_id("run id", given.source_run_id)
    for key, value in given.params.items():
        check_key("param", key)
        check_param_value(key, value)
    for key, value in given.tags.items():
        check_key("tag", key)
        check_tag_value(key, value)
    for point in given.metrics:
        check_point(point)


def _renew(connection: Connection, row: Row[Any], given: LoggedModel, *, update_all: bool) -> None:
    """Bring what a model says of itself up to date: always its end and its deletion."""
    if row.created_ms != given.created_ms:
        msg = (
            f"Logged model {given.model_id} is another one here, made at {row.created_ms} ms and "
            f"not at {given.created_ms} ms. Import into another store."
        )
        raise ConflictError(msg)
    columns: dict[str, Any] = {}
    if update_all:
        columns = {"name": given.name, "model_type": given.model_type}
    if update_all or row.status == LoggedModelStatus.PENDING:
        columns |= {"status": given.status, "status_message": given.status_message}
    if update_all or given.lifecycle == Lifecycle.DELETED:
        columns["lifecycle"] = given.lifecycle
    if not any(getattr(row, name) != value for name, value in columns.items()):
        columns = {}
    if columns or update_all:
        columns["updated_ms"] = given.updated_ms
        connection.execute(update(_model).where(_model.c.pk == row.pk).values(**columns))


def _put(
    connection: Connection, table: Table, rows: list[dict[str, Any]], *, replace: bool
) -> None:
    if rows:
        connection.execute((InsertOrReplace if replace else InsertOrIgnore)(table), rows)
