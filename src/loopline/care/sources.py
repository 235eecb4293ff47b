"""Reading a backup back, from its folder or its tar file."""

from __future__ import annotations

import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from loopline.care.files import blob_path
from loopline.care.manifest import NAME, Manifest, decode_manifest
from loopline.care.targets import BLOBS, LOCK
from loopline.errors import IntegrityError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["Source", "open_source"]


class Source(Protocol):
    """A whole backup."""

    manifest: Manifest

    def files(self) -> Iterator[tuple[str, BinaryIO]]:
        """Give each file of the manifest that is there: its path, and its bytes to read now."""
        ...


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a backup.

    Raises:
        NotFoundError: There is none.
        IntegrityError: It is not whole, or its manifest is damaged.
    """
    path = path.expanduser().absolute()
    if path.is_dir():
        yield _Folder(path)
        return
    if not path.exists():
        msg = f"No backup at {path}. Make one with `loopline backup {path}`."
        raise NotFoundError(msg)
    try:
        with tarfile.open(path) as tar:
            yield _Archive(path, tar)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        msg = f"{path} is no whole tar file ({error}). Restore from another backup."
        raise IntegrityError(msg) from error


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            data = (root / NAME).read_bytes()
        except FileNotFoundError:
            if (root / LOCK).exists() or (root / BLOBS).exists():
                raise _interrupted(root) from None
            msg = f"{root} holds no backup. Make one with `loopline backup {root}`."
            raise NotFoundError(msg) from None
        self.manifest = decode_manifest(data, root)

    def files(self) -> Iterator[tuple[str, BinaryIO]]:
        for name in _names(self.manifest):
            try:
                file = (self._root / name).open("rb")
            except FileNotFoundError:
                continue
            with file:
                yield name, file


class _Archive:
    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self._tar = tar
        # The manifest is the last file: a copy that broke off does not have it.
        names = tar.getnames()
        if NAME not in names:
            raise _interrupted(path)
        found = tar.extractfile(NAME)
        self.manifest = decode_manifest(b"" if found is None else found.read(), path)

    def files(self) -> Iterator[tuple[str, BinaryIO]]:
        # In the archive's order, for a compressed one can only be read forwards.
        wanted = set(_names(self.manifest))
        for info in self._tar.getmembers():
            if info.name in wanted and info.isreg():
                wanted.discard(info.name)
                file = self._tar.extractfile(info)
                if file is not None:
                    with file:
                        yield info.name, file  # type: ignore[misc]


def _names(manifest: Manifest) -> Iterator[str]:
    yield manifest.database.path
    for digest, _size in manifest.blobs:
        yield f"{BLOBS}/{blob_path(digest)}"


def _interrupted(path: Path) -> IntegrityError:
    return IntegrityError(
        f"The backup in {path} was interrupted before it was whole: it has no manifest. Run "
        "`loopline backup` again, or restore from another one."
    )
