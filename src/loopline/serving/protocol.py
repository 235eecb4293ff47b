"""HTTP/1.1 for uvicorn: a scoring request is held until its body has come, and answered from here.

It takes neither a task nor an application for each request. What is not plain about one (it came
before the answer to the last, it waits for a word before its body) goes uvicorn's way, to the same
model.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from loopline.serving.answers import refusal
from loopline.serving.deployment import Question
from loopline.serving.errors import BodyTooLongError

if TYPE_CHECKING:
    import asyncio

    from loopline.errors import LooplineError
    from loopline.serving.answers import Answer
    from loopline.serving.service import Service

__all__ = ["DEADLINE_S", "ScoringProtocol", "protocol_of"]

#: Seconds in which a request must be whole.
DEADLINE_S = 60.0
#: Bytes that may come before its headers are.
MOST_HEAD_BYTES = 64 * 1024

_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class ScoringProtocol(HttpToolsProtocol):
    """One connection."""

    service: Service
    most_bytes: int

    #: Headers that were let in last, but for the length of the body: most requests have the same.
    _let_in: list[tuple[bytes, bytes]] | None = None
    _deadline: asyncio.TimerHandle | None = None
    _held: list[bytes] | None = None
    _held_bytes = 0
    _head_bytes = 0
    _is_in_head = False
    _is_leaving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Stop the clock when a request is whole."""
        super().data_received(data)
        if self.cycle is not None and self._held is None and not self._is_in_head:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
            return
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._give_up()
                return
        if self._deadline is None:
            self._arm()

    def on_message_begin(self) -> None:
        """Count the bytes of its headers from here."""
        self._is_in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hold what asks a model."""
        self._is_in_head = False
        path = self.url.partition(b"?")[0].decode("latin-1")
        if (
            self.parser.get_method() == b"POST"
            and self.service.leads(path)
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
        ):
            self._held, self._held_bytes = [], 0
            self.scope["path"] = path
            self.scope["raw_path"] = path.encode("latin-1")
            self.scope["method"] = "POST"
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hold it, or pass it on."""
        if self._held is None:
            super().on_body(body)
            return
        self._held_bytes += len(body)
        if self._held_bytes <= self.most_bytes:
            self._held.append(body)

    def on_message_complete(self) -> None:
        """Have the model asked."""
        held, self._held = self._held, None
        if held is None:
            super().on_message_complete()
            return
        stays = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        cycle = _Cycle(self, keep_alive=stays and not self._is_leaving)
        self.cycle = cycle  # type: ignore[assignment]
        if self._held_bytes > self.most_bytes:
            msg = (
                f"The body has more than {self.most_bytes:,} bytes. Send fewer rows at once, or "
                "serve with a higher --max-body-mb."
            )
            cycle.done(refusal(BodyTooLongError(msg)))
            return
        refused = self._refused()
        if refused is not None:
            cycle.done(refusal(refused))
            return
        content_type = accept = prediction_id = ""
        for name, value in self.headers:
            if name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"accept":
                accept = value.decode("latin-1")
            elif name == b"x-loopline-prediction-id":
                prediction_id = value.decode("latin-1")
        body = held[0] if len(held) == 1 else b"".join(held)
        try:
            deployment = self.service.find(self.scope["path"])
        except LookupError as error:
            cycle.done(refusal(error))
            return
        deployment.ask(Question(body, content_type, accept, prediction_id), cycle.done)

    def _refused(self) -> LooplineError | None:
        """Tell whether the request is of another site, or for another."""
        shown = [header for header in self.headers if header[0] != b"content-length"]
        if shown == self._let_in:
            return None
        scope: Any = self.scope  # Typed more narrowly by uvicorn than by Starlette.
        refused = self.service.sites.refusal(scope, Headers(scope=scope), is_page=False)
        self._let_in = shown if refused is None else None
        return refused

    def shutdown(self) -> None:
        """Finish what has begun; a request whose body is still coming has."""
        if self._held is not None or self._is_in_head:
            self._is_leaving = True
            return
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._held = None
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(DEADLINE_S, self._give_up)

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


class _Cycle:
    """A scoring request in the place of uvicorn's cycle of a request; it asks these of it."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "protocol", "response_complete")

    def __init__(self, protocol: ScoringProtocol, *, keep_alive: bool) -> None:
        self.protocol = protocol
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False
        self.message_event: Any = self

    def set(self) -> None:
        """Pass over that something came: nobody waits for it."""

    def done(self, answer: Answer) -> None:
        """Answer."""
        protocol = self.protocol
        self.response_complete = True
        if self.disconnected or protocol.transport.is_closing():
            return
        head = [_LINES[answer.status]]
        head += [b"%b: %b\r\n" % each for each in protocol.server_state.default_headers]
        head.append(
            b"content-type: %b\r\ncontent-length: %d\r\n" % (answer.media_type, len(answer.body))
        )
        head.append(answer.headers)
        if not self.keep_alive:
            head.append(b"connection: close\r\n")
        head += [b"\r\n", answer.body]
        protocol.transport.write(b"".join(head))
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()


def protocol_of(service: Service, *, most_bytes: int) -> type[ScoringProtocol]:
    """Make the class of protocols of one server."""
    return type("Protocol", (ScoringProtocol,), {"service": service, "most_bytes": most_bytes})
