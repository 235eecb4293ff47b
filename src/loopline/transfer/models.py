"""The registry of an import: models and versions under the names and numbers they had."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records.operations import (
    DescribeLoggedModels,
    GetRun,
    ImportModel,
    ImportVersion,
    ListArtifacts,
    ListModels,
    ListVersionEvents,
    ListVersions,
    ResolveModel,
)
from loopline.records.registry import ModelVersion, RegisteredModel, Stage, VersionEvent
from loopline.records.tracking import Artifact
from loopline.transfer.source import Note, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.backend.protocol import Backend
    from loopline.records.transfer import LoggedModelDescription
    from loopline.transfer.importer import Options
    from loopline.transfer.source import Source, SourceModel, SourceVersion
    from loopline.transfer.tally import Tally
    from loopline.transfer.uploads import Uploads

__all__ = ["ModelsImport"]


class _Files(NamedTuple):
    """The files of a version, and the run's folder they are, if they are one."""

    run_id: str
    folder: str
    files: list[Artifact]
    is_found: bool


class ModelsImport:
    """Imports the registry, after the runs."""

    def __init__(
        self,
        source: Source,
        backend: Backend,
        uploads: Uploads,
        tally: Tally,
        options: Options,
    ) -> None:
        self._source = source
        self._backend = backend
        self._uploads = uploads
        self._tally = tally
        self._options = options

    def everything(self, runs: set[str] | None, logged_models: set[str]) -> None:
        """Import the models.

        Args:
            runs: Only versions that these made; None for all.
            logged_models: Or that were made from one of these.
        """
        before = {model.name: model for model in self._backend.call(ListModels())}
        for model in self._source.models():
            versions = [
                version
                for version in model.versions
                if runs is None or version.run_id in runs or version.model_id in logged_models
            ]
            if runs is None or versions:
                self._model(model, versions, before.get(model.name))

    def _model(
        self,
        model: SourceModel,
        versions: list[SourceVersion],
        before: RegisteredModel | None,
    ) -> None:
        known = self._versions(model.name) if before else {}
        if self._options.dry_run:
            self._count(model, versions, before, known, before, known)
            return
        try:
            self._put(model, {}, {}, [])
        except InvalidInputError as error:
            self._tally.differ(str(error))
            self._count(model, versions, before, known, None, {})
            return
        for version in versions:
            self._version(model, version, is_known=version.version in known)
        here = self._versions(model.name)
        ours = {v.version for v in versions if _is_same(v, here.get(v.version))}
        after = self._put(
            model,
            {alias: number for alias, number in model.aliases.items() if number in ours},
            {stage: number for stage, number in model.champions.items() if number in ours},
            self._new_events(model, [v for v in versions if v.version in ours]),
        )
        self._count(model, versions, before, known, after, here)

    def _put(
        self,
        model: SourceModel,
        aliases: dict[str, int],
        champions: dict[str, int],
        events: list[VersionEvent],
    ) -> RegisteredModel:
        return self._backend.call(
            ImportModel(
                model=RegisteredModel(
                    name=model.name,
                    description=model.description,
                    created_ms=model.created_ms,
                    updated_ms=model.updated_ms,
                    latest_version=model.latest_version,
                    tags=model.tags,
                    aliases=aliases,
                    champions=champions,
                    stages=model.stages,
                ),
                events=events,
                update=self._options.update,
            )
        )

    def _versions(self, name: str) -> dict[int, ModelVersion]:
        return {v.version: v for v in self._backend.call(ListVersions(name=name))}

    # --- versions ------------------------------------------------------------------------------

    def _version(self, model: SourceModel, given: SourceVersion, *, is_known: bool) -> None:
        logged = self._logged_model(given.model_id)
        found = self._files(given, logged)
        metrics, params = given.metrics, given.params
        if metrics is None or params is None:
            metrics, params = self._facts_of(found.run_id, logged)
        version = ModelVersion(
            name=model.name,
            version=given.version,
            run_id=found.run_id,
            artifact_path=found.folder,
            stage=given.stage,
            description=given.description,
            source=given.source,
            logged_model_id=given.model_id,
            run_link=given.run_link,
            status=given.status,
            status_message=given.status_message,
            digest="",
            created_ms=given.created_ms,
            updated_ms=given.updated_ms,
            actor=given.user,
            tags=given.tags,
            metrics=metrics,
            params=params,
        )
        had = self._files_here(model.name, given.version) if is_known else set()
        call = ImportVersion(version=version, files=found.files, update=self._options.update)
        try:
            self._backend.call(call)
        except ConflictError as error:
            self._tally.differ(str(error))
            return
        if not self._options.artifacts and not found.files:
            return
        here = self._files_here(model.name, given.version)
        files = {(file.path, file.sha256) for file in found.files}
        self._tally.count("version files", len(files), len(files & here), len(files & here - had))
        if not found.is_found and not here:
            self._tally.differ(
                f"Version {given.version} of model {model.name!r} has no files here: they were "
                "not found in the source. Make them reachable and run the import again."
            )

    def _files_here(self, name: str, number: int) -> set[tuple[str, str]]:
        files = self._backend.call(ResolveModel(name=name, version=number)).files
        return {(file.path, file.sha256) for file in files}

    def _logged_model(self, model_id: str) -> LoggedModelDescription | None:
        """Look up the logged model that a version was made from, a deleted one, too."""
        if not model_id:
            return None
        found = self._backend.call(DescribeLoggedModels(model_ids=[model_id]))
        return found[0] if found else None

    def _files(self, given: SourceVersion, logged: LoggedModelDescription | None) -> _Files:
        """Find a version's files: a logged model's, a folder of a run, or a place of its own."""
        run_id, folder = given.run_id, given.run_path
        if logged is not None:
            run_id = run_id or logged.model.source_run_id
            if logged.files and not folder and not given.is_exact:
                return _Files(run_id, "", logged.files, is_found=True)
        if folder and not given.is_exact:
            below = self._below(run_id, folder)
            if below:
                return _Files(run_id, folder, below, is_found=True)
        if given.place is None or not self._options.artifacts:
            return _Files(run_id, folder, [], is_found=False)
        try:
            kept = self._uploads.keep(given.place.files())
        except UnreachableError as error:
            note = Note("files of model versions", 1, str(error), is_missing=True)
            self._tally.leave_out(note)
            return _Files(run_id, "", [], is_found=False)
        folder = folder if given.is_exact else ""
        files = [Artifact(path=k.path, sha256=k.sha256, size_bytes=k.size_bytes) for k in kept]
        return _Files(run_id, folder, files, is_found=given.is_exact or bool(files))

    def _below(self, run_id: str, folder: str) -> list[Artifact]:
        try:
            files = self._backend.call(ListArtifacts(run_id=run_id, path=folder, recursive=True))
        except (NotFoundError, InvalidInputError):
            return []
        start = len(folder.rstrip("/")) + 1
        return [
            Artifact(path=file.path[start:], sha256=file.sha256, size_bytes=file.size_bytes)
            for file in files
            if not file.is_dir
        ]

    def _facts_of(
        self, run_id: str, logged: LoggedModelDescription | None
    ) -> tuple[dict[str, float], dict[str, str]]:
        """Tell what was measured on a version: by its run, and (which says more) on the model."""
        metrics: dict[str, float] = {}
        params: dict[str, str] = {}
        with suppress(NotFoundError):
            run = self._backend.call(GetRun(run_id=run_id))
            metrics, params = dict(run.data.metrics), dict(run.params)
        if logged is not None:
            metrics |= {point.key: point.value for point in logged.model.metrics}
            params |= logged.model.params
        return metrics, params

    def _new_events(self, model: SourceModel, versions: list[SourceVersion]) -> list[VersionEvent]:
        """Tell the history to add: the source's, or what versions without one must have had."""
        if model.events:
            numbers = {0, *(version.version for version in versions)}  # 0: the model itself.
            return [event for event in model.events if event.version in numbers]
        told = {e.version for e in self._backend.call(ListVersionEvents(name=model.name))}
        events: list[VersionEvent] = []
        for version in sorted(versions, key=lambda version: version.version):
            if version.version in told:
                continue
            events.append(
                VersionEvent(
                    name=model.name,
                    version=version.version,
                    at_ms=version.created_ms,
                    kind="created",
                    actor=version.user,
                )
            )
            if version.stage != Stage.NONE:
                events.append(
                    VersionEvent(
                        name=model.name,
                        version=version.version,
                        at_ms=version.updated_ms,
                        kind="stage",
                        before=Stage.NONE,
                        after=version.stage,
                        reason="imported as it stood; its source keeps no history of moves",
                    )
                )
        return events

    # --- counts --------------------------------------------------------------------------------

    def _count(
        self,
        model: SourceModel,
        versions: list[SourceVersion],
        before: RegisteredModel | None,
        known: Mapping[int, ModelVersion],
        after: RegisteredModel | None,
        here: Mapping[int, ModelVersion],
    ) -> None:
        tally, name = self._tally, model.name
        tally.count("registered models", 1, int(after is not None), int(before is None))
        here_tags = after.tags if after is not None else {}
        old_tags = before.tags if before is not None else {}
        equal = sum(here_tags.get(key) == value for key, value in model.tags.items())
        if after is not None and not self._options.dry_run:
            for key, value in model.tags.items():
                if here_tags.get(key) != value:
                    tally.differ(
                        f"The tag {key!r} of model {name!r} is {here_tags.get(key)!r} here and "
                        f"{value!r} in the source; --update takes the source's."
                    )
        tally.count(
            "model tags", len(model.tags), equal, sum(key not in old_tags for key in model.tags)
        )
        for given in versions:
            had, has = known.get(given.version), here.get(given.version)
            is_same = _is_same(given, has)
            tally.count("model versions", 1, int(is_same), int(had is None))
            tags = has.tags if has is not None and is_same else {}
            equal = sum(tags.get(key) == value for key, value in given.tags.items())
            old = had.tags if had else {}
            new = sum(key not in old for key in given.tags)
            tally.count("version tags", len(given.tags), equal, new)
            if given.stage != Stage.NONE:
                stands = is_same and has is not None and has.stage == given.stage
                tally.count("version stages", 1, int(stands), int(had is None))
            if self._options.dry_run or has is None:
                continue
            if has.stage != given.stage:
                tally.differ(
                    f"Version {given.version} of model {name!r} is in {has.stage} here and "
                    f"in {given.stage} in the source; --update takes the source's word."
                )
            if has.description != given.description:
                tally.differ(
                    f"Version {given.version} of model {name!r} has another description here; "
                    "--update takes the source's."
                )
        numbers = {version.version for version in versions}
        for alias, number in model.aliases.items():
            if number not in numbers:
                continue
            stands = after is not None and after.aliases.get(alias) == number
            is_new = before is None or alias not in before.aliases
            tally.count("aliases", 1, int(stands), int(is_new))
            if not stands and not self._options.dry_run:
                tally.differ(
                    f"The alias {alias!r} of model {name!r} means another version here than "
                    f"{number}; --update takes the source's."
                )


def _is_same(given: SourceVersion, here: ModelVersion | None) -> bool:
    return here is not None and here.created_ms == given.created_ms
