"""Logged models in the store: making, finishing, describing and deleting them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.base import Lifecycle
from loopline.records.identity import Thing
from loopline.records.logged_models import (
    LoggedModel,
    LoggedModelPoint,
    LoggedModelStatus,
    ModelRole,
    RunModel,
)
from loopline.records.tracking import Artifact
from loopline.rules.folders import children
from loopline.rules.made_up_names import made_up_name
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
from loopline.store.callers import only_visible
from loopline.store.find import run_row
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Row, Select

    from loopline.store.database import Store

__all__ = [
    "create_logged_model",
    "delete_logged_model",
    "finish_logged_model",
    "get_logged_model",
    "list_logged_model_files",
    "list_run_models",
    "log_logged_model_params",
    "logged_model_files",
    "logged_model_records",
    "logged_model_row",
    "no_logged_model",
    "remove_logged_model_tag",
    "set_logged_model_tags",
]

MAX_TYPE = 500
MAX_MESSAGE = 65_536

_model = schema.logged_model
_param = schema.logged_model_param
_tag = schema.logged_model_tag
_metric = schema.logged_model_metric
_file = schema.logged_model_file

#: A logged model by its id. Look-up in a unique index.
MODEL = select(_model).where(_model.c.model_id == bindparam("model_id"))
#: Models whose params, tags, points and versions are read with one statement each.
TOGETHER = 500


def create_logged_model(
    store: Store, connection: Connection, call: ops.CreateLoggedModel
) -> LoggedModel:
    """Make a logged model, whose files follow.

    Raises:
        ConflictError: The id is taken.
        NotFoundError: There is no such experiment.
        InvalidInputError: The experiment is deleted, or something cannot be kept.
    """
    experiment = experiments.find(connection, call.experiment_id)
    if experiment.lifecycle != Lifecycle.ACTIVE:
        msg = (
            f"The experiment {call.experiment_id} must be in the 'active' state. Current state is "
            f"deleted. Restore it with `loopline experiments restore {call.experiment_id}`."
        )
        raise InvalidInputError(msg)
    model_id = call.model_id or f"m-{uuid.uuid4().hex}"
    check_id("logged model id", model_id)
    name = call.name or made_up_name(uuid.uuid4().hex)
    check_logged_model_name(name)
    check_text("model type", call.model_type, MAX_TYPE)
    if call.source_run_id:
        check_id("run id", call.source_run_id)
    if connection.execute(MODEL, {"model_id": model_id}).first() is not None:
        msg = f"Logged model with ID '{model_id}' already exists. Make one with another id."
        raise ConflictError(msg)
    now_ms = store.clock()
    connection.execute(
        insert(_model).values(
            model_id=model_id,
            experiment_id=experiment.id,
            name=name,
            model_type=call.model_type,
            source_run_id=call.source_run_id,
            status=LoggedModelStatus.PENDING,
            created_ms=now_ms,
            updated_ms=now_ms,
        )
    )
    row = logged_model_row(connection, model_id)
    _add_params(connection, row, call.params)
    _set_tags(connection, row, call.tags)
    return logged_model_records(connection, [row])[0]


def finish_logged_model(
    store: Store, connection: Connection, call: ops.FinishLoggedModel
) -> LoggedModel:
    """Say whether the files of a logged model are complete."""
    check_text("message", call.message, MAX_MESSAGE)
    row = logged_model_row(connection, call.model_id)
    connection.execute(
        update(_model)
        .where(_model.c.pk == row.pk)
        .values(status=call.status, status_message=call.message, updated_ms=store.clock())
    )
    return get_logged_model(store, connection, call)


def get_logged_model(
    _store: Store,
    connection: Connection,
    call: ops.GetLoggedModel | ops.FinishLoggedModel,
) -> LoggedModel:
    """Get a logged model."""
    deleted_too = isinstance(call, ops.GetLoggedModel) and call.include_deleted
    row = logged_model_row(connection, call.model_id, deleted_too=deleted_too)
    return logged_model_records(connection, [row])[0]


def delete_logged_model(
    store: Store, connection: Connection, call: ops.DeleteLoggedModel
) -> LoggedModel:
    """Soft-delete a logged model; one that is deleted already stays so."""
    row = connection.execute(MODEL, {"model_id": call.model_id}).first()
    if row is None:
        raise no_logged_model(call.model_id)
    if row.lifecycle == Lifecycle.ACTIVE:
        connection.execute(
            update(_model)
            .where(_model.c.pk == row.pk)
            .values(lifecycle=Lifecycle.DELETED, updated_ms=store.clock())
        )
        row = connection.execute(MODEL, {"model_id": call.model_id}).one()
    return logged_model_records(connection, [row])[0]


def set_logged_model_tags(
    _store: Store, connection: Connection, call: ops.SetLoggedModelTags
) -> LoggedModel:
    """Set tags of a logged model."""
    row = logged_model_row(connection, call.model_id)
    _set_tags(connection, row, call.tags)
    return logged_model_records(connection, [row])[0]


def remove_logged_model_tag(
    _store: Store, connection: Connection, call: ops.RemoveLoggedModelTag
) -> LoggedModel:
    """Take a tag off.

    Raises:
        NotFoundError: There is no such model, or it has no such tag.
    """
    row = logged_model_row(connection, call.model_id)
    gone = connection.execute(delete(_tag).where(_tag.c.model_pk == row.pk, _tag.c.key == call.key))
    if not gone.rowcount:
        msg = (
            f"No tag with key '{call.key[:250]}' found for model with ID '{call.model_id}'. See "
            "which it has, and take off one of them."
        )
        raise NotFoundError(msg)
    return logged_model_records(connection, [row])[0]


def log_logged_model_params(
    _store: Store, connection: Connection, call: ops.LogLoggedModelParams
) -> LoggedModel:
    """Add params.

    Raises:
        InvalidInputError: A param has another value already; none was added.
    """
    row = logged_model_row(connection, call.model_id)
    _add_params(connection, row, call.params)
    return logged_model_records(connection, [row])[0]


def list_logged_model_files(
    _store: Store, connection: Connection, call: ops.ListLoggedModelFiles
) -> list[Artifact]:
    """List what lies in a folder of a logged model."""
    folder = check_artifact_path(call.path) if call.path else ""
    row = logged_model_row(connection, call.model_id, deleted_too=call.include_deleted)
    files = logged_model_files(connection, row.pk, folder)
    return files if call.recursive else children(files, folder)


def list_run_models(
    _store: Store, connection: Connection, call: ops.ListRunModels
) -> list[RunModel]:
    """List the logged models that a run read or made, in order of steps."""
    table = schema.run_model
    rows = connection.execute(
        select(table)
        .where(table.c.run_pk == run_row(connection, call.run_id).pk)
        .order_by(table.c.role, table.c.step, table.c.model_id)
    )
    return [
        RunModel(model_id=row.model_id, role=ModelRole(row.role), step=row.step) for row in rows
    ]


# --- rows and records ---------------------------------------------------------------------------


def no_logged_model(model_id: str) -> NotFoundError:
    """Make the error for a logged model that is not there."""
    msg = (
        f"Logged model with ID '{model_id[:256]}' not found. It was deleted, or never logged here: "
        "see `loopline models logged list`."
    )
    return NotFoundError(msg)


def logged_model_row(
    connection: Connection, model_id: str, *, deleted_too: bool = False
) -> Row[Any]:
    """Get the row of a logged model that is not deleted, or (``deleted_too``) may be.

    Raises:
        NotFoundError: There is none.
    """
    row = connection.execute(MODEL, {"model_id": model_id}).first()
    if row is None or (row.lifecycle != Lifecycle.ACTIVE and not deleted_too):
        raise no_logged_model(model_id)
    return row


def logged_model_files(connection: Connection, pk: int, folder: str = "") -> list[Artifact]:
    """List every file below a folder (empty: all), by path."""
    query = select(_file).where(_file.c.model_pk == pk).order_by(_file.c.path)
    if folder:
        # A range rather than LIKE, whose wildcards could stand in the path: "/" + 1 is "0".
        query = query.where(_file.c.path >= f"{folder}/", _file.c.path < f"{folder}0")
    return [
        Artifact(path=row.path, sha256=row.sha256, size_bytes=row.size_bytes)
        for row in connection.execute(query)
    ]


def logged_model_records(connection: Connection, rows: Sequence[Row[Any]]) -> list[LoggedModel]:
    """Make records of logged models, in their order: four statements for every 500."""
    found: list[LoggedModel] = []
    for start in range(0, len(rows), TOGETHER):
        some = rows[start : start + TOGETHER]
        pks = [row.pk for row in some]
        params = _texts(connection, _of(_param, pks))
        tags = _texts(connection, _of(_tag, pks))
        points = _points(connection, {row.pk: row.model_id for row in some})
        versions = _versions(connection, [row.model_id for row in some])
        found += [
            LoggedModel(
                model_id=row.model_id,
                experiment_id=str(row.experiment_id),
                name=row.name,
                model_type=row.model_type,
                source_run_id=row.source_run_id,
                status=LoggedModelStatus(row.status),
                status_message=row.status_message,
                lifecycle=Lifecycle(row.lifecycle),
                created_ms=row.created_ms,
                updated_ms=row.updated_ms,
                params=params.get(row.pk, {}),
                tags=tags.get(row.pk, {}),
                metrics=points.get(row.pk, []),
                registrations=versions.get(row.model_id, []),
            )
            for row in some
        ]
    return found


def _of(table: Any, pks: list[int]) -> Select[Any]:  # noqa: ANN401 - a table
    return select(table).where(table.c.model_pk.in_(pks)).order_by(*table.primary_key)


def _texts(connection: Connection, query: Select[Any]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.model_pk, {})[row.key] = row.value
    return found


def _points(connection: Connection, ids: dict[int, str]) -> dict[int, list[LoggedModelPoint]]:
    query = (
        select(_metric)
        .where(_metric.c.model_pk.in_(ids))
        .order_by(
            _metric.c.model_pk,
            _metric.c.key,
            _metric.c.step,
            _metric.c.timestamp_ms,
            _metric.c.dataset_name,
            _metric.c.dataset_digest,
            _metric.c.run_id,
        )
    )
    found: dict[int, list[LoggedModelPoint]] = {}
    for row in connection.execute(query):
        found.setdefault(row.model_pk, []).append(
            LoggedModelPoint(
                model_id=ids[row.model_pk],
                key=row.key,
                value=float("nan") if row.value is None else row.value,
                step=row.step,
                timestamp_ms=row.timestamp_ms,
                run_id=row.run_id,
                dataset_name=row.dataset_name,
                dataset_digest=row.dataset_digest,
            )
        )
    return found


def _versions(connection: Connection, model_ids: list[str]) -> dict[str, list[tuple[str, int]]]:
    table = schema.model_version
    rows = connection.execute(
        select(table.c.logged_model_id, table.c.name, table.c.version)
        .where(table.c.logged_model_id.in_(model_ids))
        .where(*only_visible(connection, Thing.MODEL, table.c.name))
        .order_by(table.c.name, table.c.version)
    )
    found: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        found.setdefault(row.logged_model_id, []).append((row.name, row.version))
    return found


def _add_params(connection: Connection, model: Row[Any], params: dict[str, str]) -> None:
    for key, value in params.items():
        check_key("param", key)
        check_param_value(key, value)
    known = _texts(connection, _of(_param, [model.pk])).get(model.pk, {})
    for key, value in params.items():
        if known.get(key, value) != value:
            msg = (
                f"Changing param values is not allowed. Param with key='{key}' was already logged "
                f"with value='{known[key]}' for model with ID '{model.model_id}'. The new value "
                f"was '{value}'; log it under another key."
            )
            raise InvalidInputError(msg)
    _insert(connection, insert(_param), model.pk, _except(params, known))


def _set_tags(connection: Connection, model: Row[Any], tags: dict[str, str]) -> None:
    for key, value in tags.items():
        check_key("tag", key)
        check_tag_value(key, value)
    _insert(connection, InsertOrReplace(_tag), model.pk, tags.items())


def _except(params: dict[str, str], known: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((key, value) for key, value in params.items() if key not in known)


def _insert(connection: Connection, statement: Any, pk: int, texts: Any) -> None:  # noqa: ANN401
    if rows := [{"model_pk": pk, "key": key, "value": value} for key, value in texts]:
        connection.execute(statement, rows)
