"""A proxy in front of a real server that writes down every request that passes."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Passed", "counting"]


class Passed:
    """Requests that passed, such as ``"POST /api/v1/facts"``.

    Attributes:
        url: Of the proxy.
        requests: All, in order.
        cut_after: Bytes of an answer after which its connection breaks, once; 0: never.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[str] = []
        self.cut_after = 0

    @contextmanager
    def noted(self) -> Iterator[list[str]]:
        """Gather the requests of a block, without the signs of life that each process gives."""
        before = len(self.requests)
        found: list[str] = []
        yield found
        found += [each for each in self.requests[before:] if not each.endswith("/heartbeat")]


@contextmanager
def counting(target: str) -> Iterator[Passed]:
    """Pass requests on to the server at ``target``, and count them."""
    parts = urlsplit(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:
                self.close_connection = True

        def pass_on(self) -> None:
            passed.requests.append(f"{self.command} {self.path}")
            length = int(self.headers.get("Content-Length") or 0)
            connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name != "Host"}
            connection.request(self.command, self.path, self.rfile.read(length), headers)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            size = answer.headers["Content-Length"] if self.command == "HEAD" else len(body)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            if 0 < passed.cut_after < len(body):
                self.wfile.write(body[: passed.cut_after])
                passed.cut_after = 0
                self.close_connection = True
                return
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = pass_on  # noqa: N815

        def log_message(self, *_args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    passed = Passed(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield passed
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
