"""Writing an archive: whole under its name, or not at all."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from loopline.disk import sync_folder
from loopline.errors import AlreadyExistsError
from loopline.records.archive import (
    BLOBS,
    LINES,
    MANIFEST,
    ArchivedFile,
    LoggedModelLine,
    Manifest,
    ModelLine,
    ModelPoint,
    PointsLine,
    RunLine,
    VersionLine,
)
from loopline.transfer.numbers import word_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loopline.backend.protocol import Backend
    from loopline.records.tracking import Artifact, Run
    from loopline.records.transfer import LoggedModelDescription, RunDescription
    from loopline.transfer.selection import Selection

__all__ = ["write_archive"]

#: Points on one line.
TOGETHER = 10_000

LEFT_OUT = [
    "flow runs, task runs, schedules and their logs",
    "facts that the store refused",
]


def write_archive(
    selection: Selection,
    backend: Backend,
    folder: Path,
    *,
    watch: Callable[[str], None] | None = None,
) -> Manifest:
    """Write what was selected into a folder that does not exist yet, or is empty.

    Args:
        selection: What to write.
        backend: Where its files are.
        folder: Appears when everything in it has reached the disk.
        watch: Told of each run's id.

    Raises:
        AlreadyExistsError: There is something in the folder.
        IntegrityError: A file is not what was stored.
    """
    with _appears_at(folder) as partial:
        writer = _Writer(partial, backend, watch or (lambda _run_id: None))
        return writer.everything(selection)


class _Lines:
    """A file of JSON lines that knows its hash."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = sha256()
        self._size = 0
        self.name = path.name
        self.count = 0

    def add(self, record: Any) -> None:  # noqa: ANN401 - any record
        line = msgspec.json.encode(record) + b"\n"
        self._file.write(line)
        self._hash.update(line)
        self._size += len(line)
        self.count += 1

    def close(self) -> None:
        self._file.close()

    def finish(self) -> ArchivedFile:
        """Bring it to the disk; tell what it is."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return ArchivedFile(path=self.name, sha256=self._hash.hexdigest(), size_bytes=self._size)


class _Writer:
    def __init__(self, folder: Path, backend: Backend, watch: Callable[[str], None]) -> None:
        self._folder = folder
        self._backend = backend
        self._watch = watch
        self._counts: dict[str, int] = {}

    def everything(self, selection: Selection) -> Manifest:
        (self._folder / BLOBS).mkdir()
        with ExitStack() as opened:
            lines = {
                name: opened.enter_context(closing(_Lines(self._folder / name))) for name in LINES
            }
            self._lines(selection, lines)
            files = [written.finish() for written in lines.values()]
        manifest = Manifest(
            loopline_version=_version(),
            created_ms=time.time_ns() // 1_000_000,
            counts=self._counts,
            left_out=LEFT_OUT,
            files=files,
        )
        (self._folder / MANIFEST).write_bytes(
            msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
        )
        return manifest

    def _lines(self, selection: Selection, lines: dict[str, _Lines]) -> None:
        for experiment in selection.experiments():
            lines["experiments.jsonl"].add(experiment)
            self._count("experiments")
        run_ids: set[str] = set()
        for known in selection.runs():
            run_ids.add(known.run.run_id)
            lines["runs.jsonl"].add(self._run(known))
            for key in known.run.metrics:
                self._points(selection, known.run, key, lines["metrics.jsonl"])
            self._watch(known.run.run_id)
        model_ids: set[str] = set()
        for logged in selection.logged_models():
            model_ids.add(logged.model.model_id)
            lines["logged_models.jsonl"].add(self._logged_model(logged))
        for chosen in selection.models(run_ids, model_ids):
            versions = []
            for one in chosen.versions:
                self._blobs(one.files)
                versions.append(
                    VersionLine(
                        version=replace(one.version, metrics={}),
                        metrics={k: word_of(v) for k, v in one.version.metrics.items()},
                        files=one.files,
                    )
                )
                self._count("model versions")
            lines["models.jsonl"].add(
                ModelLine(model=chosen.model, versions=versions, events=chosen.events)
            )
            self._count("registered models")

    def _run(self, known: RunDescription) -> RunLine:
        run = known.run
        self._blobs(known.artifacts)
        self._count("runs")
        self._count("params", len(run.params))
        self._count("tags", len(run.tags))
        self._count("metrics", len(run.metrics))
        self._count("inputs", len(known.inputs))
        self._count("files", len(known.artifacts))
        return RunLine(
            run=replace(run, metrics={}),
            artifacts=known.artifacts,
            inputs=known.inputs,
            models=known.models,
            events=known.events,
        )

    def _logged_model(self, logged: LoggedModelDescription) -> LoggedModelLine:
        model = logged.model
        self._blobs(logged.files)
        self._count("logged models")
        self._count("files", len(logged.files))
        points = [
            ModelPoint(
                key=point.key,
                value=word_of(point.value),
                step=point.step,
                timestamp_ms=point.timestamp_ms,
                run_id=point.run_id,
                dataset_name=point.dataset_name,
                dataset_digest=point.dataset_digest,
            )
            for point in model.metrics
        ]
        # What was registered from it is told by the versions.
        plain = replace(model, metrics=[], registrations=[])
        return LoggedModelLine(model=plain, points=points, files=logged.files)

    def _points(self, selection: Selection, run: Run, key: str, lines: _Lines) -> None:
        points = selection.points(run, key)
        self._count("metric points", len(points))
        for start in range(0, len(points), TOGETHER):
            part = points.part(start, start + TOGETHER)
            lines.add(
                PointsLine(
                    run_id=run.run_id,
                    key=key,
                    steps=part.steps.tolist(),
                    timestamps_ms=part.timestamps_ms.tolist(),
                    values=[word_of(value) for value in part.values],
                )
            )

    def _blobs(self, files: list[Artifact]) -> None:
        for file in files:
            target = self._folder / BLOBS / file.sha256[:2] / file.sha256
            if target.exists():
                continue
            target.parent.mkdir(exist_ok=True)
            with target.open("wb") as out:
                for chunk in self._backend.read_blob(file.sha256):
                    out.write(chunk)
                out.flush()
                os.fsync(out.fileno())
            self._count("blobs")
            self._count("blob bytes", file.size_bytes)

    def _count(self, what: str, count: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + count


def _version() -> str:
    try:
        return version("loopline")
    except PackageNotFoundError:
        return ""


@contextmanager
def _appears_at(folder: Path) -> Iterator[Path]:
    """Give a folder to fill that takes its place at ``folder`` when all went well."""
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"{folder} is there already. Give another path, or remove it first."
        raise AlreadyExistsError(msg)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    partial.mkdir()
    try:
        yield partial
        partial.replace(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
