"""Where care is taken: the store and the blobs behind an address, on this machine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopline.backend.local import LocalBackend
from loopline.backend.open import check_is_there
from loopline.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.settings import Address

__all__ = ["home_path", "open_here"]


@contextmanager
def open_here(address: Address, what: str) -> Iterator[LocalBackend]:
    """Open a home or a database.

    Args:
        address: Where.
        what: The command, for the message.

    Raises:
        UnsupportedError: The address is a server, whose files are not at hand.
        NotFoundError: There is no store.
    """
    if address.kind == "http":
        msg = (
            f"`loopline {what}` works on the files themselves, which {address} keeps on its own "
            f"machine. Run it there, with --uri and the address that the server was started on."
        )
        raise UnsupportedError(msg)
    check_is_there(address)
    backend = LocalBackend(address)
    try:
        yield backend
    finally:
        backend.close()


def home_path(address: Address) -> Path | None:
    """Tell the home's folder; None for a database elsewhere."""
    from pathlib import Path

    return Path(address.text) if address.kind == "home" else None
