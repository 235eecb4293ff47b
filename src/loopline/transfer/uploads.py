"""Files on their way: looked at, hashed, and kept in the blob store before any fact names them."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loopline.blobs.digest import hash_file
from loopline.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from loopline.backend.protocol import Backend
    from loopline.transfer.source import SourceFile

__all__ = ["Kept", "Uploads", "hash_of"]

#: Files on their way at once: what they wait for is the disk's sync or the network.
TOGETHER = 4


class Kept(NamedTuple):
    """A file that the blob store has.

    Attributes:
        path: Its path as the source's file has it.
    """

    path: str
    sha256: str
    size_bytes: int
    at_ms: int


class Uploads:
    """Brings files into a blob store, a few at a time."""

    def __init__(self, backend: Backend, *, on_bytes: Callable[[int], None]) -> None:
        """Use a backend.

        Args:
            backend: Whose blob store it is.
            on_bytes: Told of each file's length when it is there.
        """
        self._backend = backend
        self._on_bytes = on_bytes
        self._pool = ThreadPoolExecutor(TOGETHER, thread_name_prefix="loopline-import")

    def keep(self, files: Iterable[SourceFile]) -> list[Kept]:
        """Keep files; answer what they are once all of them are durable.

        Raises:
            OSError: A file cannot be read.
            IntegrityError: A file is not what its source says it is.
        """
        kept: list[Kept] = []
        for one in self._pool.map(self._keep, files):
            self._on_bytes(one.size_bytes)
            kept.append(one)
        return kept

    def close(self) -> None:
        """Stop; what is on its way is finished, what waits is dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _keep(self, file: SourceFile) -> Kept:
        with on_disk(file) as path:
            sha256, size_bytes = self._backend.put_blob(path)
        if file.sha256 and file.sha256 != sha256:
            msg = (
                f"{file.path} is damaged: its SHA-256 is {sha256} and not {file.sha256}. Copy the "
                "archive again."
            )
            raise IntegrityError(msg)
        return Kept(file.path, sha256, size_bytes, file.at_ms)


@contextmanager
def on_disk(file: SourceFile) -> Iterator[Path]:
    """Give a file's path on this machine, fetching it when it lies elsewhere."""
    if file.local is not None:
        yield file.local
        return
    assert file.fetch is not None  # noqa: S101 - a file is here or can be fetched
    with tempfile.TemporaryDirectory(prefix="loopline-import-") as folder:
        path = Path(folder) / "file"
        file.fetch(path)
        yield path


def hash_of(file: SourceFile) -> str:
    """Tell the SHA-256 of a file on this machine in hex; empty for one that lies elsewhere."""
    if file.sha256 or file.local is None:
        return file.sha256
    return hash_file(file.local)
