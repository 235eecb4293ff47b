"""HTTP connections that are kept open, shared by threads, and dropped by forked children."""

from __future__ import annotations

import http.client
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

from loopline.errors import BackendUnavailableError, InvalidInputError
from loopline.settings import authorization

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    from loopline.settings import Address

    #: Bytes, or a function that opens the body from its start for each attempt.
    Body: TypeAlias = "Callable[[], Readable] | bytes | None"

__all__ = ["Answer", "Connections", "Readable"]

T = TypeVar("T")

#: Connections kept while nobody uses them.
MOST_IDLE = 8

#: Bytes of a file that are sent at a time.
BLOCK_BYTES = 1 << 18

#: Seconds to wait for a connection to be made.
CONNECT_S = 5.0

#: Pauses before a request that broke off is sent again. The first costs nothing: mostly a kept
#: connection was closed by the server just as we used it.
PAUSES_S = (0.0, 0.3)


class Readable(Protocol):
    """The body of a request, read in parts."""

    def read(self, size: int = ..., /) -> bytes:
        """Give the next bytes, at most so many; empty at the end."""
        ...


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Connections:
    """Connections to one server.

    Args:
        address: Of kind ``"http"``; a path in it is put before every other.
        timeout_s: Seconds to wait for each part of an answer.

    Raises:
        InvalidInputError: When the address names no host.
    """

    def __init__(self, address: Address, *, timeout_s: float) -> None:
        parts = urlsplit(address.text)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if not parts.hostname or port == -1:
            msg = f"{address} is no server address. Write it like http://localhost:5050."
            raise InvalidInputError(msg)
        self._address = address
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = port
        self._prefix = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._headers = {"User-Agent": "loopline"}
        if signed := authorization(address):
            self._headers["Authorization"] = signed
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        _ALL.add(self)

    def exchange(
        self,
        method: str,
        path: str,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and read its whole answer; send it again when the connection broke.

        Args:
            method: Such as ``"POST"``.
            path: From the server's root.
            body: Bytes, or a function that opens the body from its start for each attempt.
            headers: Such as the content type.

        Raises:
            BackendUnavailableError: When the server cannot be reached, breaks off again and
                again, or does not answer in time.
        """
        return self._retry(lambda: self._exchange_once(method, path, body, headers or {}))

    def attempt(
        self, method: str, path: str, body: Body, headers: Mapping[str, str]
    ) -> Answer | None:
        """Send a request once; None when the connection broke before its answer was whole.

        Raises:
            BackendUnavailableError: When the server cannot be reached, or does not answer in time.
        """
        try:
            return self._exchange_once(method, path, body, headers)
        except _BrokenOffError:
            self.close()
            return None

    @contextmanager
    def stream(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Ask for ``path``, with a body by POST, and give the answer to read in parts.

        Raises:
            BackendUnavailableError: As ``exchange`` says; errors while reading are raised as
                they come.
        """
        connection, answer = self._retry(
            lambda: self._start("GET" if body is None else "POST", path, body, headers or {})
        )
        try:
            yield answer
        finally:
            # http.client calls an answer closed also when it ended early: then a length is left.
            if answer.isclosed() and not answer.length and not answer.will_close:
                self._give_back(connection)
            else:
                answer.close()  # It may own the socket; then closing the connection does nothing.
                connection.close()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def forget(self) -> None:
        """Drop, in a forked child, what belongs to the parent."""
        self._lock = threading.Lock()  # Another thread may have held it when the fork came.
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()  # Only this process's copy: the parent's stays open.

    def _retry(self, attempt: Callable[[], T]) -> T:
        for pause_s in PAUSES_S:
            try:
                return attempt()
            except _BrokenOffError:
                self.close()  # The other kept connections are likely as dead as this one was.
                time.sleep(pause_s)
        try:
            return attempt()
        except _BrokenOffError as error:
            msg = f"{self._address} broke off the answer ({error.__cause__!r}). {self._next_step()}"
            raise BackendUnavailableError(msg) from error.__cause__

    def _exchange_once(
        self, method: str, path: str, body: Body, headers: Mapping[str, str]
    ) -> Answer:
        connection, answer = self._start(method, path, body, headers)
        try:
            content = answer.read()
        except BaseException as error:
            answer.close()
            connection.close()
            if isinstance(error, TimeoutError):
                raise self._too_slow() from None
            if isinstance(error, OSError | http.client.HTTPException):
                raise _BrokenOffError from error
            raise
        if answer.will_close:
            connection.close()
        else:
            self._give_back(connection)
        return Answer(answer.status, answer.headers, content)

    def _start(
        self, method: str, path: str, body: Body, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send a request and read the head of its answer."""
        connection = self._take()
        try:
            try:
                connection.request(
                    method,
                    self._prefix + path,
                    body() if callable(body) else body,
                    {**self._headers, **headers},
                )
            except (BrokenPipeError, ConnectionResetError):
                # A server that refuses a long body answers and hangs up before its end.
                if not callable(body):
                    raise
            return connection, connection.getresponse()
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise self._too_slow() from None
            if isinstance(error, OSError | http.client.HTTPException):
                raise _BrokenOffError from error
            raise

    def _take(self) -> http.client.HTTPConnection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=CONNECT_S, blocksize=BLOCK_BYTES)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            msg = f"Cannot reach {self._address} ({error}). {self._next_step()}"
            raise BackendUnavailableError(msg) from None
        connection.sock.settimeout(self._timeout_s)
        return connection

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _too_slow(self) -> BackendUnavailableError:
        return BackendUnavailableError(
            f"{self._address} did not answer within {self._timeout_s:g} seconds; the request may "
            "or may not have been carried out. Look at the server's log."
        )

    def _next_step(self) -> str:
        return f"Is `loopline server` running there? Check with: curl {self._address}/health"


class _BrokenOffError(Exception):
    """The connection ended before the answer did; its cause says how."""


_ALL: WeakSet[Connections] = WeakSet()


def _forget_all() -> None:
    for connections in list(_ALL):
        connections.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
