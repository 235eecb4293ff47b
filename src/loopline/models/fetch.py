"""Models fetched by address: one question to the store, files once per content, checked always."""

from __future__ import annotations

import re
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.backend.recorder import get_recorder
from loopline.blobs.digest import hash_file
from loopline.errors import IntegrityError, NotFoundError, UnsupportedError
from loopline.models.address import (
    FolderAddress,
    LoggedModelAddress,
    RunAddress,
    parse_model_address,
)
from loopline.models.kept import KeptFiles
from loopline.models.mlmodel import FILE_NAME, inside, read_mlmodel
from loopline.models.room import hold, make_room
from loopline.records.logged_models import ModelRole
from loopline.records.operations import (
    ListArtifacts,
    ListLoggedModelFiles,
    ListRunModels,
    ResolveModel,
    SearchLoggedModels,
)
from loopline.records.tracking import Artifact
from loopline.rules.manifest import manifest_digest
from loopline.rules.names import check_artifact_path

if TYPE_CHECKING:
    from loopline.backend.recorder import Recorder
    from loopline.models.address import RegistryAddress
    from loopline.models.mlmodel import MLModel
    from loopline.records.logged_models import LoggedModel
    from loopline.records.registry import ModelVersion

__all__ = ["fetch_flavor", "fetch_folder", "find_logged_model"]

_RUN_ID = re.compile(r"[\w-]+\Z")


def fetch_flavor(model_uri: str | Path, flavor: str) -> tuple[Path, MLModel]:
    """Fetch a model that must have a flavor.

    Raises:
        UnsupportedError: It has other flavors only; the message names them.
    """
    folder = fetch_folder(model_uri)
    model = read_mlmodel(folder)
    if flavor not in model.flavors:
        there = ", ".join(sorted(model.flavors))
        msg = (
            f"{model_uri} is no {flavor} model; its flavors are {there}. Load it with "
            "loopline.models.load_model, which finds the right one."
        )
        raise UnsupportedError(msg)
    return folder, model


def fetch_folder(model_uri: str | Path) -> Path:
    """Bring a model's files to this machine, check every one, and return their folder.

    Files of a run or of the registry are kept in the home under ``cache/models``, once per
    content, and their hashes are compared each time, before anything reads them. A path of the
    user's own is returned as it is.

    Raises:
        NotFoundError: There is no such model.
        IntegrityError: A file is not the one that was logged; the message names it.
    """
    address = parse_model_address(str(model_uri))
    if isinstance(address, FolderAddress):
        path = Path(address.path).expanduser()
        return path.parent if path.name == FILE_NAME else path
    recorder = get_recorder()
    if isinstance(address, RunAddress | LoggedModelAddress):
        files = (
            _run_files(recorder, address)
            if isinstance(address, RunAddress)
            else _logged_model_files(recorder, address.model_id)
        )
        digest = manifest_digest((file.path, file.sha256) for file in files)
    else:
        resolved = recorder.call(_resolve(address))
        files = resolved.files
        if not files:
            raise _no_files(resolved.version)
        digest = manifest_digest((file.path, file.sha256) for file in files)
        if digest != resolved.version.digest:
            msg = (
                f"The files listed for {model_uri} are not those that were registered. Do not use "
                "this version; register the model of its run again."
            )
            raise IntegrityError(msg)
    return _cached(recorder, digest, files)


def _no_files(version: ModelVersion) -> NotFoundError:
    """Make the error for a version that was registered without its files."""
    where = f" (its source: {version.source})" if version.source else ""
    return NotFoundError(
        f"Version {version.version} of {version.name!r} was registered without files{where}. If "
        f"they have come since, `loopline models take-files {version.name} {version.version}` "
        "makes them the version's; or log the model to a run and register that."
    )


def _resolve(address: RegistryAddress) -> ResolveModel:
    return ResolveModel(
        name=address.name,
        version=address.version,
        stage=address.stage,
        alias=address.alias,
        latest=address.latest,
    )


def _run_files(recorder: Recorder, address: RunAddress) -> list[Artifact]:
    """List the files of a model of a run, with paths inside the model's folder.

    A folder among the run's files comes first, then the newest logged model of that name.
    """
    folder = check_artifact_path(address.path)
    found = recorder.call(ListArtifacts(run_id=address.run_id, path=folder, recursive=True))
    files = [
        Artifact(
            path=file.path.removeprefix(f"{folder}/"),
            sha256=file.sha256,
            size_bytes=file.size_bytes,
        )
        for file in found
        if not file.is_dir
    ]
    if files:
        return files
    model = find_logged_model(recorder, address)
    if model is None:
        msg = (
            f"Run {address.run_id} has no model {folder!r}. See what it has with "
            f"`loopline artifacts list {address.run_id}`."
        )
        raise NotFoundError(msg)
    return _logged_model_files(recorder, model.model_id)


def find_logged_model(recorder: Recorder, address: RunAddress) -> LoggedModel | None:
    """Find the newest logged model of a name that a run made; None when there is none.

    Of a copied run that is one that it shares with the run it was copied from.
    """
    if not _RUN_ID.match(address.run_id) or "'" in address.path:
        return None  # No filter could say it, and no logged model has such a name.
    filter_ = f"source_run_id = '{address.run_id}' AND name = '{address.path}'"
    page = recorder.call(SearchLoggedModels(filter=filter_, max_results=1))
    if page.models:
        return page.models[0]
    links = recorder.call(ListRunModels(run_id=address.run_id))
    made = [link.model_id for link in links if link.role is ModelRole.OUTPUT]
    if not made:
        return None
    ids = ", ".join(f"'{model_id}'" for model_id in made)
    filter_ = f"model_id IN ({ids}) AND name = '{address.path}'"
    page = recorder.call(SearchLoggedModels(filter=filter_, max_results=1))
    return page.models[0] if page.models else None


def _logged_model_files(recorder: Recorder, model_id: str) -> list[Artifact]:
    """List the files of a logged model."""
    files = recorder.call(ListLoggedModelFiles(model_id=model_id, recursive=True))
    if not files:
        msg = (
            f"Logged model {model_id} has no files: its upload has not ended, or failed. Log the "
            "model again."
        )
        raise NotFoundError(msg)
    return files


def _cached(recorder: Recorder, digest: str, files: list[Artifact]) -> Path:
    """Find or make the folder of a content, and check every file in it."""
    folder = recorder.home / "cache" / "models" / digest
    hold(folder)
    if not _is_complete(folder, files):
        _fill(recorder, folder, files)
        make_room(recorder.home)
    for file in files:
        path = inside(folder, check_artifact_path(file.path))
        if hash_file(path) != file.sha256:
            msg = (
                f"{path} is not the file that was logged: its SHA-256 differs. Remove {folder} "
                "and load the model again."
            )
            raise IntegrityError(msg)
    return folder


def _is_complete(folder: Path, files: list[Artifact]) -> bool:
    """Whether every file is there; what is in them is checked apart from that."""
    return all((folder / check_artifact_path(file.path)).is_file() for file in files)


def _fill(recorder: Recorder, folder: Path, files: list[Artifact]) -> None:
    """Bring files into a folder that appears in whole; those kept here already are not fetched."""
    partial = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    kept = KeptFiles(recorder.home)
    try:
        targets: dict[str, Path] = {}
        for file in files:
            path = partial / check_artifact_path(file.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            if not kept.give(file.sha256, path):
                targets.setdefault(file.sha256, path)
        _fetch(recorder, targets, files, keep=folder.parent)
        for digest, path in targets.items():
            kept.keep(digest, path)
        for file in files:
            path = partial / check_artifact_path(file.path)
            if not path.exists():  # The same bytes under another name.
                shutil.copyfile(targets[file.sha256], path)
        if _is_complete(folder, files):  # Another process was faster, and may be reading it.
            return
        shutil.rmtree(folder, ignore_errors=True)  # Somebody emptied half of it.
        try:
            partial.replace(folder)
        except OSError:
            if not _is_complete(folder, files):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fetch(
    recorder: Recorder, targets: dict[str, Path], files: list[Artifact], *, keep: Path
) -> None:
    if not targets:
        return
    try:
        recorder.backend.fetch_blobs(targets, keep=keep)
    except IntegrityError as error:
        damaged = next(digest for digest, path in targets.items() if not path.exists())
        name = next(file.path for file in files if file.sha256 == damaged)
        msg = f"File {name!r} of the model is damaged in the store. {error}"
        raise IntegrityError(msg) from error
