"""The short road: requests that only record, answered without a task and an application for each.

A client logs a metric a request, ten thousand of them a second, and most of what uvicorn and ASGI
do for a request (a task, an event, messages, two writes) is of no use to these. So the protocol
asks here first. Whatever is not plain goes the long road, which answers as it always does: what the
gate refuses, who must be looked up, a body that is wrong. Nothing is let in here that
``Checks`` does not let in.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import Request

from loopline.records.identity import Caller
from loopline.server import wire
from loopline.server.errors import answer_of
from loopline.server.mlflow.recorder import Recorder
from loopline.server.sites import SECURITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.routing import Route
    from starlette.types import Scope

    from loopline.server.checks import Checks
    from loopline.server.guarded import GuardedRoute

__all__ = ["MOST_BYTES", "Memory", "ShortRoad"]

#: Bytes of a body that may wait for its end without a road.
MOST_BYTES = 64 * 1024

_DONE = b"".join(
    [
        b"content-length: 2\r\ncontent-type: " + wire.JSON.encode() + b"\r\n",
        *(b"%b: %b\r\n" % header for header in SECURITY_HEADERS),
    ]
)


class Memory:
    """What a connection's last request showed, and was let in with: the next shows the same.

    Attributes:
        address: Path of the request.
        headers: All but the length of its body.
        caller: Who asked, where the server asks nobody.
    """

    __slots__ = ("address", "caller", "headers")

    def __init__(self) -> None:
        self.address = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.caller: Caller | None = None


class ShortRoad:
    """Takes requests that only record, for one event loop.

    Args:
        checks: What lets requests in; the gate has the same.
        routes: Of the application.
    """

    def __init__(self, checks: Checks, routes: Iterable[Route]) -> None:
        self._checks = checks
        self._recorders: dict[bytes, Recorder] = {
            route.path.encode(): route.endpoint
            for route in routes
            if isinstance(route.endpoint, Recorder) and not route.param_convertors
        }

    def leads(self, address: bytes) -> bool:
        """Tell whether a POST to an address may go this way."""
        return address in self._recorders

    def take(
        self,
        scope: Scope,
        body: bytes,
        memory: Memory,
        done: Callable[[Exception | None], None],
    ) -> bool:
        """Take a request, and call ``done`` once its facts are durable or refused.

        Args:
            scope: As ASGI has it.
            body: All of it.
            memory: Of its connection.
            done: Called in the event loop, never from within this.

        Returns:
            False: it must go the long road. Nothing has happened.
        """
        address: bytes = scope["raw_path"]
        recorder = self._recorders[address]
        try:
            caller = self._let_in(scope, address, memory)
            if caller is None:
                return False
            facts = recorder.facts(wire.header(scope, b"content-type"), body)
        except Exception:  # noqa: BLE001 - found again on the long road, and answered there
            return False
        if not recorder.commits.permits(facts, caller):
            return False
        checks = self._checks
        checks.inside += 1

        def leave(refusal: Exception | None) -> None:
            checks.inside -= 1
            done(refusal)

        recorder.commits.put(facts, leave)
        return True

    def _let_in(self, scope: Scope, address: bytes, memory: Memory) -> Caller | None:
        """Tell whose request it is; None: the gate has to see it."""
        checks = self._checks
        shown = [header for header in scope["headers"] if header[0] != b"content-length"]
        if shown == memory.headers and address == memory.address:
            if checks.crowd() is not None:
                return None
            if memory.caller is not None:
                return memory.caller
        headers = Headers(scope=scope)
        route: GuardedRoute | None = checks.route(scope)
        if checks.refusal(scope, headers, route) is not None:
            return None
        caller = checks.caller(scope, headers, route)
        if not isinstance(caller, Caller):
            return None
        # What somebody may do can change at any time; where nobody is asked it cannot.
        memory.address, memory.headers = address, shown
        memory.caller = caller if checks.identity is None else None
        return caller

    @staticmethod
    def write(
        scope: Scope,
        refusal: Exception | None,
        standing: list[tuple[bytes, bytes]],
        *,
        is_last: bool,
    ) -> bytes:
        """Write the answer as it goes over the wire.

        Args:
            scope: Of the request.
            refusal: Why nothing was taken; None: it was.
            standing: Headers that each answer of the server has, as the date.
            is_last: The connection is closed after it.
        """
        parts = [b"%b: %b\r\n" % header for header in standing]
        if is_last:
            parts.append(b"connection: close\r\n")
        if refusal is None:
            return b"".join([b"HTTP/1.1 200 OK\r\n", *parts, _DONE, b"\r\n{}"])
        answer = answer_of(Request(scope), refusal)
        phrase = HTTPStatus(answer.status_code).phrase
        said = {name for name, _ in answer.raw_headers}
        more = [header for header in SECURITY_HEADERS if header[0] not in said]
        parts += [b"%b: %b\r\n" % header for header in (*answer.raw_headers, *more)]
        return b"".join(
            [
                f"HTTP/1.1 {answer.status_code} {phrase}\r\n".encode(),
                *parts,
                b"\r\n",
                bytes(answer.body),
            ]
        )
