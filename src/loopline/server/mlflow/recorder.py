"""The road of requests that only record: read, turned into facts, committed with others, answered.

It is an ASGI application of its own, with none of a framework's objects for a request: clients log
one metric a request, and ten thousand of them a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request

from loopline.server import wire
from loopline.server.bodies import read_small
from loopline.server.errors import error_response
from loopline.server.mlflow.requests import MOST_BYTES, check_is_json, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from starlette.types import Message, Receive, Scope, Send

    from loopline.records.facts import Fact
    from loopline.server.callers import PermittedCommits
    from loopline.server.mlflow.requests import Call

__all__ = ["Recorder"]

_EMPTY: Message = {"type": "http.response.body", "body": b"{}"}
_HEADERS = [(b"content-length", b"2"), (b"content-type", wire.JSON.encode())]


class Recorder:
    """Answers ``{}`` when the facts of a request are durable.

    Attributes:
        commits: Where they go.
    """

    def __init__(
        self, kind: type[Call], facts_of: Callable[[Any], list[Fact]], commits: PermittedCommits
    ) -> None:
        self._kind = kind
        self._facts_of = facts_of
        self.commits = commits

    def facts(self, content_type: str, body: bytes) -> list[Fact]:
        """Read a request.

        Raises:
            LooplineError: What is wrong with it.
        """
        check_is_json(content_type)
        return self._facts_of(parse(body, self._kind))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            content_type = wire.header(scope, b"content-type")
            check_is_json(content_type)
            body = await read_small(scope, receive, most_bytes=MOST_BYTES)
            await self.commits.record(self.facts(content_type, body))
        except Exception as error:  # noqa: BLE001 - as everywhere, each has its answer
            answer = await error_response(Request(scope, receive), error)
            await answer(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
        await send(_EMPTY)
