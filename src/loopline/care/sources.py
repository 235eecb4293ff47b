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


#: What no backup in one file has: its members are kept in memory.
MOST_MEMBERS = 5_000_000
#: About as many blobs in a manifest.
MOST_MANIFEST_BYTES = 500_000_000


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
            path = self._root / name
            if path.is_file():  # A pipe or a device in its place would never end.
                with path.open("rb") as file:
                    yield name, file


class _Archive:
    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self._tar = tar
        # The manifest is the last file: a copy that broke off does not have it.
        found = [info for info in _members(tar, path) if info.name == NAME and _is_plain(info)]
        if not found:
            raise _interrupted(path)
        if found[-1].size > MOST_MANIFEST_BYTES:
            msg = f"The manifest of {path} is too long to be one. Restore from another backup."
            raise IntegrityError(msg)
        file = tar.extractfile(found[-1])
        self.manifest = decode_manifest(b"" if file is None else file.read(), path)

    def files(self) -> Iterator[tuple[str, BinaryIO]]:
        # In the archive's order, for a compressed one can only be read forwards. Nothing is ever
        # extracted by the name that it has in there: those of the manifest are looked for.
        wanted = dict(_sizes(self.manifest))
        for info in self._tar.getmembers():
            if _is_plain(info) and wanted.get(info.name) == info.size:
                del wanted[info.name]
                file = self._tar.extractfile(info)
                if file is not None:
                    with file:
                        yield info.name, file  # type: ignore[misc]


def _names(manifest: Manifest) -> Iterator[str]:
    return (name for name, _ in _sizes(manifest))


def _sizes(manifest: Manifest) -> Iterator[tuple[str, int]]:
    yield manifest.database.path, manifest.database.size_bytes
    for digest, size in manifest.blobs:
        yield f"{BLOBS}/{blob_path(digest)}", size


def _members(tar: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    for count, info in enumerate(tar):
        if count > MOST_MEMBERS:
            msg = f"{path} has over {MOST_MEMBERS:,} members. Restore from a backup in a folder."
            raise IntegrityError(msg)
        yield info


def _is_plain(info: tarfile.TarInfo) -> bool:
    """Tell whether a member is a file as we write them: no link, device, or file with holes."""
    return info.isreg() and not info.issparse()


def _interrupted(path: Path) -> IntegrityError:
    return IntegrityError(
        f"The backup in {path} was interrupted before it was whole: it has no manifest. Run "
        "`loopline backup` again, or restore from another one."
    )
