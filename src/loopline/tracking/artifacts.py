"""Reading files of runs and model versions back: by address, checked against their hashes."""

from __future__ import annotations

import io
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.operations import (
    ListArtifacts,
    ListLoggedModelFiles,
    ResolveModel,
)
from loopline.records.tracking import Artifact
from loopline.rules.names import check_artifact_path
from loopline.tracking import media
from loopline.tracking.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.recorder import Recorder

__all__ = [
    "ArtifactAddress",
    "download",
    "list_folder",
    "parse_artifact_address",
    "read_artifact",
    "read_dict",
    "read_image",
    "read_text",
    "run_uri",
]

_LOGGED_MODEL = re.compile(r"m-[0-9a-f]{32}\Z")
FORMS = "runs:/RUN_ID/PATH, models:/NAME/VERSION/PATH or a path on this machine"


class ArtifactAddress(NamedTuple):
    """Where files lie: of a run, of a model version (``model`` is its address), or here."""

    run_id: str = ""
    model: str = ""
    path: str = ""


def run_uri(run_id: str, path: str | None = None) -> str:
    """Write the address of a run's file or folder: ``runs:/<run id>/<path>``."""
    return f"runs:/{run_id}/{check_artifact_path(path)}" if path else f"runs:/{run_id}"


def parse_artifact_address(uri: str) -> ArtifactAddress:
    """Read the address of files.

    Raises:
        InvalidInputError: It is none; the message shows the forms there are.
    """
    scheme, found, rest = str(uri).partition(":")
    parts = [part for part in rest.split("/") if part]
    if found and scheme == "runs" and parts:
        return ArtifactAddress(run_id=parts[0], path="/".join(parts[1:]))
    if found and scheme == "models" and parts:
        length = 1 if "@" in parts[0] or _LOGGED_MODEL.match(parts[0]) else 2
        return ArtifactAddress(
            model="models:/" + "/".join(parts[:length]), path="/".join(parts[length:])
        )
    if found and scheme == "file":
        return ArtifactAddress(path=rest.removeprefix("//"))
    if "://" in str(uri) or (found and scheme in {"runs", "models", "mlflow-artifacts"}):
        msg = f"{uri!r} is no address of files. Write {FORMS}."
        raise InvalidInputError(msg)
    return ArtifactAddress(path=str(uri))


def read_artifact(recorder: Recorder, run_id: str, path: str) -> bytes:
    """Read one file of a run.

    Raises:
        NotFoundError: The run has no such file, or there is no such run.
    """
    clean = check_artifact_path(path)
    folder = clean.rpartition("/")[0]
    for file in recorder.call(ListArtifacts(run_id=run_id, path=folder)):
        if file.path == clean and not file.is_dir:
            return b"".join(recorder.backend.read_blob(file.sha256))
    msg = (
        f"Run {run_id} has no file {clean!r}. See what it has with "
        f"`loopline artifacts list {run_id}`."
    )
    raise NotFoundError(msg)


def read_text(recorder: Recorder, uri: str) -> str:
    """Read a file as text."""
    data = _read(recorder, uri)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        msg = f"{uri!r} is no text in UTF-8 ({error.reason}). Fetch it with download_artifacts."
        raise InvalidInputError(msg) from error


def read_dict(recorder: Recorder, uri: str) -> Any:  # noqa: ANN401 - what the file holds
    """Read a JSON or YAML file."""
    text = read_text(recorder, uri)
    if str(uri).endswith((".yaml", ".yml")):
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            msg = f"{uri!r} is no YAML ({error})."
            raise InvalidInputError(msg) from error
    try:
        return json.loads(text)
    except ValueError as error:
        msg = f"{uri!r} is no JSON ({error}). Read it with load_text."
        raise InvalidInputError(msg) from error


def read_image(recorder: Recorder, uri: str) -> Any:  # noqa: ANN401 - a PIL image
    """Read a picture as a PIL image."""
    data = _read(recorder, uri)
    pillow = media.pillow("Reading a picture")
    try:
        image = pillow.open(io.BytesIO(data))
        image.load()
    except OSError as error:
        msg = f"{uri!r} is no picture ({error}). Fetch the file with download_artifacts."
        raise InvalidInputError(msg) from error
    return image


def list_folder(recorder: Recorder, uri: str) -> list[Artifact]:
    """List the files and folders right below an address of a run or a model version.

    Raises:
        InvalidInputError: It is a path on this machine.
        NotFoundError: There is no such run or model version.
    """
    address = parse_artifact_address(uri)
    if address.run_id:
        return recorder.call(ListArtifacts(run_id=address.run_id, path=address.path))
    if not address.model:
        msg = f"{uri!r} is no address of a run's files. Write {FORMS.rpartition(' or ')[0]}."
        raise InvalidInputError(msg)
    base = f"{address.path}/" if address.path else ""
    found: dict[str, Artifact] = {}
    for file in _model_files(recorder, address.model):
        name, is_below, _ = file.path.removeprefix(base).partition("/")
        if file.path.startswith(base) and not file.is_dir:
            path = base + name
            found[path] = Artifact(path=path, is_dir=True) if is_below else file
    return [found[path] for path in sorted(found)]


def download(recorder: Recorder, uri: str, target: str | Path | None = None) -> Path:
    """Bring a file, or a folder with all below it, to this machine; each is checked by its hash.

    Args:
        recorder: Knows the store.
        uri: ``runs:/...``, ``models:/...``, or a path on this machine, answered as it is.
        target: An existing or new folder for them; a temporary one when None.

    Returns:
        The file itself, or the folder that holds what was asked for.

    Raises:
        NotFoundError: There is nothing at this address.
        IntegrityError: Bytes are not those that were logged.
    """
    address = parse_artifact_address(uri)
    if not address.run_id and not address.model:
        path = Path(address.path).expanduser()
        if not path.exists():
            msg = f"There is nothing at {uri!r}. Write {FORMS}."
            raise NotFoundError(msg)
        return path
    files, base = _files(recorder, address)
    root = Path(target) if target is not None else Path(tempfile.mkdtemp(prefix="loopline-"))
    name = address.path.rpartition("/")[2]
    single = len(files) == 1 and files[0].path == base
    total = sum(file.size_bytes for file in files)
    with progress(f"Fetching {name or address.run_id}", total) as advance:
        for file in files:
            inside = name if single else f"{name}/{file.path.removeprefix(base).lstrip('/')}"
            path = root / check_artifact_path(inside.lstrip("/"))
            _fetch(recorder, file, path, advance)
    return root / name if name else root


def _fetch(recorder: Recorder, file: Artifact, path: Path, advance: Callable[[int], None]) -> None:
    """Bring one file to its place: whole and checked, or not at all."""
    from loopline.backend.downloads import download_blob

    path.parent.mkdir(parents=True, exist_ok=True)
    download_blob(recorder.backend, file.sha256, path, heard=advance)


def _files(recorder: Recorder, address: ArtifactAddress) -> tuple[list[Artifact], str]:
    """List the files at an address, and the path that they lie at or below."""
    if address.model:
        files = _model_files(recorder, address.model)
        path = address.path
    else:
        path = check_artifact_path(address.path) if address.path else ""
        files = recorder.call(ListArtifacts(run_id=address.run_id, path="", recursive=True))
    found = _below(files, path)
    if not found and path and not address.model:
        found = _below(_of_logged_model(recorder, address.run_id, path), path)
    if not found and (path or address.model):
        where = address.model or f"Run {address.run_id}"
        msg = f"{where} has no file or folder {path!r}. See what a run has with list_artifacts."
        raise NotFoundError(msg)
    return found, path


def _below(files: list[Artifact], path: str) -> list[Artifact]:
    return [
        file
        for file in files
        if not file.is_dir and (not path or file.path == path or file.path.startswith(f"{path}/"))
    ]


def _of_logged_model(recorder: Recorder, run_id: str, path: str) -> list[Artifact]:
    """List the files of the logged model that a path begins with, as if they were the run's."""
    from loopline.models.address import RunAddress
    from loopline.models.fetch import find_logged_model

    name = path.partition("/")[0]
    model = find_logged_model(recorder, RunAddress(run_id, name))
    if model is None:
        return []
    files = recorder.call(ListLoggedModelFiles(model_id=model.model_id, recursive=True))
    return [
        Artifact(path=f"{name}/{file.path}", sha256=file.sha256, size_bytes=file.size_bytes)
        for file in files
    ]


def _model_files(recorder: Recorder, uri: str) -> list[Artifact]:
    from loopline.models.address import LoggedModelAddress, RegistryAddress, parse_model_address

    address = parse_model_address(uri)
    if isinstance(address, LoggedModelAddress):
        return recorder.call(ListLoggedModelFiles(model_id=address.model_id, recursive=True))
    if not isinstance(address, RegistryAddress):
        msg = f"{uri!r} is no address of files. Write {FORMS}."
        raise InvalidInputError(msg)
    resolved = recorder.call(
        ResolveModel(
            name=address.name,
            version=address.version,
            stage=address.stage,
            alias=address.alias,
            latest=address.latest,
        )
    )
    return resolved.files


def _read(recorder: Recorder, uri: str) -> bytes:
    address = parse_artifact_address(uri)
    if address.run_id:
        return read_artifact(recorder, address.run_id, address.path)
    if address.model:
        files, base = _files(recorder, address)
        if len(files) == 1 and files[0].path == base:
            return b"".join(recorder.backend.read_blob(files[0].sha256))
        msg = f"{uri!r} is a folder. Give the address of one file in it."
        raise InvalidInputError(msg)
    path = Path(address.path).expanduser()
    if not path.is_file():
        msg = f"There is no file at {uri!r}. Write {FORMS}."
        raise NotFoundError(msg)
    return path.read_bytes()
