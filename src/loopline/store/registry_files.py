"""Files of model versions: found where they were logged, also after the version was registered.

A version's files are for good. One that was registered before any of its files had come, as a
client of MLflow may do, has none; it takes those that its run or its logged model has when
somebody says so, or when it is moved to a stage or gets an alias: from then on they are for good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import insert, select, update

from loopline.errors import ConflictError, NotFoundError
from loopline.records import operations as ops
from loopline.rules.manifest import manifest_digest
from loopline.rules.names import check_artifact_path, check_sha256
from loopline.store import schema
from loopline.store.documents import RUNS, records_of
from loopline.store.find import no_run
from loopline.store.logged_models import (
    logged_model_files,
    logged_model_records,
    logged_model_row,
)
from loopline.store.registry_rows import Document, add_event, version_record, version_row
from loopline.store.runs import artifacts_below

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Row

    from loopline.records.registry import ModelVersion
    from loopline.records.tracking import Artifact
    from loopline.store.database import Store

__all__ = ["Made", "adopt_files", "checked_files", "insert_files", "made_by", "take_files"]

_version = schema.model_version
_file = schema.model_version_file


def take_files(store: Store, connection: Connection, call: ops.TakeFiles) -> ModelVersion:
    """Give a version without files those that have come since, for good.

    Raises:
        NotFoundError: There is no such version, or no file has come.
        ConflictError: It has files.
    """
    row = version_row(connection, call.name, call.version)
    if _has_files(connection, row):
        msg = (
            f"Version {call.version} of {call.name!r} has its files, and they are for good. "
            "Register another version for others."
        )
        raise ConflictError(msg)
    if not adopt_files(connection, row, store.clock(), call.actor):
        where = f"run {row.run_id}" if row.run_id else "its logged model"
        msg = (
            f"No files have come to {where} that version {call.version} of {call.name!r} could "
            "take. Log the model there first."
        )
        raise NotFoundError(msg)
    return version_record(connection, call.name, call.version)


def adopt_files(connection: Connection, row: Row[Any], now_ms: int, actor: str) -> bool:
    """Give a version that has no files those of its run or logged model, if there are any now."""
    if not (row.run_id and row.artifact_path) and not row.logged_model_id:
        return False
    if _has_files(connection, row):
        return False
    found = made_by(
        connection,
        ops.RegisterVersion(
            name=row.name,
            run_id=row.run_id,
            logged_model_id=row.logged_model_id,
            allow_empty=True,
        ),
        row.artifact_path,
    )
    if not found.files:
        return False
    insert_files(connection, row.name, row.version, found.files)
    connection.execute(
        update(_version)
        .where(_version.c.name == row.name, _version.c.version == row.version)
        .values(
            digest=manifest_digest((file.path, file.sha256) for file in found.files),
            size_bytes=sum(file.size_bytes for file in found.files),
            document=msgspec.json.encode(found.document).decode(),
            updated_ms=now_ms,
        )
    )
    count = len(found.files)
    add_event(
        connection,
        row.name,
        row.version,
        now_ms,
        "files",
        after=f"{count} file{'' if count == 1 else 's'}",
        actor=actor,
        reason="they came after it was registered",
    )
    return True


def _has_files(connection: Connection, row: Row[Any]) -> bool:
    query = select(_file.c.path).where(_file.c.name == row.name, _file.c.version == row.version)
    return connection.execute(query.limit(1)).first() is not None


def insert_files(connection: Connection, name: str, number: int, files: Iterable[Artifact]) -> None:
    """Write down which files a version has."""
    rows = [
        {
            "name": name,
            "version": number,
            "path": file.path,
            "sha256": file.sha256,
            "size_bytes": file.size_bytes,
        }
        for file in files
    ]
    if rows:
        connection.execute(insert(_file), rows)


def checked_files(files: list[Artifact]) -> list[Artifact]:
    """Check files that are named by their hashes."""
    for file in files:
        check_sha256(file.sha256)
    return [msgspec.structs.replace(f, path=check_artifact_path(f.path)) for f in files]


class Made(NamedTuple):
    """What a version is made of: its files by path inside the model, and what was measured."""

    run_id: str
    files: list[Artifact]
    document: Document


def made_by(connection: Connection, call: ops.RegisterVersion, folder: str) -> Made:
    """Find the files of a version, in the folder of its run or with its logged model."""
    run_id = call.run_id
    files: list[Artifact] = []
    measured: dict[str, float | None] = {}
    params: dict[str, str] = {}
    model = None
    if call.logged_model_id and not folder:
        model = _logged_model(connection, call)
    if model is not None:
        run_id = run_id or model.source_run_id
        files = logged_model_files(connection, model.pk)
        record = logged_model_records(connection, [model])[0]
        params = record.params
        measured = {point.key: point.value for point in record.metrics}
    row = connection.execute(RUNS.where(schema.run.c.run_id == run_id)).first() if run_id else None
    if row is None:
        if call.allow_empty:
            return Made(run_id, files, Document(metrics=measured, params=params))
        raise no_run(run_id)
    run = records_of(connection, [row])[0]
    # What was measured on the model itself says more of it than what its run measured.
    document = Document(metrics={**run.data.metrics, **measured}, params={**run.params, **params})
    if folder:
        start = len(folder) + 1
        files = [
            msgspec.structs.replace(file, path=file.path[start:])
            for file in artifacts_below(connection, row.pk, folder)
        ]
    if not files and not call.allow_empty:
        msg = (
            f"Run {run_id} has no files below {folder!r}, so there is no model to register. "
            f"See what it has with `loopline artifacts list {run_id}`."
        )
        raise NotFoundError(msg)
    return Made(run_id, files, document)


def _logged_model(connection: Connection, call: ops.RegisterVersion) -> Row[Any] | None:
    try:
        return logged_model_row(connection, call.logged_model_id)
    except NotFoundError:
        if call.allow_empty:  # It may be of another server.
            return None
        raise
