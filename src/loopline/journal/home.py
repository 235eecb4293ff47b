"""The home folder: made here, because the journal is the first thing that needs it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopline.disk import NO_ROOM, make_folder
from loopline.errors import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.errors import LooplineError

__all__ = ["make_home", "needing_home"]

_SQLITE = b"SQLite format 3\0"


def make_home(home: Path) -> None:
    """Make a home folder; git is told to leave it alone.

    Raises:
        InvalidInputError: There is a file where the folder would be.
        BackendUnavailableError: It cannot be made there.
    """
    with needing_home(home):
        make_folder(home)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


@contextmanager
def needing_home(home: Path) -> Iterator[None]:
    """Say of a home that cannot be written to what it is instead, and what to do.

    Raises:
        InvalidInputError: There is a file where the folder would be.
        BackendUnavailableError: It, or something in it, cannot be made.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise  # Told elsewhere, where it is known what is safe.
        raise _unusable(home, error) from error


def _unusable(home: Path, error: OSError) -> LooplineError:
    there = next((path for path in (home, *home.parents) if path.exists()), home)
    if there.is_dir():
        return BackendUnavailableError(
            f"The home {home} cannot be written ({error.strerror or error}), so nothing can be "
            "recorded there. Make it writable, or record elsewhere: set LOOPLINE_URI, or "
            "LOOPLINE_HOME for what waits to be sent."
        )
    step = "Give a folder, http(s)://host:port of a `loopline server`, or a database URL."
    if there.is_file() and _is_sqlite(there):
        step = (
            f"It is an SQLite database: write sqlite:///{there} if Loopline made it, and bring it "
            f"in with `loopline import mlflow {there}` if MLflow did."
        )
    return InvalidInputError(f"{there} is no folder, which a home of Loopline is. {step}")


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False
