"""Copying a version to another store: its files, what was measured, and where it is from."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.errors import IntegrityError, NotFoundError
from loopline.records.facts import Batch
from loopline.records.operations import RegisterVersion

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.operations import ResolveModel
    from loopline.records.registry import ModelVersion
    from loopline.records.tracking import Artifact

__all__ = ["copy_between"]


def copy_between(
    source: Backend, target: Backend, which: ResolveModel, name: str, *, actor: str = ""
) -> ModelVersion:
    """Make the next version of a model in another store from a version in this one.

    Its files are there before it is. It keeps description, tags, metrics, params and the id of
    its run, which may not be there; its source and its history say where it came from.

    Args:
        source: Has the version.
        target: Gets it.
        which: Which version.
        name: The model it becomes a version of there; made when missing.
        actor: Who copies.

    Raises:
        NotFoundError: There is no such version, or it has no files.
        IntegrityError: Bytes are not those that were registered.
    """
    resolved = source.call(which)
    was = resolved.version
    if not resolved.files:
        msg = f"Version {was.version} of {was.name!r} has no files that could be copied."
        raise NotFoundError(msg)
    _bring(source, target, resolved.files)
    made = target.call(
        RegisterVersion(
            name=name,
            run_id=was.run_id,
            description=was.description,
            tags=was.tags,
            source=f"models:/{was.name}/{was.version}",
            run_link=was.run_link,
            allow_empty=True,
            files=resolved.files,
            metrics=was.metrics,
            params=was.params,
            reason=f"copied from version {was.version} of {was.name} at {source.address}",
            actor=actor,
        )
    )
    if made.digest != was.digest:
        msg = (
            f"Version {made.version} of {name!r} has other files than version {was.version} of "
            f"{was.name!r}. Delete it, and copy again."
        )
        raise IntegrityError(msg)
    return made


def _bring(source: Backend, target: Backend, files: list[Artifact]) -> None:
    """Have the target keep the bytes of files; those it has are fetched, but not sent."""
    nothing = Batch(writer=uuid.uuid4().hex, start=0, end=0, facts=[])
    with tempfile.TemporaryDirectory(prefix="loopline-copy-") as folder:
        places = {file.sha256: Path(folder) / file.sha256 for file in files}
        source.fetch_blobs(places)
        target.deliver(nothing, places)
