"""Facts of logged models: files and points, checked one by one and written together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.rules.names import check_artifact_path, check_id, check_key, check_text
from loopline.store import schema
from loopline.store.artifact_paths import ArtifactPaths
from loopline.store.logged_models import logged_model_row
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import facts as f
    from loopline.records.logged_models import LoggedModelPoint

__all__ = ["LoggedModelFacts", "check_point", "point_row"]

#: An entry of PostgreSQL's indexes has room for 2,704 bytes, all names of a point together.
MAX_DATASET_NAME_BYTES, MAX_DIGEST_BYTES = 1000, 100

PUT_POINT = InsertOrReplace(schema.logged_model_metric)
PUT_FILE = InsertOrReplace(schema.logged_model_file)


class LoggedModelFacts:
    """The facts of logged models of one batch; ``write`` stores what was taken."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pks: dict[str, int] = {}
        self._points: dict[tuple[object, ...], dict[str, Any]] = {}
        self._files: dict[tuple[int, str], dict[str, Any]] = {}
        table = schema.logged_model_file
        self._paths = ArtifactPaths(connection, table, table.c.model_pk)

    def add_points(self, fact: f.LoggedModelMeasured) -> None:
        """Take points measured on logged models; the same again is the same point."""
        rows = []
        for point in fact.points:
            check_point(point)
            rows.append(point_row(self._pk(point.model_id), point))
        for row in rows:
            self._points[tuple(row[name] for name in _POINT_KEY)] = row

    def add_file(self, fact: f.LoggedModelFile) -> None:
        """Take a file."""
        path = check_artifact_path(fact.path)
        pk = self._pk(fact.model_id)
        self._paths.take(pk, pk, path)
        self._files[pk, path] = {
            "model_pk": pk,
            "path": path,
            "sha256": fact.sha256,
            "size_bytes": fact.size_bytes,
            "at_ms": fact.at_ms,
        }

    def write(self) -> None:
        """Store what was taken since the last time."""
        if self._points:
            self._connection.execute(PUT_POINT, list(self._points.values()))
        if self._files:
            self._connection.execute(PUT_FILE, list(self._files.values()))
        self._points, self._files = {}, {}

    def _pk(self, model_id: str) -> int:
        if model_id not in self._pks:
            self._pks[model_id] = logged_model_row(self._connection, model_id).pk
        return self._pks[model_id]


_POINT_KEY = tuple(column.name for column in schema.logged_model_metric.primary_key)


def check_point(point: LoggedModelPoint) -> None:
    """Check that a point can be kept.

    Raises:
        InvalidInputError: It cannot.
    """
    check_key("metric", point.key)
    check_id("run id", point.run_id)
    _check_bytes("name of a dataset", point.dataset_name, MAX_DATASET_NAME_BYTES)
    _check_bytes("digest of a dataset", point.dataset_digest, MAX_DIGEST_BYTES)


def point_row(model_pk: int, point: LoggedModelPoint) -> dict[str, Any]:
    """Make the row of a point."""
    return {
        "model_pk": model_pk,
        "key": point.key,
        "dataset_name": point.dataset_name,
        "dataset_digest": point.dataset_digest,
        "run_id": point.run_id,
        "step": point.step,
        "timestamp_ms": point.timestamp_ms,
        "value": None if math.isnan(point.value) else point.value,
    }


def _check_bytes(what: str, text: str, most: int) -> None:
    check_text(what, text, most)
    if len(text.encode()) > most:
        msg = f"The {what} {text[:40]!r}… has more than {most:,} bytes. Shorten it."
        raise InvalidInputError(msg)
