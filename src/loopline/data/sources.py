"""What data versions are made of: each source hashes, describes and writes out its data."""

from __future__ import annotations

import contextlib
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from loopline.backend.recorder import current_home
from loopline.data.arrays import describe_arrays
from loopline.data.cache import FileCache
from loopline.data.digest import array_digest, arrays_digest, table_digest
from loopline.data.files import folder_digest, hash_file, hash_folder
from loopline.data.formats import describe_files, format_of, read_file
from loopline.data.profile import Description, describe_table
from loopline.errors import IntegrityError, InvalidInputError
from loopline.rules.snapshots import ARRAY_FILE, ARRAYS_FILE, TABLE_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

__all__ = [
    "ArraySource",
    "FileSource",
    "FolderSource",
    "Source",
    "TableSource",
    "described",
]

#: Part of the key of kept descriptions: another number, another way to describe.
DESCRIPTION_VERSION = 1
#: Rows from which on looking a description up is faster than making it.
WORTH_KEEPING = 100_000


class Source(Protocol):
    """Data that can be hashed, described, and written to files.

    Attributes:
        kind: As ``Dataset.kind`` has it.
        origin: Where the data came from, when the source knows.
        label: A name for them, when the source knows one.
    """

    kind: str
    origin: str
    label: str

    def digest(self) -> str:
        """Hash the data as they are now."""
        ...

    def forget(self) -> None:
        """Let go of what was read for the digest."""
        ...

    def size_bytes(self) -> int | None:
        """Tell how long the data are; called after ``digest``."""
        ...

    def form(self) -> str | None:
        """Tell what a description hangs on besides the digest; None: describing costs little."""
        ...

    def describe(self) -> Description:
        """Look at the data for schema, rows and profile; called after ``digest``."""
        ...

    def pieces(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Give (name, file) of all that makes up the data, written below ``folder`` if need be.

        Called after ``digest``.
        """
        ...


class TableSource:
    """A table in memory, or the answer to a query."""

    kind = "table"

    def __init__(self, read: Callable[[], pa.Table], *, origin: str = "", label: str = "") -> None:
        """Take what turns the data into an Arrow table, now and again for a snapshot."""
        self._read = read
        self._table: pa.Table | None = None
        self.origin = origin
        self.label = label

    def digest(self) -> str:
        """Hash the values; see ``loopline.data.digest``."""
        self._table = self._read()
        return table_digest(self._table)

    def size_bytes(self) -> int | None:
        """Nothing: what a table takes up depends on who holds it."""
        return None

    def form(self) -> str | None:
        """Tell the types, which the digest leaves out."""
        table = self.table()
        return None if table.num_rows < WORTH_KEEPING else _short_hash(str(table.schema.types))

    def table(self) -> pa.Table:
        """Get the table that was hashed last, or as it is now."""
        return self._read() if self._table is None else self._table

    def describe(self) -> Description:
        """Describe the table."""
        return describe_table(self.table())

    def forget(self) -> None:
        """Let go of the table that was hashed; who holds the data still does."""
        self._table = None

    def pieces(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Write the table as Parquet."""
        import pyarrow as pa
        from pyarrow import parquet

        target = folder / TABLE_FILE
        try:
            parquet.write_table(self.table(), target, compression="zstd")
        except pa.ArrowException as error:
            msg = (
                f"The table cannot be kept as Parquet ({error}). Change the column's type, or "
                "write the table to a file of another format and keep that."
            )
            raise InvalidInputError(msg) from None
        yield TABLE_FILE, target


class ArraySource:
    """An array, or arrays under names."""

    kind = "array"
    origin = ""
    label = ""

    def __init__(self, arrays: Any) -> None:  # noqa: ANN401 - an array or a mapping of them
        """Take an array of NumPy's, or a mapping from names to such."""
        self._arrays = arrays

    def _named(self) -> Mapping[str, Any]:
        return self._arrays if isinstance(self._arrays, dict) else {"array": self._arrays}

    def digest(self) -> str:
        """Hash types, shapes and bytes."""
        if isinstance(self._arrays, dict):
            return arrays_digest(self._arrays)
        return array_digest(self._arrays)

    def forget(self) -> None:
        """Nothing is held."""

    def size_bytes(self) -> int | None:
        """Tell how long all arrays are together."""
        return sum(int(array.nbytes) for array in self._named().values())

    def form(self) -> str | None:
        """Tell the names, in their order; types and shapes are in the digest."""
        named = self._named()
        cells = sum(int(array.size) for array in named.values())
        return None if cells < WORTH_KEEPING else _short_hash(str(list(named)))

    def describe(self) -> Description:
        """Describe shapes and values."""
        return describe_arrays(self._named())

    def pieces(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Write one array as ``.npy``, several as ``.npz``; never pickled."""
        import numpy as np

        if any(array.dtype.hasobject for array in self._named().values()):
            msg = (
                "An array of Python objects cannot be kept without pickle. Give it as a column "
                "of a table, or turn it into numbers or text of one width."
            )
            raise InvalidInputError(msg)
        if isinstance(self._arrays, dict):
            with (folder / ARRAYS_FILE).open("wb") as file:
                np.savez(file, allow_pickle=False, **self._arrays)
            yield ARRAYS_FILE, folder / ARRAYS_FILE
        else:
            np.save(folder / ARRAY_FILE, self._arrays, allow_pickle=False)
            yield ARRAY_FILE, folder / ARRAY_FILE


class FileSource:
    """A file: its digest is the SHA-256 of its bytes, as ``sha256sum`` prints it."""

    kind = "file"

    def __init__(self, path: Path) -> None:
        """Take the path of a file that exists."""
        self._path = path
        self._size = 0
        self.origin = str(path)
        self.label = path.name

    def digest(self) -> str:
        """Hash the bytes, or find their hash in the cache."""
        with FileCache(current_home()) as cache:
            digest, self._size = hash_file(self._path, cache)
        return digest

    def forget(self) -> None:
        """Nothing is held."""

    def size_bytes(self) -> int | None:
        """Tell how long the file is."""
        return self._size

    def form(self) -> str | None:
        """Tell the format that the file's name claims."""
        return format_of(self._path.name) or None

    def describe(self) -> Description:
        """Describe the table in the file, if it holds one."""
        return describe_files([(self._path.name, self._path)])

    def table_digest(self) -> str:
        """Hash the values of the table in the file: what the table read from it has as digest."""
        return table_digest(read_file(self._path.name, self._path))

    def pieces(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Give the file as it is."""
        del folder
        yield self._path.name, self._path


class FolderSource:
    """A folder: its digest is over the paths and contents of all files below it."""

    kind = "folder"

    def __init__(self, path: Path) -> None:
        """Take the path of a folder that exists."""
        self._path = path
        self._names: list[str] = []
        self._size = 0
        self.origin = str(path)
        self.label = path.resolve().name

    def digest(self) -> str:
        """Hash every file, or find its hash in the cache."""
        with FileCache(current_home()) as cache:
            files = hash_folder(self._path, cache)
        self._names = [file.path for file in files]
        self._size = sum(file.size_bytes for file in files)
        return folder_digest(files)

    def forget(self) -> None:
        """Nothing is held."""

    def size_bytes(self) -> int | None:
        """Tell how long all files are together."""
        return self._size

    def form(self) -> str | None:
        """Nothing more: the names of the files are in the digest."""
        return ""

    def describe(self) -> Description:
        """Describe the table that the files are parts of, if they are."""
        return describe_files([(name, self._path / name) for name in self._names])

    def pieces(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Give the files as they are."""
        del folder
        for name in self._names:
            yield name, self._path / name


def described(source: Source, digest: str) -> Description:
    """Describe a source, or find what was said of the same content before."""
    form = source.form()
    if form is None:
        return source.describe()
    key = f"{DESCRIPTION_VERSION}:{source.kind}:{form}:{digest}"
    with FileCache(current_home()) as cache:
        known = cache.document(key)
        if known is not None:
            with contextlib.suppress(msgspec.MsgspecError):
                return msgspec.json.decode(known, type=Description)
        found = source.describe()
        if found != Description():
            cache.put_document(key, msgspec.json.encode(found).decode())
        return found


def check_unchanged(digest: str, expected: str, name: str) -> None:
    """Refuse data that are no longer those that were described.

    Raises:
        IntegrityError: They changed.
    """
    if digest != expected:
        msg = (
            f"The data of {name!r} have changed since they were described: their digest was "
            f"{expected[:12]} and is {digest[:12]} now. Describe them anew with loopline.dataset."
        )
        raise IntegrityError(msg)


def _short_hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
