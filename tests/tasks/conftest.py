"""A home of its own for each test, and a server that answers as it is told."""

from __future__ import annotations

import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

import pytest

import loopline
from loopline.backend.recorder import close_recorders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    folder = tmp_path / "home"
    loopline.set_tracking_uri(folder)
    yield folder
    close_recorders()
    loopline.set_tracking_uri(None)


class Answer(NamedTuple):
    """What the server says; ``path`` is where to go on, for a redirect."""

    status: int = 200
    body: bytes = b"{}"
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    after_s: float = 0.0


class Asked(NamedTuple):
    """What the server was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Gives prepared answers in turn, and the last of them for ever."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque([Answer()])
        self.asked: list[Asked] = []
        self._stop = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append(Asked(self.command, self.path, headers, self.rfile.read(length)))
                answers = outer.answers
                answer = answers.popleft() if len(answers) > 1 else answers[0]
                if answer.after_s and outer._stop.wait(answer.after_s):
                    return
                self.send_response(answer.status)
                self.send_header("content-type", answer.kind)
                self.send_header("content-length", str(len(answer.body)))
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def will_answer(self, *answers: Answer) -> None:
        self.answers = deque(answers)

    def close(self) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


@pytest.fixture
def other_server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()
