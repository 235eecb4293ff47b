"""Keeping the bytes of a data version in the store, and getting them back."""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.backend.recorder import get_recorder
from loopline.data.formats import format_of, read_file
from loopline.data.sources import check_unchanged
from loopline.data.versions import HeldDataset, as_dataset
from loopline.errors import IntegrityError, InvalidInputError, MissingExtraError, NotFoundError
from loopline.records.facts import ArtifactLogged, InputLogged
from loopline.records.lineage import DatasetSnapshot
from loopline.records.operations import FindSnapshot, ListInputs
from loopline.records.tracking import Artifact, Dataset
from loopline.rules.manifest import manifest_digest
from loopline.rules.names import check_artifact_path
from loopline.rules.snapshots import (
    ARRAY_FILE,
    ARRAYS_FILE,
    TABLE_FILE,
    is_whole_snapshot,
    snapshot_folder,
)
from loopline.tracking.active import active_run
from loopline.tracking.fluent import start_run

if TYPE_CHECKING:
    from loopline.backend.recorder import Recorder
    from loopline.data.sources import Source

__all__ = ["fetch", "load", "snapshot"]

CONTEXT = "snapshot"


def snapshot(data: Any, *, name: str = "") -> DatasetSnapshot:  # noqa: ANN401 - see ``dataset``
    """Keep the bytes of a data version: tables as Parquet, arrays as ``.npy``, files as they are.

    They become files of the active run, which is noted as having read the data; when no run is
    active, of one that is made for it. Bytes that the store has are not sent again. On return
    the data are in the journal; they reach the store as everything that is logged does.

    Args:
        data: A data version made by ``dataset`` in this process, or anything it takes.
        name: As for ``dataset``.

    Returns:
        Where they are kept.

    Raises:
        IntegrityError: The data changed since they were described; nothing is kept.
        NotFoundError: It is a record read from the store whose data nobody kept.
    """
    version = as_dataset(data, name=name)
    recorder = get_recorder()
    run = active_run()
    if run is None:
        with start_run(run_name=f"snapshot of {version.name}"[:250]) as made:
            return _keep(recorder, made.run_id, version)
    return _keep(recorder, run.run_id, version)


def load(which: Any, *, to: str = "") -> Any:  # noqa: ANN401 - whatever was kept
    """Read back the data of a snapshot, checked against their hashes.

    Args:
        which: A ``DatasetSnapshot``, a data version, or a digest (8 or more digits are enough).
        to: ``"pandas"`` (as a table comes when nothing is said), ``"polars"`` or ``"arrow"`` for
            a table; ``"path"`` for the file or folder itself, which is how files come.

    Returns:
        A table, an array, a dictionary of arrays, or the path of a copy that is kept in the
        home's cache: read it, and copy it before changing it.

    Raises:
        NotFoundError: Nobody kept the data.
        IntegrityError: The bytes are not those that were kept.
    """
    if to not in {"", "pandas", "polars", "arrow", "path"}:
        msg = f"Data are read as pandas, polars, arrow or path, not as {to!r}."
        raise InvalidInputError(msg)
    recorder = get_recorder()
    kept = which if isinstance(which, DatasetSnapshot) else _find(recorder, which)
    path = fetch(recorder, kept)
    if to == "path" or (not to and kept.dataset.kind in {"file", "folder"}):
        return path
    if path.is_dir():
        msg = f"{kept.dataset.name!r} is a folder: load it with to='path' and read its files."
        raise InvalidInputError(msg)
    if path.name in {ARRAY_FILE, ARRAYS_FILE} and kept.dataset.kind == "array":
        return _arrays(path)
    if not format_of(path.name):
        msg = f"{path.name!r} is no table: load it with to='path' and read it."
        raise InvalidInputError(msg)
    return _table(path, to or "pandas")


def _keep(recorder: Recorder, run_id: str, version: Dataset) -> DatasetSnapshot:
    inputs = recorder.call(ListInputs(run_id=run_id))
    if all(one.dataset.digest != version.digest for one in inputs):
        recorder.record(InputLogged(run_id=run_id, dataset=_plain(version), context=CONTEXT))
    there = recorder.call(FindSnapshot(digest=version.digest))
    files = _write(recorder, version) if there is None else there.files
    folder = snapshot_folder(version.digest)
    for file in files:
        recorder.record(
            ArtifactLogged(
                run_id=run_id,
                path=f"{folder}/{file.path}",
                sha256=file.sha256,
                size_bytes=file.size_bytes,
                at_ms=time.time_ns() // 1_000_000,
            )
        )
    return DatasetSnapshot(dataset=_plain(version), run_id=run_id, folder=folder, files=files)


def _plain(version: Dataset) -> Dataset:
    """Leave the data themselves behind."""
    return Dataset(**{name: getattr(version, name) for name in version.__struct_fields__})


def _write(recorder: Recorder, version: Dataset) -> list[Artifact]:
    """Write the data into the journal's staging, after checking that they are still the same."""
    held = version.held if isinstance(version, HeldDataset) else None
    if held is None:
        msg = (
            f"The data of {version.name!r} ({version.digest[:12]}) are not at hand and nobody has "
            "kept them. Give the data themselves: loopline.data.snapshot(trips)."
        )
        raise NotFoundError(msg)
    check_unchanged(held.digest(), version.digest, version.name)
    try:
        with tempfile.TemporaryDirectory(prefix="loopline-snapshot-") as folder:
            files = _stage(recorder, held, Path(folder))
    finally:
        held.forget()
    pairs = [(file.path, file.sha256) for file in files]
    if not is_whole_snapshot(version.kind, version.digest, pairs):
        check_unchanged(_digest_of(version.kind, pairs), version.digest, version.name)
    return files


def _stage(recorder: Recorder, held: Source, folder: Path) -> list[Artifact]:
    files = []
    for name, path in held.pieces(folder):
        check_artifact_path(f"{snapshot_folder('0' * 64)}/{name}")
        sha256, size = recorder.stage(path)
        files.append(Artifact(path=name, sha256=sha256, size_bytes=size))
    return files


def _digest_of(kind: str, pairs: list[tuple[str, str]]) -> str:
    return pairs[0][1] if kind == "file" else manifest_digest(pairs)


def _find(recorder: Recorder, which: Any) -> DatasetSnapshot:  # noqa: ANN401
    digest = which.digest if isinstance(which, Dataset) else which
    if not isinstance(digest, str):
        msg = f"Give a snapshot, a data version or a digest, not {type(which).__name__}."
        raise InvalidInputError(msg)
    kept = recorder.call(FindSnapshot(digest=digest))
    if kept is None:
        msg = (
            f"No run has kept the data of {digest[:12]}. Keep them where they are with "
            "loopline.data.snapshot(data)."
        )
        raise NotFoundError(msg)
    return kept


def fetch(recorder: Recorder, kept: DatasetSnapshot) -> Path:
    """Bring the files to the home's cache, once per content; answer the file or the folder."""
    recorder.flush()
    folder = recorder.home / "cache" / "datasets" / kept.dataset.digest
    if not folder.is_dir():
        partial = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
        try:
            for file in kept.files:
                path = partial / check_artifact_path(file.path)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as target:
                    target.writelines(recorder.backend.read_blob(file.sha256))
                path.chmod(0o444)
            try:
                partial.replace(folder)
            except OSError:
                if not folder.is_dir():  # Otherwise another process was faster.
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    for file in kept.files:
        path = folder / file.path
        if not path.is_file() or path.stat().st_size != file.size_bytes:
            msg = f"{path} is not the file that was kept. Remove {folder} and load it again."
            raise IntegrityError(msg)
    return folder if kept.dataset.kind == "folder" else folder / kept.files[0].path


def _arrays(path: Path) -> Any:  # noqa: ANN401
    import numpy as np

    if path.name == ARRAY_FILE:
        return np.load(path, allow_pickle=False)
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _table(path: Path, to: str) -> Any:  # noqa: ANN401
    try:
        if path.name == TABLE_FILE:
            from pyarrow import parquet

            table = parquet.read_table(path)
        else:
            table = read_file(path.name, path)
        if to == "pandas":
            return table.to_pandas()
        if to == "polars":
            from importlib import import_module

            return import_module("polars").from_arrow(table)
    except ImportError as error:
        raise MissingExtraError(
            error.name or to, extra="data", purpose=f"Reading data as {to}"
        ) from None
    return table
