"""The files of imported runs: their own and those of the models they logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError
from loopline.records.facts import ArtifactLogged
from loopline.rules.names import check_artifact_path
from loopline.transfer.source import Note, SourceFile, UnreachableError
from loopline.transfer.uploads import hash_of

if TYPE_CHECKING:
    from loopline.records.facts import Fact
    from loopline.records.tracking import Artifact
    from loopline.records.transfer import RunDescription
    from loopline.transfer.importer import Options
    from loopline.transfer.source import Place, SourceRun
    from loopline.transfer.tally import Tally
    from loopline.transfer.uploads import Uploads

__all__ = ["FilesImport"]


class FilesImport:
    """Lists, keeps and counts the files of runs.

    Attributes:
        folders: Run and folder among its files, per id of a logged model.
    """

    def __init__(self, uploads: Uploads, tally: Tally, options: Options) -> None:
        self._uploads = uploads
        self._tally = tally
        self._options = options
        self.folders: dict[str, tuple[str, str]] = {}

    def of(self, run: SourceRun) -> list[SourceFile]:
        """List a run's files under the paths they get here.

        A model that the source keeps apart gets a folder of the name it was logged under, as
        MLflow's client shows it; the second of a name has its id behind it.
        """
        own = self._list(run.place, "files of runs") if self._options.artifacts else []
        taken = {file.path.partition("/")[0] for file in own}
        files = list(own)
        for model in run.models:
            folder = model.name if model.name not in taken else f"{model.name}-{model.model_id}"
            taken.add(folder)
            self.folders[model.model_id] = (run.run_id, folder)
            if self._options.artifacts:
                files += [
                    file._replace(path=f"{folder}/{file.path}")
                    for file in self._list(model.place, "files of logged models")
                ]
        return files

    def send(
        self, files: list[SourceFile], run_id: str, known: RunDescription | None
    ) -> list[Fact]:
        """Keep the files that are not here; return the facts that name them."""
        has = _by_path(known)
        wanted = [file for file in files if self._is_new(file, has.get(file.path))]
        return [
            ArtifactLogged(
                run_id=run_id,
                path=check_artifact_path(kept.path),
                sha256=kept.sha256,
                size_bytes=kept.size_bytes,
                at_ms=kept.at_ms,
            )
            for kept in self._uploads.keep(wanted)
        ]

    def count(
        self,
        run: SourceRun,
        files: list[SourceFile],
        before: RunDescription | None,
        after: RunDescription | None,
    ) -> None:
        """Count files on both sides."""
        if not self._options.artifacts:
            return
        had, has = _by_path(before), _by_path(after)
        for file in files:
            here = has.get(file.path)
            size = file.size_bytes
            if size is None:
                size = here.size_bytes if here else 0
            alike = here is not None and here.size_bytes == size
            new = file.path not in had
            self._tally.count("files", 1, int(alike), int(new))
            self._tally.count("file bytes", size, size if alike else 0, size if new else 0)
            if self._options.dry_run:
                continue
            if not _fits(file.path):
                self._tally.differ(
                    f"Run {run.run_id}: no store of Loopline's takes a file named {file.path!r}. "
                    "Rename it in the source and run the import again."
                )
            elif not alike:
                self._tally.differ(
                    f"Run {run.run_id}: the file {file.path!r} is another one here; --update "
                    "takes the source's."
                )

    def _is_new(self, file: SourceFile, here: Artifact | None) -> bool:
        if not _fits(file.path):
            return False
        if here is None:
            return True
        if not self._options.update:
            return False
        if here.size_bytes != file.size_bytes:
            return True
        sha256 = hash_of(file)
        return bool(sha256) and sha256 != here.sha256

    def _list(self, place: Place | None, what: str) -> list[SourceFile]:
        if place is None:
            return []
        try:
            return list(place.files())
        except UnreachableError as error:
            self._tally.leave_out(Note(what, 1, str(error), is_missing=True))
            return []


def _by_path(known: RunDescription | None) -> dict[str, Artifact]:
    return {file.path: file for file in known.artifacts} if known else {}


def _fits(path: str) -> bool:
    try:
        return check_artifact_path(path) == path
    except InvalidInputError:
        return False
