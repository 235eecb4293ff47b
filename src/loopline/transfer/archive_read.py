"""An archive as a source: checked by its hashes, then read line by line."""

from __future__ import annotations

from array import array
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec.structs import replace

from loopline.blobs.local import check_sha256
from loopline.errors import IntegrityError, InvalidInputError
from loopline.records.archive import (
    BLOBS,
    FORMAT,
    LINES,
    MANIFEST,
    VERSION,
    LoggedModelLine,
    Manifest,
    ModelLine,
    PointsLine,
    RunLine,
)
from loopline.records.logged_models import LoggedModelPoint
from loopline.records.tracking import Experiment
from loopline.rules.points import Points
from loopline.transfer.numbers import number_of
from loopline.transfer.source import (
    Note,
    Series,
    SourceExperiment,
    SourceFile,
    SourceLoggedModel,
    SourceModel,
    SourceRun,
    SourceVersion,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.records.archive import VersionLine
    from loopline.records.tracking import Artifact

__all__ = ["ArchiveSource"]

T = TypeVar("T")


class _Head(msgspec.Struct):
    """Whose points are on a line."""

    run_id: str


class _RunHead(msgspec.Struct):
    """Whose run, or logged model, is on a line."""

    experiment_id: str


class _RunLineHead(msgspec.Struct):
    """The part of a run's line that says where it belongs."""

    run: _RunHead


class _ModelLineHead(msgspec.Struct):
    """The part of a logged model's line that says where it belongs."""

    model: _RunHead


class _Blobs:
    """Files of an archive."""

    def __init__(self, folder: Path, files: list[Artifact]) -> None:
        self._folder = folder
        self._files = files

    def files(self) -> Iterator[SourceFile]:
        """List them by path."""
        for file in self._files:
            digest = check_sha256(file.sha256)
            yield SourceFile(
                path=file.path,
                size_bytes=file.size_bytes,
                local=self._folder / digest[:2] / digest,
                sha256=digest,
            )


class ArchiveSource:
    """A folder that ``loopline export --to`` wrote."""

    def __init__(self, folder: Path) -> None:
        """Check an archive and find its way around in it.

        Raises:
            InvalidInputError: It is no archive, or one of a newer Loopline.
            IntegrityError: A file of it is damaged or missing.
        """
        self._folder = folder
        path = folder / MANIFEST
        try:
            content = path.read_bytes()
            manifest = msgspec.json.decode(content, type=Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            msg = f"{folder} is no archive: it has no {MANIFEST} that can be read ({error})."
            raise InvalidInputError(
                f"{msg} Write one with `loopline export --to FOLDER`."
            ) from error
        if manifest.format != FORMAT or manifest.version > VERSION:
            msg = (
                f"{folder} is of format {manifest.format!r}, version {manifest.version}; this "
                f"Loopline reads {FORMAT!r} up to version {VERSION}. Upgrade Loopline."
            )
            raise InvalidInputError(msg)
        self._identity = sha256(content).hexdigest()
        self._offsets: dict[str, list[int]] = {}
        self._run_offsets: dict[str, list[int]] = {}
        self._model_offsets: dict[str, list[int]] = {}
        known = {file.path: file for file in manifest.files}
        for name in LINES:
            if name not in known or self._check(name) != known[name].sha256:
                msg = (
                    f"{folder / name} is damaged or missing: it is not what the archive's "
                    "manifest says. Copy the archive again."
                )
                raise IntegrityError(msg)

    def _check(self, name: str) -> str:
        """Hash a file, and note on the way where the lines of each run begin."""
        digest = sha256()
        head = msgspec.json.Decoder(_Head)
        run_head = msgspec.json.Decoder(_RunLineHead)
        model_head = msgspec.json.Decoder(_ModelLineHead)
        try:
            with (self._folder / name).open("rb") as file:
                offset = 0
                for line in file:
                    digest.update(line)
                    if name == "metrics.jsonl":
                        self._offsets.setdefault(head.decode(line).run_id, []).append(offset)
                    elif name == "runs.jsonl":
                        experiment_id = run_head.decode(line).run.experiment_id
                        self._run_offsets.setdefault(experiment_id, []).append(offset)
                    elif name == "logged_models.jsonl":
                        experiment_id = model_head.decode(line).model.experiment_id
                        self._model_offsets.setdefault(experiment_id, []).append(offset)
                    offset += len(line)
        except (OSError, msgspec.MsgspecError):
            return ""
        return digest.hexdigest()

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._folder)

    @property
    def identity(self) -> str:
        """Its content: a copy elsewhere is the same archive."""
        return f"archive\0{self._identity}"

    def close(self) -> None:
        """Nothing is held."""

    def _lines(self, name: str, type_: type[T]) -> Iterator[T]:
        decoder = msgspec.json.Decoder(type_)
        with (self._folder / name).open("rb") as file:
            for line in file:
                yield decoder.decode(line)

    def _at(self, name: str, offsets: list[int], type_: type[T]) -> Iterator[T]:
        decoder = msgspec.json.Decoder(type_)
        with (self._folder / name).open("rb") as file:
            for offset in offsets:
                file.seek(offset)
                yield decoder.decode(file.readline())

    # --- experiments and runs ------------------------------------------------------------------

    def experiments(self) -> list[SourceExperiment]:
        """Read every experiment."""
        return [
            SourceExperiment(
                experiment_id=experiment.experiment_id,
                name=experiment.name,
                lifecycle=experiment.lifecycle,
                created_ms=experiment.created_ms,
                updated_ms=experiment.updated_ms,
                tags=experiment.tags,
            )
            for experiment in self._lines("experiments.jsonl", Experiment)
        ]

    def count_runs(self, experiment: SourceExperiment) -> int:
        """Count the runs of an experiment."""
        return len(self._run_offsets.get(experiment.experiment_id, []))

    def runs(self, experiment: SourceExperiment, together: int) -> Iterator[list[SourceRun]]:
        """Read the runs of an experiment."""
        offsets = self._run_offsets.get(experiment.experiment_id, [])
        runs = map(self._run, self._at("runs.jsonl", offsets, RunLine))
        while some := list(islice(runs, together)):
            yield some

    def _run(self, line: RunLine) -> SourceRun:
        run = line.run
        return SourceRun(
            run_id=run.run_id,
            experiment_id=run.experiment_id,
            name=run.name,
            status=run.status,
            lifecycle=run.lifecycle,
            start_ms=run.start_ms,
            end_ms=run.end_ms,
            duration_ms=run.duration_ms,
            end_reason=run.end_reason,
            user=run.user,
            parent_run_id=run.parent_run_id,
            flow_run_id=run.flow_run_id,
            task_slug=run.task_slug,
            params=run.params,
            tags=run.tags,
            inputs=line.inputs,
            models=line.models,
            place=_Blobs(self._folder / BLOBS, line.artifacts),
            events=line.events,
        )

    def series(self, runs: list[SourceRun]) -> Iterator[Series]:
        """Read every metric of some runs."""
        for run in runs:
            points, key = Points(array("q"), array("q"), array("d")), ""
            for line in self._at("metrics.jsonl", self._offsets.get(run.run_id, []), PointsLine):
                if key and line.key != key:
                    yield Series(run.run_id, key, points)
                    points = Points(array("q"), array("q"), array("d"))
                key = line.key
                points.steps.extend(line.steps)
                points.timestamps_ms.extend(line.timestamps_ms)
                points.values.extend(map(number_of, line.values))
            if key:
                yield Series(run.run_id, key, points)

    def logged_models(
        self, experiment: SourceExperiment, together: int
    ) -> Iterator[list[SourceLoggedModel]]:
        """Read the logged models of an experiment."""
        offsets = self._model_offsets.get(experiment.experiment_id, [])
        lines = self._at("logged_models.jsonl", offsets, LoggedModelLine)
        while some := list(map(self._logged_model, islice(lines, together))):
            yield some

    def _logged_model(self, line: LoggedModelLine) -> SourceLoggedModel:
        points = [
            LoggedModelPoint(
                model_id=line.model.model_id,
                key=point.key,
                value=number_of(point.value),
                step=point.step,
                timestamp_ms=point.timestamp_ms,
                run_id=point.run_id,
                dataset_name=point.dataset_name,
                dataset_digest=point.dataset_digest,
            )
            for point in line.points
        ]
        return SourceLoggedModel(
            model=replace(line.model, metrics=points),
            place=_Blobs(self._folder / BLOBS, line.files),
        )

    # --- registry ------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Its lines were checked against the manifest already."""
        return {}

    def models(self) -> list[SourceModel]:
        """Read the registry."""
        return [
            SourceModel(
                name=line.model.name,
                created_ms=line.model.created_ms,
                updated_ms=line.model.updated_ms,
                description=line.model.description,
                latest_version=line.model.latest_version,
                aliases=line.model.aliases,
                champions=line.model.champions,
                stages=line.model.stages,
                tags=line.model.tags,
                versions=[self._version(version) for version in line.versions],
                events=line.events,
            )
            for line in self._lines("models.jsonl", ModelLine)
        ]

    def _version(self, line: VersionLine) -> SourceVersion:
        version = line.version
        return SourceVersion(
            version=version.version,
            created_ms=version.created_ms,
            updated_ms=version.updated_ms,
            stage=version.stage,
            description=version.description,
            user=version.actor,
            run_id=version.run_id,
            run_path=version.artifact_path,
            # The version's own files: a run's may have been overwritten since.
            place=_Blobs(self._folder / BLOBS, line.files),
            is_exact=True,
            model_id=version.logged_model_id,
            source=version.source,
            run_link=version.run_link,
            status=version.status,
            status_message=version.status_message,
            tags=version.tags,
            metrics={key: number_of(value) for key, value in line.metrics.items()},
            params=version.params,
        )

    def notes(self) -> list[Note]:
        """Say what is there that an import cannot take: nothing."""
        return []
