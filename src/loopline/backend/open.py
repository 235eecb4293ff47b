"""Opening the backend that an address means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loopline.errors import NotFoundError
from loopline.settings import HOME_FOLDER

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.settings import Address

__all__ = ["check_is_there", "open_backend"]


def check_is_there(address: Address) -> None:
    """Refuse the address of a folder or SQLite file that nothing was ever recorded to.

    For who only reads: opening would make what a mistyped address names. A server or another
    database says itself that it is not there.

    Raises:
        NotFoundError: There is no store; the message says what to do.
    """
    if address.kind == "home":
        path = Path(address.text)
        if path.exists() and not path.is_dir():
            return  # Opening says what it is instead.
        names = ("loopline.db", "journal")
        if any((path / name).exists() for name in names):
            return
        inside = path / HOME_FOLDER
        meant = f" Did you mean {inside}?" if (inside / names[0]).exists() else ""
        where = f"in the folder {path}"
    elif address.kind == "database" and address.text.startswith("sqlite:"):
        path = Path(address.text.partition(":///")[2])
        if not path.name or path.exists():
            return
        meant, where = "", f"at {address}"
    else:
        return
    msg = (
        f"There is no store {where}.{meant} Check the address; a store is made where the first "
        "run is recorded to, or by `loopline init` for a project."
    )
    raise NotFoundError(msg)


def open_backend(address: Address) -> Backend:
    """Open a home, a database or a server; nothing heavy is imported before this."""
    if address.kind == "http":
        from loopline.backend.http import HttpBackend

        return HttpBackend(address)
    from loopline.backend.local import LocalBackend

    return LocalBackend(address)
