"""Copies of files between folders and buckets, as a task."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.blobs.objects import is_bucket_url, open_objects
from loopline.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from loopline.flows.task import Task
from loopline.records.base import Record
from loopline.settings import expanded
from loopline.tasks.given import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.blobs.objects import Objects

__all__ = ["CopiedFile", "CopyFiles", "found_at"]


class CopiedFile(Record, frozen=True, kw_only=True):
    """A file that lies at the target now.

    Attributes:
        target: Its path or address.
        size_bytes: Its length.
        is_new: Whether it was written now; not when one was there and is kept.
    """

    target: str
    size_bytes: int
    is_new: bool = True


class CopyFiles(Task):
    """Copy a file, or all files below a folder or prefix.

    Places are paths, or addresses like ``s3://bucket/folder``, ``gs://bucket/folder`` and
    ``az://container/folder``; credentials come from the environment where the task runs. Each file
    is at its target whole, or not at all.

    Args:
        source: What to copy.
        to: Where to: a folder or prefix when the source is one or when this ends with ``/``,
            else the file's own new name.
        if_exists: What to do about a file that is there: ``"replace"``, ``"keep"`` one of the same
            length (for a copy that is tried again), or ``"refuse"``.
        **options: As ``Task`` has them.
    """

    def __init__(
        self,
        source: str | None = None,
        to: str | None = None,
        *,
        if_exists: str = "replace",
        **options: Any,  # noqa: ANN401 - as Task has them
    ) -> None:
        if if_exists not in {"replace", "keep", "refuse"}:
            msg = f"if_exists={if_exists!r} is unknown. Use replace, keep or refuse."
            raise InvalidInputError(msg)
        self.source = source
        self.to = to
        self.if_exists = if_exists
        super().__init__(**options)

    def run(self, source: str | None = None, to: str | None = None) -> list[CopiedFile]:
        """Copy; return what is at the target now, by name.

        Raises:
            NotFoundError: There is nothing at the source.
            AlreadyExistsError: With ``"refuse"``: there is such a file at the target.
        """
        files = _open(expanded(str(needed(self, "source", source, self.source))))
        where = expanded(str(needed(self, "to", to, self.to)))
        one = files.single
        if one is not None and not where.endswith("/") and not _is_folder(where):
            where, _, name = where.rpartition("/")
            return [self._copy(files, one, _open_target(where or "."), name)]
        goal = _open_target(where)
        return [
            self._copy(files, file, goal, one.key.rpartition("/")[2] if one else file.key)
            for file in files.found()
        ]

    def _copy(self, files: _Place, file: _File, goal: _Place, name: str) -> CopiedFile:
        there = goal.size(name)
        if there is not None and self.if_exists == "refuse":
            msg = f'{goal.address(name)} is there already. Remove it, or use if_exists="replace".'
            raise AlreadyExistsError(msg)
        is_kept = there == file.size_bytes and self.if_exists == "keep"
        if not is_kept:
            goal.take(name, files, file.key)
        return CopiedFile(target=goal.address(name), size_bytes=file.size_bytes, is_new=not is_kept)


class _File(NamedTuple):
    """A file below a place."""

    key: str
    size_bytes: int


class _Place:
    """A folder or a prefix of a bucket; ``single`` is set when it is about one file in it."""

    single: _File | None = None

    def found(self) -> Iterator[_File]:
        """List the files, by name."""
        raise NotImplementedError

    def size(self, name: str) -> int | None:
        """Tell how long a file is; None when there is none."""
        raise NotImplementedError

    def address(self, name: str) -> str:
        """Name a file for people."""
        raise NotImplementedError

    def chunks(self, name: str) -> Iterator[bytes]:
        """Read a file."""
        raise NotImplementedError

    def local(self, name: str) -> Path | None:
        """Tell a file's path, if it has one."""
        del name
        return None

    def take(self, name: str, source: _Place, key: str) -> None:
        """Write a file from another place, whole or not at all."""
        raise NotImplementedError


class _Folder(_Place):
    def __init__(self, root: Path, single: str = "") -> None:
        self._root = root
        if single:
            self.single = _File(single, (root / single).stat().st_size)

    def found(self) -> Iterator[_File]:
        if self.single is not None:
            yield self.single
            return
        for folder, folders, names in os.walk(self._root):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                yield _File(path.relative_to(self._root).as_posix(), path.stat().st_size)

    def size(self, name: str) -> int | None:
        path = self._path(name)
        return path.stat().st_size if path.is_file() else None

    def address(self, name: str) -> str:
        return str(self._path(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        with self._path(name).open("rb") as file:
            while data := file.read(1 << 20):
                yield data

    def local(self, name: str) -> Path:
        return self._path(name)

    def take(self, name: str, source: _Place, key: str) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=".loopline-", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                for chunk in source.chunks(key):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            origin = source.local(key)
            if origin is not None:
                shutil.copystat(origin, part)
            else:
                Path(part).chmod(0o666 & ~_umask())  # mkstemp's files are for their owner alone.
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise

    def _path(self, name: str) -> Path:
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or "\\" in name:
            msg = f"{name!r} would lie outside {self._root}. Copy such objects one by one."
            raise InvalidInputError(msg)
        return self._root / name


class _Bucket(_Place):
    def __init__(self, objects: Objects, single: _File | None = None) -> None:
        self._objects = objects
        self.single = single

    def found(self) -> Iterator[_File]:
        if self.single is not None:
            yield self.single
            return
        # Consoles make empty objects that stand for folders.
        yield from sorted(
            _File(found.key, found.size_bytes)
            for found in self._objects.list("")
            if not (found.size_bytes == 0 and found.key.endswith("/"))
        )

    def size(self, name: str) -> int | None:
        found = self._objects.find(name)
        return None if found is None else found.size_bytes

    def address(self, name: str) -> str:
        return f"{self._objects.where}/{name}"

    def chunks(self, name: str) -> Iterator[bytes]:
        chunks = self._objects.read(name)
        if chunks is None:
            msg = f"{self.address(name)} went away while it was copied. Try again."
            raise NotFoundError(msg)
        return chunks

    def take(self, name: str, source: _Place, key: str) -> None:
        path = source.local(key)
        if path is not None:
            self._objects.put_file(name, path)
            return
        with tempfile.NamedTemporaryFile(prefix="loopline-copy-") as file:
            for chunk in source.chunks(key):
                file.write(chunk)
            file.flush()
            self._objects.put_file(name, Path(file.name))


def _open(where: str) -> _Place:
    """Open what is to be copied.

    Raises:
        NotFoundError: Nothing is there.
    """
    if not is_bucket_url(where):
        path = Path(where)
        if path.is_dir():
            return _Folder(path)
        if path.is_file():
            return _Folder(path.parent, path.name)
    else:
        parent, _, name = where.rpartition("/")
        if name and is_bucket_url(parent):
            objects = open_objects(parent)
            found = objects.find(name)
            if found is not None:
                return _Bucket(objects, _File(name, found.size_bytes))
        place = _Bucket(open_objects(where))
        if next(iter(place.found()), None) is not None:
            return place
    msg = f"There is nothing at {where}. Check the path or the address."
    raise NotFoundError(msg)


def _open_target(where: str) -> _Place:
    if is_bucket_url(where):
        return _Bucket(open_objects(where.rstrip("/")))
    return _Folder(Path(where))


def _is_folder(where: str) -> bool:
    return not is_bucket_url(where) and Path(where).is_dir()


def found_at(where: str) -> int | None:
    """Tell how many bytes lie at a path or address, of all files together; None: no file does."""
    try:
        return sum(file.size_bytes for file in _open(where).found())
    except NotFoundError:
        return None


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
