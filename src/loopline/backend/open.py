"""Opening the backend that an address means."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.settings import Address

__all__ = ["open_backend"]


def open_backend(address: Address) -> Backend:
    """Open a home, a database or a server; nothing heavy is imported before this."""
    if address.kind == "http":
        from loopline.backend.http import HttpBackend

        return HttpBackend(address)
    from loopline.backend.local import LocalBackend

    return LocalBackend(address)
