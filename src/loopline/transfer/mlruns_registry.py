"""The registry in an ``mlruns`` folder: a folder a model, a folder a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.transfer.mlflow_facts import (
    DELETED_STAGE,
    champions_of,
    origin_of,
    stage_of,
    status_of_version,
)
from loopline.transfer.mlruns_files import folders_in, read_meta, texts_below
from loopline.transfer.places import place_of
from loopline.transfer.source import Note, SourceModel, SourceVersion

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["read_models"]


def read_models(
    root: Path, run_roots: Mapping[str, str], artifacts: Path | None, notes: list[Note]
) -> list[SourceModel]:
    """Read every registered model.

    Args:
        root: With a folder per model.
        run_roots: Where the files of each run lie, as the store says.
        artifacts: Folder that now holds what lay at the artifact root.
        notes: Gets what cannot be read or taken.
    """
    models = []
    for folder in folders_in(root):
        try:
            meta = read_meta(folder)
        except InvalidInputError as error:
            notes.append(Note("registered models", 1, str(error), is_missing=True))
            continue
        models.append(_model(folder, meta, run_roots, artifacts, notes))
    return models


def _model(
    folder: Path,
    meta: dict[str, Any],
    run_roots: Mapping[str, str],
    artifacts: Path | None,
    notes: list[Note],
) -> SourceModel:
    versions: list[SourceVersion] = []
    latest = 0
    for path in folders_in(folder):
        if not path.name.startswith("version-"):
            continue
        try:
            about = read_meta(path)
        except InvalidInputError as error:
            notes.append(Note("model versions", 1, str(error), is_missing=True))
            continue
        latest = max(latest, int(about["version"]))
        if about.get("current_stage") != DELETED_STAGE:
            versions.append(_version(path, about, run_roots, artifacts))
    versions.sort(key=lambda version: version.version)
    aliases = dict(texts_below(folder / "aliases")) or meta.get("aliases") or {}
    created_ms = int(meta.get("creation_timestamp") or 0)
    return SourceModel(
        name=str(meta.get("name") or folder.name),
        created_ms=created_ms,
        updated_ms=int(meta.get("last_updated_timestamp") or created_ms),
        description=str(meta.get("description") or ""),
        latest_version=latest,
        aliases={str(alias): int(str(version).strip()) for alias, version in aliases.items()},
        champions=champions_of(versions),
        tags=dict(texts_below(folder / "tags")),
        versions=versions,
    )


def _version(
    folder: Path, meta: dict[str, Any], run_roots: Mapping[str, str], artifacts: Path | None
) -> SourceVersion:
    run_id = str(meta.get("run_id") or "")
    origin = origin_of(
        run_id=run_id,
        source=str(meta.get("source") or ""),
        storage=str(meta.get("storage_location") or ""),
        model_id=str(meta.get("model_id") or ""),
        run_root=run_roots.get(run_id, ""),
    )
    created_ms = int(meta.get("creation_timestamp") or 0)
    return SourceVersion(
        version=int(meta["version"]),
        created_ms=created_ms,
        updated_ms=int(meta.get("last_updated_timestamp") or created_ms),
        stage=stage_of(meta.get("current_stage")),
        description=str(meta.get("description") or ""),
        user=str(meta.get("user_id") or ""),
        run_id=origin.run_id,
        run_path=origin.run_path,
        model_id=origin.model_id,
        place=place_of(origin.location, moved_to=artifacts) if origin.location else None,
        source=str(meta.get("source") or ""),
        run_link=str(meta.get("run_link") or ""),
        status=status_of_version(meta.get("status")),
        status_message=str(meta.get("status_message") or ""),
        tags=dict(texts_below(folder / "tags")),
    )
