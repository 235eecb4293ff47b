"""Other stores on the same folder of blobs: what they need is not garbage either."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from loopline.care.databases import read_only
from loopline.care.references import read_references
from loopline.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

    from loopline.backend.local import LocalBackend

__all__ = ["Neighbours"]


class Neighbours:
    """The stores that share a folder of blobs with one.

    Args:
        backend: The one.
        also: Addresses that can be opened, for stores that are known by an address without a
            password only, or not at all.
    """

    def __init__(self, backend: LocalBackend, also: Iterable[str] = ()) -> None:
        self._backend = backend
        self._also = [each if "://" in each else _database(each) for each in also]

    def references(self) -> set[bytes]:
        """Read every blob that these stores name.

        Raises:
            ConflictError: One cannot be read; then nothing may be deleted.
        """
        given = {_shown(each): each for each in self._also}
        found: set[bytes] = set()
        for where in {*self._noted(), *given}:
            found |= _read(given.get(where, where), self._backend.blobs.where)
        return found

    def _noted(self) -> set[str]:
        stores = set(self._backend.blobs.noted_stores())
        folder = self._backend.blobs.folder
        # A home's own database leaves no note in its blobs.
        beside = None if folder is None else folder.resolve().parent / "loopline.db"
        if beside is not None and beside.exists():
            stores.add(str(beside))
        own = self._backend.store.where
        stores.discard(own if "://" in own else str(Path(own).resolve()))
        # What a restore had kept aside in this home, and somebody has deleted since.
        return {
            each
            for each in stores
            if "://" in each
            or Path(each).exists()
            or beside is None
            or not each.startswith(str(beside.with_name("before-restore-")))
        }


def _read(where: str, root: str) -> set[bytes]:
    opened = _remote(where) if "://" in where else read_only(Path(where))
    try:
        with opened as connection:
            return read_references(connection).everything
    except SQLAlchemyError as error:
        msg = (
            f"{where} keeps blobs in {root}, too, and cannot be asked which ones it needs "
            f"({type(error).__name__}). Give an address with which it opens: --also URI. If it is "
            f"gone for good: --forget {where}"
        )
        raise ConflictError(msg) from error


@contextmanager
def _remote(where: str) -> Iterator[Connection]:
    engine = create_engine(_with_driver(where))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _with_driver(where: str) -> str:
    url = make_url(where)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url.render_as_string(hide_password=False)


def _shown(where: str) -> str:
    return make_url(where).render_as_string(hide_password=True) if "://" in where else where


def _database(folder: str) -> str:
    path = Path(folder).expanduser().resolve()
    return str(path / "loopline.db" if path.is_dir() else path)
