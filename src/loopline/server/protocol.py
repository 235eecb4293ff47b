"""HTTP/1.1 for uvicorn, parsed by httptools: a deadline and a bound for headers, and a short road.

A request that only records (``loopline.server.short_road``) is held until its body has come, and
then answered from here. Any other one, and whatever is not plain about this one, is uvicorn's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from loopline.server.short_road import MOST_BYTES, Memory

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from starlette.types import Scope

    from loopline.server.short_road import ShortRoad

__all__ = ["DeadlineProtocol", "protocol_with"]

#: Seconds in which the headers of a request must be whole.
HEADERS_S = 15.0
#: Bytes that may come before they are: the gate refuses with a reason what is half as long.
MOST_HEAD_BYTES = 64 * 1024
#: Seconds that an idle client has to answer the end of TLS when the server stops.
GOODBYE_S = 0.5
#: Seconds for which a request is held for its body; who is slower takes the long road.
HOLD_S = 0.1


class DeadlineProtocol(HttpToolsProtocol):
    """Closes a connection that opens, or begins a request, and never finishes its headers.

    uvicorn itself closes only connections that are idle after an answer, so that a thousand
    half-sent requests would hold a thousand connections for good; and it keeps headers however
    many there are.
    """

    #: Where requests are taken that only record; None: nowhere.
    short_road: ShortRoad | None = None

    _deadline: asyncio.TimerHandle | None = None
    _is_in_head = False
    _head_bytes = 0
    #: What has come of the body of a request that is held.
    _held: list[bytes] | None = None
    _held_bytes = 0
    _memory: Memory

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._memory = Memory()
        self._arm(HEADERS_S)

    def data_received(self, data: bytes) -> None:
        """Stop the clock when the headers are whole; start it when a next request begins."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._disarm()
            return
        if self._held is not None:
            self._disarm()
            self._arm(HOLD_S)
            return
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._give_up()
                return
        if self._deadline is None:
            self._arm(HEADERS_S)

    def on_message_begin(self) -> None:
        """Count from here."""
        self._is_in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Count no more; hold what may take the short road."""
        self._is_in_head = False
        road = self.short_road
        if (
            road is not None
            and road.leads(self.url)
            and (self.cycle is None or self.cycle.response_complete)
            and self.parser.get_method() == b"POST"
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
        ):
            self._held, self._held_bytes = [], 0
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hold it, or pass it on."""
        if self._held is None:
            super().on_body(body)
            return
        self._held.append(body)
        self._held_bytes += len(body)
        if self._held_bytes > MOST_BYTES:
            self._let_go()

    def on_message_complete(self) -> None:
        """Take a request that was held, or let it go the long road."""
        if self._held is not None:
            if self._take(b"".join(self._held)):
                self._held = None
                return
            self._let_go()
        super().on_message_complete()

    def _take(self, body: bytes) -> bool:
        assert self.short_road is not None  # noqa: S101 - what is held is held for it
        scope: Any = self.scope
        scope["method"] = "POST"
        scope["path"], scope["raw_path"] = self.url.decode("ascii"), self.url
        scope["query_string"] = b""
        # As uvicorn has it: HTTP/1.0 ends with its answer.
        stays = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        answered = _Answered(self, scope, keep_alive=stays)
        if not self.short_road.take(scope, body, self._memory, answered.done):
            return False
        self.cycle = answered  # type: ignore[assignment]
        return True

    def _let_go(self) -> None:
        """Give what is held to uvicorn, as if it came only now."""
        held, self._held = self._held, None
        self._disarm()
        super().on_headers_complete()
        for part in held or ():
            super().on_body(part)

    def shutdown(self) -> None:
        """Finish what has begun; a request that is held has."""
        if self._held is not None:
            self._let_go()
        super().shutdown()
        if self.scheme == "https" and self.transport.is_closing():
            # TLS waits for the client's goodbye, which an idle one says when it next looks.
            self.loop.call_later(GOODBYE_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._disarm()
        self._held = None
        super().connection_lost(exc)

    def _arm(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._disarm()
        if self._held is not None:
            self._let_go()
        elif not self.transport.is_closing():
            self.transport.close()


class _Answered:
    """A request on the short road, in the place of uvicorn's cycle of a request.

    uvicorn asks these of it: whether it is over, that its client has gone, and that the connection
    shall end after it.
    """

    __slots__ = (
        "_protocol", "_scope", "disconnected", "keep_alive", "message_event", "response_complete",
    )  # fmt: skip

    def __init__(self, protocol: DeadlineProtocol, scope: Scope, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self._scope = scope
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False
        self.message_event = self

    def set(self) -> None:
        """Pass over that something came: nobody waits for it."""

    def done(self, refusal: Exception | None) -> None:
        """Answer."""
        protocol = self._protocol
        self.response_complete = True
        if self.disconnected:  # The facts are kept, or are refused, all the same.
            return
        road = protocol.short_road
        assert road is not None  # noqa: S101 - it came that way
        standing = protocol.server_state.default_headers
        protocol.transport.write(
            road.write(self._scope, refusal, standing, is_last=not self.keep_alive)
        )
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()


def protocol_with(road: ShortRoad | None) -> type[DeadlineProtocol]:
    """Make the class of protocols of one server."""
    return type("Protocol", (DeadlineProtocol,), {"short_road": road})
