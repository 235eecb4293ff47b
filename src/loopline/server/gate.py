"""The gate in front of every route: deny by default, and the same security headers on every answer.

What a request must be like to be let in is written in ``loopline.server.checks`` and ``sites``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse

from loopline.errors import LooplineError, NotSignedInError
from loopline.records.identity import Caller
from loopline.server.callers import is_called_by
from loopline.server.checks import check_permission
from loopline.server.errors import body_of, error_response, plain_error
from loopline.server.sites import SAFE_METHODS, SECURITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from loopline.server.checks import Checks
    from loopline.server.guarded import GuardedRoute
    from loopline.server.threads import Threads

__all__ = ["Gate"]


class Gate:
    """ASGI middleware that lets a request in, or answers why not.

    Args:
        app: What is behind the gate.
        checks: What lets requests in.
        on_fault: Answers what nobody foresaw, so that nothing of the inside leaks.
        threads: Where the store is asked who somebody is.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        checks: Checks,
        on_fault: Callable[[Request, Exception], Awaitable[Response]],
        threads: Threads,
    ) -> None:
        self._app = app
        self._checks = checks
        self._on_fault = on_fault
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, then hand it on with the security headers on its answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008, "reason": "Not served here."})
            return
        sender = _Sender(send)
        headers = Headers(scope=scope)
        route = self._checks.route(scope)
        refusal = self._checks.refusal(scope, headers, route)
        if refusal is not None:
            await _refused(refusal)(scope, receive, sender)
            return
        self._checks.inside += 1
        try:
            try:
                caller = await self._caller(scope, headers, route)
            except LooplineError as error:
                answer = await self._not_let_in(error, Request(scope, receive), route)
                await answer(scope, receive, sender)
                return
            is_called_by(caller)
            await self._app(scope, self._apart_from_waiting(receive), sender)
        except Exception as error:
            # Half an answer cannot be taken back: then the connection must break, so that the
            # client sees that something is missing.
            if sender.has_started:
                raise
            answer = await self._on_fault(Request(scope, receive), error)
            await answer(scope, receive, sender)
        finally:
            self._checks.inside -= 1

    def _apart_from_waiting(self, receive: Receive) -> Receive:
        """Leave out of the requests inside who waits for the rest of a body.

        Otherwise a few hundred half-sent requests would keep everybody else out.
        """
        is_whole = False

        async def received() -> Message:
            nonlocal is_whole
            if is_whole:  # What still comes is only that the client went away.
                return await receive()
            self._checks.inside -= 1
            try:
                message = await receive()
            finally:
                self._checks.inside += 1
            is_whole = not message.get("more_body", False)
            return message

        return received

    async def _caller(self, scope: Scope, headers: Headers, route: GuardedRoute | None) -> Caller:
        """Tell who asks, with a look into the store where that is not known; see ``Checks``."""
        caller = self._checks.caller(scope, headers, route)
        if isinstance(caller, Caller):
            return caller
        identity = self._checks.identity
        assert identity is not None  # noqa: S101 - or nobody would show who they are
        assert route is not None  # noqa: S101 - as before
        address = (scope.get("client") or ("", 0))[0]
        found = await self._threads.run(identity.look_up, caller, address)
        check_permission(route, found)
        return found

    async def _not_let_in(
        self, error: LooplineError, request: Request, route: GuardedRoute | None
    ) -> Response:
        """Answer who is not let in; people who look for a page are asked who they are."""
        is_page = route is not None and route.is_page and request.method in SAFE_METHODS
        shows_nothing = isinstance(error, NotSignedInError) and (
            "authorization" not in request.headers
        )
        if is_page and shows_nothing:
            query = f"?{request.url.query}" if request.url.query else ""
            wanted = quote(f"{request.url.path}{query}", safe="/")
            return RedirectResponse(f"/login?next={wanted}", 303)
        if route is not None and route.is_page:
            return await self._on_fault(request, error)
        return await error_response(request, error)


def _refused(error: LooplineError) -> Response:
    body = body_of(error)
    return plain_error(error.status, body.pop("error_code"), body.pop("message"), **body)


class _Sender:
    """Puts the security headers on an answer, and knows whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_started = True
            headers = message.setdefault("headers", [])
            said = {name.lower() for name, _ in headers}
            headers.extend(header for header in SECURITY_HEADERS if header[0] not in said)
        await self._send(message)
