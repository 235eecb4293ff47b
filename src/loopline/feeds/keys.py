"""Kept sets of keys: blobs of the store, with copies in the home's cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.backend.recorder import Recorder

__all__ = ["KeptKeys"]


class KeptKeys:
    """Brings sets of keys to the store and back."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.folder = recorder.home / "cache" / "feeds"

    def keep(self, file: Path) -> str:
        """Keep a file in the store; answers its SHA-256."""
        digest, _ = self._recorder.backend.put_blob(file)
        file.replace(self.folder / f"{digest}.parquet")
        return digest

    def fetch(self, digest: str) -> Path:
        """Give the local file of a set, fetched once."""
        path = self.folder / f"{digest}.parquet"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._recorder.backend.fetch_blobs({digest: path})
        return path
