"""Folders of files that are kept by their whole paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.records.tracking import Artifact

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["children"]


def children(files: Iterable[Artifact], folder: str) -> list[Artifact]:
    """Tell what lies in a folder (empty: at the top): files, and the folders next below.

    Args:
        files: Files by their whole paths, those outside the folder, too.
        folder: Without a slash at its end.
    """
    start = f"{folder}/" if folder else ""
    found: dict[str, Artifact] = {}
    for file in files:
        if file.path.startswith(start):
            name, slash, _ = file.path[len(start) :].partition("/")
            path = start + name
            found.setdefault(path, Artifact(path=path, is_dir=True) if slash else file)
    return list(found.values())
