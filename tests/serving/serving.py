"""A real serving process's inside: on a free port, in a thread of the test's own process."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.server.running import ask

from loopline.serving.serve import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.running import Answer

__all__ = ["invoke", "predictions", "serving"]


@contextmanager
def serving(*addresses: str, **options: Any) -> Iterator[str]:  # noqa: ANN401 - those of `serve`
    """Serve models while the block runs; gives the URL."""
    stop, ready = threading.Event(), threading.Event()
    urls: list[str] = []
    problems: list[BaseException] = []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    def run() -> None:
        try:
            serve(addresses, port=0, stop=stop, on_ready=on_ready, **options)
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            problems.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(60), "it did not start"
        if problems:
            raise problems[0]
        yield urls[0]
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive(), "it did not stop"
    assert not problems


def invoke(
    url: str, body: object, content_type: str = "application/json", path: str = "/invocations"
) -> Answer:
    """Ask a model; what is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(url, "POST", path, data, {"Content-Type": content_type})


def predictions(answer: Answer) -> Any:  # noqa: ANN401 - JSON
    """Take the predictions out of an answer that must be good."""
    assert answer.status == 200, answer.text
    return json.loads(answer.body)["predictions"]
