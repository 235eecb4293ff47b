"""Files as the warehouse: Parquet and CSV in a folder, or below a bucket's prefix, asked in SQL."""

from __future__ import annotations

import os
import time
import uuid
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.backend.recorder import current_home
from loopline.data.formats import format_of
from loopline.errors import InvalidInputError, NotFoundError, UnsupportedError
from loopline.warehouses.base import quoted
from loopline.warehouses.duck import Engine, need_duckdb
from loopline.warehouses.given import fitting, given_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EVERYTHING", "FilesWarehouse"]

#: The table of all files below the place.
EVERYTHING = "files"
_FORMATS = {"parquet": "read_parquet", "csv": "read_csv"}


class _File(NamedTuple):
    """A file below the place: its path there, and where its bytes are on this machine."""

    name: str
    local: Path


class FilesWarehouse(Engine):
    """Each folder below the place is a table, and each file right in it, by its name.

    The table ``files`` is all of them together. Files of a bucket are brought to the home's cache
    when they are asked for, once for each ETag. Files are added and never changed, so ``append``
    writes a new one and ``replace``, which could not be done at once, is refused.
    """

    def __init__(self, url: str) -> None:
        """Take a folder, a file, or a bucket's URL; nothing is read yet."""
        need_duckdb()
        self._bucket = "://" in url and not url.startswith("file://")
        if self._bucket:
            self.url = url.rstrip("/")
        else:
            self._root = Path(url.removeprefix("file://")).expanduser().resolve()
            self.url = f"file://{self._root}"

    def tables(self) -> list[str]:
        """Name the tables."""
        return sorted(self._tables())

    def file_names(self) -> list[str]:
        """Name all files, relative to the place."""
        return [file.name for file in self._files()]

    @contextmanager
    def connection(self, *, write: bool = False) -> Iterator[Any]:
        """Open a DuckDB in memory in which each table is a view over its files."""
        del write
        duckdb = need_duckdb()
        with duckdb.connect() as connection:
            for name, files in self._tables().items():
                sql = f"CREATE VIEW {quoted(name)} AS {_reading(files)}"
                try:
                    connection.execute(sql)
                except duckdb.Error as error:
                    msg = f"Table {name!r} of {self.url} cannot be read: {error}"
                    raise InvalidInputError(msg) from None
            yield connection

    def append(self, table: str, data: Any) -> int:  # noqa: ANN401
        """Add a Parquet file with these rows, which is there whole or not at all."""
        import pyarrow as pa
        from pyarrow import parquet

        if self._bucket or not (self._root.is_dir() or not self._root.exists()):
            msg = f"Rows are appended to folders and databases, not to {self.url}."
            raise UnsupportedError(msg)
        given = given_rows(data)
        there = self._tables().get(table)
        known = None if there is None else self.arrow_schema(table)
        folder = self._root if table == EVERYTHING else self._root / table
        is_folder = len(Path(table).parts) == 1 and not table.startswith(".")
        if not is_folder or (there and not folder.is_dir()):
            msg = f"{table!r} is no folder of {self.url}. Name one, such as 'trips'."
            raise InvalidInputError(msg)
        parts = list(fitting(given, known, table=table))
        whole = pa.concat_tables(parts) if parts else given.schema.empty_table()
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"
        partial = folder / f".{name}"
        try:
            parquet.write_table(whole, partial, compression="zstd")
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(folder / name)
        finally:
            partial.unlink(missing_ok=True)
        return int(whole.num_rows)

    def replace(self, table: str, data: Any, *, check: bool = True) -> int:  # noqa: ANN401
        """Refuse: who reads a folder meanwhile would see some of the old files and some new."""
        del data, check
        msg = (
            f"{table!r} is files in {self.url}, which cannot all be replaced at once. Append to "
            "it, write a new folder, or keep the table in a DuckDB file: warehouse('taxi.duckdb')."
        )
        raise UnsupportedError(msg)

    def _tables(self) -> dict[str, list[_File]]:
        found: dict[str, list[_File]] = {}
        for file in self._files():
            top, _, rest = file.name.partition("/")
            name = top if rest else top.partition(".")[0]
            found.setdefault(name, []).append(file)
            found.setdefault(EVERYTHING, []).append(file)
        return {
            name: files
            for name, files in found.items()
            if len({format_of(file.name) for file in files}) == 1
        }

    def _files(self) -> list[_File]:
        """List the files that hold tables, in the order of their names."""
        if self._bucket:
            return self._objects()
        if self._root.is_file():
            return [_File(self._root.name, self._root)]
        if not self._root.is_dir():
            return []
        found = [
            _File(path.relative_to(self._root).as_posix(), path)
            for path in self._root.rglob("*")
            if path.is_file()
        ]
        return sorted(file for file in found if _is_table(file.name))

    def _objects(self) -> list[_File]:
        from loopline.blobs.obstore_objects import open_bucket, translated

        obstore, store, key = open_bucket(self.url, "Reading a bucket as a warehouse")
        prefix = key.rstrip("/")
        found = []
        try:
            metas = [meta for page in obstore.list(store, prefix=prefix or None) for meta in page]
        except Exception as error:
            raise translated(error, self.url) from error
        if not metas:
            msg = f"There is nothing at {self.url}. Check the bucket and the key."
            raise NotFoundError(msg)
        for meta in metas:
            name = meta["path"][len(prefix) :].lstrip("/") or meta["path"].rpartition("/")[2]
            if _is_table(name):
                found.append(_File(name, self._fetched(obstore, store, meta)))
        return sorted(found)

    def _fetched(self, obstore: Any, store: Any, meta: Any) -> Path:  # noqa: ANN401 - obstore's
        """Bring an object to the cache, once for each of its ETags."""
        tag = meta.get("e_tag") or str(meta["last_modified"])
        key = sha256(f"{self.url}\0{meta['path']}\0{meta['size']}\0{tag}".encode()).hexdigest()
        ending = (
            ".parquet"
            if format_of(meta["path"]) == "parquet"
            else "".join(Path(meta["path"]).suffixes[-2:])
        )
        target = current_home() / "cache" / "warehouse" / f"{key}{ending}"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{uuid.uuid4().hex}")
            try:
                with partial.open("wb") as file:
                    for chunk in obstore.get(store, meta["path"]).stream(min_chunk_size=1 << 22):
                        file.write(bytes(chunk))
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
        return target


def _is_table(name: str) -> bool:
    hidden = any(part.startswith((".", "_")) for part in name.split("/"))
    return format_of(name) in _FORMATS and not hidden


def _reading(files: list[_File]) -> str:
    """Write the SELECT over files; columns are matched by their names."""
    paths = ", ".join("'" + str(file.local).replace("'", "''") + "'" for file in files)
    reader = _FORMATS[format_of(files[0].name)]
    return f"SELECT * FROM {reader}([{paths}], union_by_name = true)"  # noqa: S608 - escaped
