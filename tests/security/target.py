"""What is attacked: a real server process, and a canary that hears whatever it would fetch."""

from __future__ import annotations

import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import unquote

from tests.server.running import Answer, ask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["JSON", "MLFLOW", "Canary", "Target", "check_answer"]

JSON = {"Content-Type": "application/json"}
MLFLOW = "/api/2.0/mlflow/"

#: What a server may answer to a caller's mistake, or to more than it has room for.
HONEST = {501, 503, 507}
#: Words of the inside: of databases, of Python, of this machine's folders.
LEAKS = re.compile(
    rb"(?i)traceback|sqlalchemy|sqlite3?\.|psycopg|select .+? from |insert into|\bll_[a-z]+\b"
    rb"|site-packages|loopline/store|\.py\b"
)


def check_answer(answer: Answer, said: bytes) -> Answer:
    """Check that an answer is no fault of the server and tells nothing of its inside.

    What somebody said himself may be repeated.
    """
    shown = (said[:300], answer.status, answer.body[:500])
    assert answer.status < 500 or answer.status in HONEST, shown
    if answer.status >= 400:
        leak = LEAKS.search(answer.body)
        assert leak is None or leak[0] in said, shown
    return answer


class Canary:
    """A listener on this machine that nobody has a reason to call.

    Attributes:
        heard: First bytes of each connection.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heard.append(f"{self.command} {self.path}")
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815 - as the library wants it

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Target(NamedTuple):
    """A server with a run, a file, a model and its version.

    Attributes:
        home: Folder of the store; what lies beside it is none of the server's business.
    """

    url: str
    port: int
    home: Path
    run_id: str
    canary: Canary

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = JSON
    ) -> Answer:
        """Send a request as it is; whatever is answered must be no fault."""
        answer = ask(self.url, method, path, body, headers, timeout_s=30)
        return check_answer(answer, f"{method} {unquote(path)} ".encode() + (body or b""))

    def post(self, path: str, fields: object, method: str = "POST") -> Answer:
        """Call a route of MLflow's protocol."""
        return self.send(method, MLFLOW + path, json.dumps(fields).encode())

    def made(self, path: str, fields: object) -> Any:  # noqa: ANN401 - any JSON
        """Call a route that must come off."""
        answer = self.post(path, fields)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def talk(self, said: bytes, *, timeout_s: float = 5) -> bytes:
        """Say raw bytes on a connection, and hear until it is closed or silent for that long."""
        heard = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as connection:
            connection.sendall(said)
            try:
                while part := connection.recv(65_536):
                    heard += part
            except (TimeoutError, ConnectionError):
                pass
        return heard

    @property
    def host(self) -> bytes:
        """The ``Host`` header, as a line."""
        return f"Host: 127.0.0.1:{self.port}\r\n".encode()
