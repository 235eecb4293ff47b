"""Where the kept bytes of a data version lie among a run's files, and when they are whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.rules.manifest import manifest_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ARRAYS_FILE", "ARRAY_FILE", "TABLE_FILE", "is_whole_snapshot", "snapshot_folder"]

TABLE_FILE = "data.parquet"
ARRAY_FILE = "data.npy"
ARRAYS_FILE = "data.npz"


def snapshot_folder(digest: str) -> str:
    """Tell the folder of a run that holds the bytes of a data version."""
    return f"datasets/{digest}"


def is_whole_snapshot(kind: str, digest: str, files: Sequence[tuple[str, str]]) -> bool:
    """Whether all of a data version is there: a process may have died between two files.

    Args:
        kind: Of the data version.
        digest: Its digest.
        files: (path below the snapshot's folder, SHA-256 in hex) of what is there.
    """
    if kind == "folder":
        return bool(files) and manifest_digest(files) == digest
    if kind == "file":
        return [sha256 for _, sha256 in files] == [digest]
    return [path for path, _ in files] in ([TABLE_FILE], [ARRAY_FILE], [ARRAYS_FILE])
