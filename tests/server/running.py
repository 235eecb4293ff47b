"""Real servers for tests: on a free port, in a thread of the test's own process."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from loopline.server.serve import serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loopline.settings import Address

__all__ = ["Answer", "ask", "running"]


class Answer(NamedTuple):
    """A whole answer of a server."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@contextmanager
def running(address: Address, *, port: int = 0, **options: object) -> Iterator[str]:
    """Serve an address while the block runs, with options of ``serve``; gives its URL."""
    stop, ready = threading.Event(), threading.Event()
    urls: list[str] = []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    thread = threading.Thread(
        target=serve,
        args=(address,),
        kwargs={"port": port, "stop": stop, "on_ready": on_ready, **options},
    )
    thread.start()
    try:
        assert ready.wait(20), "the server did not start"
        yield urls[0]
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive(), "the server did not stop"


def ask(
    url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 20,
) -> Answer:
    """Send one request exactly as given, on a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout_s)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()
