"""Listening: a socket that says why it cannot be had, TLS, and uvicorn that drops nothing.

What the server of the store and the one of models share; it imports nothing of either.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import signal
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from loopline.errors import ConflictError, ForbiddenError, InvalidInputError, LooplineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["StoppableServer", "bind", "check_tls", "is_loopback", "is_wildcard", "url_of"]

#: Connections that may wait to be accepted.
BACKLOG = 2048


def url_of(host: str, port: int, *, tls: bool) -> str:
    """Write the address at which a server answers."""
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def check_tls(certificate: str, key: str) -> None:
    """Try the files of a certificate and its key, before anybody is served.

    Raises:
        InvalidInputError: They are none, do not belong together, or the key has a password.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        msg = (
            f"--tls: {certificate} and {key} are no certificate and the key of it that can be "
            f"used ({error}). Give both as PEM files, the key without a password."
        )
        raise InvalidInputError(msg) from error


class StoppableServer(uvicorn.Server):
    """uvicorn's server, stopped by an event too, that leaves the process alive afterwards."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        stop: threading.Event,
        ready: Callable[[str], None] | None,
        url: str,
    ) -> None:
        super().__init__(config)
        self._stop = stop
        self._ready = ready
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say so."""
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready(self._url)

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether somebody wants it to stop."""
        return await super().on_tick(counter) or self._stop.is_set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM, and do not raise them again: a stop is no failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def leave(_signal: int, _frame: FrameType | None) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        before = {
            number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def bind(host: str, port: int) -> socket.socket:
    """Listen on a port; 0 takes any free one.

    Raises:
        ConflictError: It is in use.
        ForbiddenError: It is for administrators.
        InvalidInputError: The host is none of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # The protocol is named for asyncio, which sets TCP_NODELAY only then: without it each
        # small answer waits some 40 ms for the client's acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (OSError, OverflowError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Already here, so that a second server on this port fails now and not in its loop.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _cannot_listen(host: str, port: int, error: Exception) -> LooplineError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return ConflictError(
            f"Port {port} is in use on {host}. Stop what listens there, or choose another: "
            "--port 0 takes any free one."
        )
    if number == errno.EACCES:
        return ForbiddenError(
            f"Port {port} is for administrators. Choose one above 1023 with --port."
        )
    return InvalidInputError(
        f"Cannot listen on {host}:{port} ({error}). Give --host an address of this machine."
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_wildcard(host: str) -> bool:
    """Whether it stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == ""
