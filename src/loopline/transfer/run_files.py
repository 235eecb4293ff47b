"""The files of imported runs and logged models: listed, kept and counted."""

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
    from loopline.transfer.uploads import Kept, Uploads

__all__ = ["FilesImport"]


class FilesImport:
    """Lists, keeps and counts the files of runs and of logged models."""

    def __init__(self, uploads: Uploads, tally: Tally, options: Options) -> None:
        self._uploads = uploads
        self._tally = tally
        self._options = options

    def of(self, run: SourceRun) -> list[SourceFile]:
        """List a run's own files; those of the models that it logged are these models'."""
        return self.listed(run.place, "files of runs")

    def listed(self, place: Place | None, what: str) -> list[SourceFile]:
        """List the files of a place; one that cannot be read is told of as ``what``."""
        if place is None or not self._options.artifacts:
            return []
        try:
            return list(place.files())
        except UnreachableError as error:
            self._tally.leave_out(Note(what, 1, str(error), is_missing=True))
            return []

    def send(
        self, files: list[SourceFile], run_id: str, known: RunDescription | None
    ) -> list[Fact]:
        """Keep the files of a run that are not here; return the facts that name them."""
        return [
            ArtifactLogged(
                run_id=run_id,
                path=check_artifact_path(kept.path),
                sha256=kept.sha256,
                size_bytes=kept.size_bytes,
                at_ms=kept.at_ms,
            )
            for kept in self.keep(files, known.artifacts if known else [])
        ]

    def keep(self, files: list[SourceFile], here: list[Artifact]) -> list[Kept]:
        """Keep the files that are not here."""
        has = {file.path: file for file in here}
        return self._uploads.keep(
            [file for file in files if self._is_new(file, has.get(file.path))]
        )

    def count(
        self,
        owner: str,
        files: list[SourceFile],
        before: list[Artifact],
        after: list[Artifact],
    ) -> None:
        """Count the files of a run or a logged model on both sides."""
        if not self._options.artifacts:
            return
        had = {file.path for file in before}
        has = {file.path: file for file in after}
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
                    f"{owner}: no store of Loopline's takes a file named {file.path!r}. "
                    "Rename it in the source and run the import again."
                )
            elif not alike:
                self._tally.differ(
                    f"{owner}: the file {file.path!r} is another one here; --update "
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


def _fits(path: str) -> bool:
    try:
        return check_artifact_path(path) == path
    except InvalidInputError:
        return False
