"""Paths of files, as a file system would have them: what is a file has nothing below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from sqlalchemy import ColumnElement, Connection, Table

__all__ = ["ArtifactPaths", "below"]


def below(table: Table, folder: str) -> ColumnElement[bool]:
    """Say which files lie below a folder, as a range: wildcards of LIKE could stand in its path."""
    return (table.c.path >= f"{folder}/") & (table.c.path < f"{folder}0")  # "/" + 1 is "0".


class ArtifactPaths:
    """What is a file and what a folder, in the store and among the files that a batch brings."""

    def __init__(self, connection: Connection, table: Table, owner: ColumnElement[Any]) -> None:
        self._connection = connection
        self._table = table
        self._owner = owner
        self._files: set[tuple[Hashable, str]] = set()
        self._folders: set[tuple[Hashable, str]] = set()

    def take(self, whose: Hashable, pk: int | None, path: str) -> None:
        """Take a file's path. One look-up in an index, unless the owner is new.

        Args:
            whose: Tells the owner from others.
            pk: Its number, None while it has none.
            path: Checked before.

        Raises:
            InvalidInputError: It is a folder already, or a part of it is a file.
        """
        if (whose, path) in self._files:
            return
        above = list(_above(path))
        file = next((each for each in above if (whose, each) in self._files), None)
        is_folder = (whose, path) in self._folders
        if file is None and not is_folder and pk is not None:
            file, is_folder = self._find(pk, path, above)
        if is_folder:
            msg = f"Invalid path: '{path}' is a folder, with files in it. Use another name."
            raise InvalidInputError(msg)
        if file is not None:
            msg = f"Invalid path: '{file}' is a file, with nothing below it. Use another name."
            raise InvalidInputError(msg)
        self._files.add((whose, path))
        self._folders.update((whose, each) for each in above)

    def _find(self, pk: int, path: str, above: list[str]) -> tuple[str | None, bool]:
        table = self._table
        stands = or_(table.c.path.in_(above), below(table, path)) if above else below(table, path)
        query = select(table.c.path).where(self._owner == pk, stands).limit(1)
        found = self._connection.execute(query).scalar_one_or_none()
        if found is None:
            return None, False
        return (None, True) if found.startswith(f"{path}/") else (found, False)


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
