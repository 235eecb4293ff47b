"""The data of a run, found again: where they were if they are unchanged, else the kept bytes."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.data.buckets import is_bucket_url
from loopline.data.snapshots import fetch
from loopline.data.uses import digests_of
from loopline.data.versions import dataset
from loopline.errors import IntegrityError, LooplineError
from loopline.records.operations import FindSnapshot
from loopline.records.reproduction import DataFound

if TYPE_CHECKING:
    from loopline.backend.recorder import Recorder
    from loopline.records.tracking import Dataset, RunInput

__all__ = ["check_all_there", "find_data", "place_data"]


def find_data(recorder: Recorder, inputs: list[RunInput]) -> list[DataFound]:
    """Find each data version that a run read; what is gone is told, not raised."""
    return [_find(recorder, one) for one in inputs]


def check_all_there(found: list[DataFound]) -> None:
    """Refuse to go on without data that the run read from a file.

    Raises:
        IntegrityError: Some are gone; the message names each.
    """
    gone = [one for one in found if one.how == "gone"]
    if gone:
        told = "\n".join(f"  {one.name} ({one.digest[:12]}): {one.note}" for one in gone)
        msg = (
            f"Of the data that it read, {len(gone)} cannot be had any more:\n{told}\nBring them "
            "back to where they were, and keep data with loopline.data.snapshot(...) from now on."
        )
        raise IntegrityError(msg)


def place_data(found: list[DataFound], folders: dict[str, str]) -> dict[str, str]:
    """Say where the data are now, and put them where the code looks for them.

    Data below a folder that moved (the repository, say) are linked to the same place below the
    new one.

    Args:
        found: From ``find_data``.
        folders: New folders by old ones.

    Returns:
        New places by old ones, of data that are elsewhere now.
    """
    moved = {}
    for one in found:
        source = posixpath.normpath(one.source)
        if not one.place or not posixpath.isabs(source):
            continue
        for old, new in folders.items():
            if source.startswith(f"{old}/"):
                target = Path(new) / posixpath.relpath(source, old)
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.symlink_to(one.place)
                break
        else:
            if one.place != one.source:
                moved[source] = one.place
    return moved


def _find(recorder: Recorder, one: RunInput) -> DataFound:
    data = one.dataset

    def told(how: str, *, place: str = "", note: str = "") -> DataFound:
        return DataFound(
            name=data.name,
            digest=data.digest,
            context=one.context,
            how=how,
            source=data.source,
            place=place,
            note=note,
        )

    is_path = posixpath.isabs(data.source)
    if not is_path and not is_bucket_url(data.source):
        return told("code")
    same, why = _is_same(data)
    if same:
        return told("source", place=data.source if is_path else "")
    kept = recorder.call(FindSnapshot(digest=data.digest))
    if kept is not None and kept.dataset.kind in {"file", "folder"}:
        return told("snapshot", place=str(fetch(recorder, kept)))
    if kept is not None:
        why += "; the table in it was kept (loopline.data.load), but not the file itself"
        return told("gone", note=why)
    return told("gone", note=f"{why}, and nobody kept them")


def _is_same(data: Dataset) -> tuple[bool, str]:
    """Tell whether a source still has the content it had, or why not."""
    if not is_bucket_url(data.source) and not Path(data.source).exists():
        return False, f"{data.source} is not there any more"
    try:
        if data.kind == "table":
            digests = digests_of(data.source)
        else:
            digests = [dataset(data.source, profile=False).digest]
    except LooplineError as error:
        return False, f"{data.source} cannot be read ({error})"
    if data.digest in digests:
        return True, ""
    return False, f"{data.source} has changed: its digest is {digests[0][:12]} now"
