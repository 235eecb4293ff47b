"""A path below which a proxy shows the server, such as ``/loopline`` of a company's one host.

Inside nobody knows of it: it is taken off what comes, if the proxy has left it there, and put
before every address of our own that goes out, in pages (``pages.html``) and redirects.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Prefixed", "here", "prefix_of"]

_prefix: ContextVar[str] = ContextVar("loopline_prefix", default="")


def prefix_of(public_url: str) -> str:
    """Read the path of a server's address, without a slash at its end; empty: none."""
    return urlsplit(public_url).path.rstrip("/")


def here(address: str) -> str:
    """Write an address of this server such that a browser finds it; others stay as they are."""
    return f"{_prefix.get()}{address}" if address.startswith("/") else address


class Prefixed:
    """ASGI middleware in front of everything.

    Args:
        app: What is behind it.
        prefix: Such as ``"/loopline"``.
    """

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on as if there were no prefix."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [self._led(*each) for each in message["headers"]]}
            await send(message)

        token = _prefix.set(self._prefix)
        try:
            await self._app(self._without(scope), receive, sending)
        finally:
            _prefix.reset(token)

    def _without(self, scope: Scope) -> Scope:
        path: str = scope["path"]
        if path != self._prefix and not path.startswith(f"{self._prefix}/"):
            return scope  # The proxy has taken it off.
        raw: bytes = scope.get("raw_path") or path.encode()
        start = len(self._prefix)
        return {**scope, "path": path[start:] or "/", "raw_path": raw[start:] or b"/"}

    def _led(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        if name.lower() == b"location" and value.startswith(b"/"):
            return name, self._prefix.encode() + value
        return name, value
