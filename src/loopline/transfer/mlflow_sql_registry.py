"""The registry in an MLflow database, and the tables that an import leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from loopline.transfer.mlflow_database import optional
from loopline.transfer.mlflow_facts import (
    DELETED_STAGE,
    champions_of,
    origin_of,
    stage_of,
    status_of_version,
)
from loopline.transfer.places import place_of
from loopline.transfer.source import Note, SourceModel, SourceVersion

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from loopline.transfer.mlflow_database import MlflowDatabase

__all__ = ["in_workspace", "read_models", "tables_left"]

#: The workspace that everything is in unless somebody made others (MLflow 3.10).
DEFAULT_WORKSPACE = "default"
#: Tables that are read, or that hold nothing but the database's own housekeeping.
KNOWN_TABLES = {
    "alembic_version",
    "datasets",
    "experiment_tags",
    "experiments",
    "input_tags",
    "inputs",
    "job_locks",
    "latest_metrics",
    "logged_model_metrics",
    "logged_model_params",
    "logged_model_tags",
    "logged_models",
    "metrics",
    "model_version_tags",
    "model_versions",
    "params",
    "registered_model_aliases",
    "registered_model_tags",
    "registered_models",
    "runs",
    "scheduler_leases",
    "tags",
    "workspaces",
}
#: Columns of versions that old MLflow does not have.
LATER = ("storage_location", "model_id", "run_link", "status_message")
#: What people call the rows of tables that are left alone.
WORDS = {
    "trace_info": ("traces", "Loopline keeps no traces"),
}
#: Tables that say more of rows which are counted already.
PARTS = ("trace_", "span", "sql_", "assessments")


def in_workspace(name: str, workspace: str | None, between: str) -> str:
    """Name a thing of another workspace than the default one such that it stays unique."""
    return name if workspace in {None, DEFAULT_WORKSPACE} else f"{workspace}{between}{name}"


def read_models(
    database: MlflowDatabase,
    run_roots: Mapping[str, str],
    bases: list[Path],
    artifacts: Path | None,
) -> list[SourceModel]:
    """Read every registered model.

    Args:
        database: To read from.
        run_roots: Where the files of each run lie.
        bases: Folders that relative paths may start from.
        artifacts: Folder that now holds what lay at the artifact root.
    """
    if "registered_models" not in database.tables:
        return []  # MLflow before 1.4.
    model_tags: dict[tuple[str, str], dict[str, str]] = {}
    for row in database.all_of("registered_model_tags"):
        model_tags.setdefault(_key(row), {})[row.key] = row.value or ""
    aliases: dict[tuple[str, str], dict[str, int]] = {}
    for row in database.all_of("registered_model_aliases"):
        aliases.setdefault(_key(row), {})[row.alias] = int(row.version)
    tags: dict[tuple[str, str, int], dict[str, str]] = {}
    for row in database.all_of("model_version_tags"):
        tags.setdefault((*_key(row), int(row.version)), {})[row.key] = row.value or ""
    versions: dict[tuple[str, str], list[SourceVersion]] = {}
    latest: dict[tuple[str, str], int] = {}
    of = database.table("model_versions")
    query = select(of, *(optional(of, name) for name in LATER if name not in of.c))
    for row in database.rows(query.order_by(of.c.name, of.c.version)):
        key, number = _key(row), int(row.version)
        latest[key] = max(latest.get(key, 0), number)
        if row.current_stage != DELETED_STAGE:
            version = _version(row, tags.get((*key, number), {}), run_roots, bases, artifacts)
            versions.setdefault(key, []).append(version)
    models = []
    for row in database.all_of("registered_models"):
        key = _key(row)
        own = versions.get(key, [])
        created_ms = int(row.creation_time or 0)
        models.append(
            SourceModel(
                name=in_workspace(row.name, key[0], "."),
                created_ms=created_ms,
                updated_ms=int(row.last_updated_time or created_ms),
                description=row.description or "",
                latest_version=latest.get(key, 0),
                aliases=aliases.get(key, {}),
                champions=champions_of(own),
                tags=model_tags.get(key, {}),
                versions=own,
            )
        )
    return models


def _key(row: Any) -> tuple[str, str]:  # noqa: ANN401 - a row of one of four tables
    return str(getattr(row, "workspace", None) or DEFAULT_WORKSPACE), str(row.name)


def _version(
    row: Any,  # noqa: ANN401 - a row of model_versions
    tags: dict[str, str],
    run_roots: Mapping[str, str],
    bases: list[Path],
    artifacts: Path | None,
) -> SourceVersion:
    run_id = row.run_id or ""
    origin = origin_of(
        run_id=run_id,
        source=row.source or "",
        storage=row.storage_location or "",
        model_id=row.model_id or "",
        run_root=run_roots.get(run_id, ""),
    )
    place = None
    if origin.location:
        place = place_of(origin.location, bases=bases, moved_to=artifacts)
    created_ms = int(row.creation_time or 0)
    return SourceVersion(
        version=int(row.version),
        created_ms=created_ms,
        updated_ms=int(row.last_updated_time or created_ms),
        stage=stage_of(row.current_stage),
        description=row.description or "",
        user=row.user_id or "",
        run_id=origin.run_id,
        run_path=origin.run_path,
        model_id=origin.model_id,
        place=place,
        source=row.source or "",
        run_link=row.run_link or "",
        status=status_of_version(row.status),
        status_message=row.status_message or "",
        tags=tags,
    )


def tables_left(database: MlflowDatabase) -> list[Note]:
    """Count the rows of every table that an import does not read."""
    notes = []
    for name in sorted(database.tables - KNOWN_TABLES):
        if name not in WORDS and name.startswith(PARTS):
            continue
        what, why = WORDS.get(name, (f"rows of table {name}", "Loopline has no place for them"))
        count = database.count(name)
        if count:
            notes.append(Note(what, count, why))
    return notes
