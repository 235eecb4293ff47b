"""The gate in front of every route: hosts, origins, callers and permissions, deny by default.

A web page elsewhere can make a browser send requests to a server on this machine. Three checks
stop it: the ``Host`` must be one this server is known by (against DNS rebinding), the ``Origin``
of a write must be this very server (scheme, host and port), and a browser's own word that the
request comes from another site (``Sec-Fetch-Site``) is believed. Only following a link to a page
is allowed from elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from loopline.errors import ForbiddenError, InvalidInputError, LooplineError, NotSignedInError
from loopline.records.identity import Access, Caller
from loopline.rules.access import NEEDED, may_do, widest_role
from loopline.server.callers import is_called_by
from loopline.server.errors import (
    RefusedRequestError,
    TooBusyError,
    body_of,
    error_response,
    plain_error,
)
from loopline.server.identity import credential_of
from loopline.server.route_index import RouteIndex

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from loopline.server.identity import Identity
    from loopline.server.threads import Threads

__all__ = ["PERMISSIONS", "PUBLIC", "Gate", "GuardedRoute", "host_names"]

#: What a route may ask for. ``public`` needs no caller at all: it is for signing in, for what
#: tells nothing (``/health``, ``/version``), and for files that are the same on every server.
PUBLIC = "public"
PERMISSIONS = frozenset({PUBLIC, *NEEDED})

SIGN_IN = (
    "This server wants to know who asks. Send a token: in LOOPLINE_TOKEN, or MLFLOW_TRACKING_TOKEN "
    "for MLflow's clients; a browser signs in at /login."
)

#: Bytes that the headers of a request may have in all.
MOST_HEADER_BYTES = 32 * 1024

#: Requests that may be inside at once; more are told to come back.
MOST_REQUESTS = 512

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

#: Set on every answer that does not say otherwise itself.
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class GuardedRoute(Route):
    """A route that says which permission it needs.

    Attributes:
        permission: One of ``PERMISSIONS``.
        is_page: Whether a link elsewhere may lead here.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        permission: str,
        methods: list[str] | None = None,
        name: str | None = None,
        is_page: bool = False,
    ) -> None:
        super().__init__(path, endpoint, methods=methods, name=name)
        self.permission = permission
        self.is_page = is_page


def host_names(host: str, port: int) -> frozenset[str]:
    """List the exact ``Host`` headers of a server bound to ``host`` and ``port``.

    Every loopback name counts for a loopback bind; the port may be left out when it is 80.
    """
    names = {host}
    if host in {"127.0.0.1", "localhost", "::1"}:
        names |= {"127.0.0.1", "localhost", "::1"}
    bracketed = {f"[{name}]" if ":" in name else name for name in names}
    with_port = {f"{name}:{port}" for name in bracketed}
    return frozenset(with_port | bracketed if port == 80 else with_port)  # noqa: PLR2004 - HTTP


class Gate:
    """ASGI middleware that lets a request in, or answers why not.

    Args:
        app: What is behind the gate.
        routes: Every route there is; what none of them declares is not let through.
        allowed_hosts: Exact ``Host`` headers; empty lets every host in (``--insecure`` only).
        on_fault: Answers what nobody foresaw, so that nothing of the inside leaks.
        threads: Where the store is asked who somebody is.
        identity: Tells who asks; None: whoever reaches the server may do everything, as its
            home's owner may.
        public_url: How browsers reach the server, where that is not its own address.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Iterable[Route],
        allowed_hosts: frozenset[str],
        on_fault: Callable[[Request, Exception], Awaitable[Response]],
        threads: Threads,
        identity: Identity | None = None,
        public_url: str = "",
    ) -> None:
        self._app = app
        self._index = RouteIndex(list(routes))
        self._allowed_hosts = allowed_hosts
        self._on_fault = on_fault
        self._threads = threads
        self._identity = identity
        self._public = urlsplit(public_url)
        self._inside = 0

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
        route = self._route(scope)
        refusal = self._refusal(scope, headers, route)
        if refusal is not None:
            await _refused(refusal)(scope, receive, sender)
            return
        self._inside += 1
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
            self._inside -= 1

    def _apart_from_waiting(self, receive: Receive) -> Receive:
        """Leave out of the requests inside who waits for the rest of a body.

        Otherwise a few hundred half-sent requests would keep everybody else out.
        """
        is_whole = False

        async def received() -> Message:
            nonlocal is_whole
            if is_whole:  # What still comes is only that the client went away.
                return await receive()
            self._inside -= 1
            try:
                message = await receive()
            finally:
                self._inside += 1
            is_whole = not message.get("more_body", False)
            return message

        return received

    def _refusal(
        self, scope: Scope, headers: Headers, route: GuardedRoute | None
    ) -> LooplineError | None:
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
            return _TooManyHeadersError("The headers are too long. Send fewer cookies.")
        return (
            self._check_host(headers)
            or _check_path(scope)
            or _check_site(
                scope,
                headers,
                self._own(scope, headers),
                is_page=route is not None and route.is_page,
            )
            or self._check_room()
        )

    def _own(self, scope: Scope, headers: Headers) -> str:
        """Tell the origin of this server's own pages."""
        host = headers.get("host", "")
        if self._public.netloc and host.lower() == self._public.netloc.lower():
            return f"{self._public.scheme}://{host}"
        return f"{scope['scheme']}://{host}"

    async def _caller(self, scope: Scope, headers: Headers, route: GuardedRoute | None) -> Caller:
        """Tell who asks.

        Raises:
            NotSignedInError: Nobody whom the server knows.
            ForbiddenError: Somebody who may not use this route anywhere.
        """
        address = (scope.get("client") or ("", 0))[0]
        if self._identity is None:
            return Caller(address=address)
        # No route: the application answers 404 or 405, which tells nothing and does nothing.
        if route is None or route.permission == PUBLIC:
            return Caller(how="sign-in", address=address, access=Access())
        credential = credential_of(headers.get("authorization"), headers.get("cookie"))
        if credential is None:
            raise NotSignedInError(SIGN_IN)
        if credential.is_cookie and scope["method"] not in SAFE_METHODS:
            _check_own_page(headers)
        caller = self._identity.remembered(credential, address)
        if caller is None:
            caller = await self._threads.run(self._identity.look_up, credential, address)
        if caller.access is not None:
            _check_permission(route.permission, caller.access)
        return caller

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

    def _route(self, scope: Scope) -> GuardedRoute | None:
        route = self._index.find(scope)
        # A route that declares nothing is as good as no route: see _check_permission.
        return route if route is None or isinstance(route, GuardedRoute) else _UNDECLARED

    def _check_host(self, headers: Headers) -> LooplineError | None:
        host = headers.getlist("host")
        if len(host) != 1:
            return RefusedRequestError("Send exactly one Host header.")
        if self._allowed_hosts and host[0].lower() not in self._allowed_hosts:
            return RefusedRequestError(
                f"This server is not known as {host[0][:200]!r}. Use its own address, or start it "
                "with `loopline server --allow-host NAME:PORT`."
            )
        return None

    def _check_room(self) -> LooplineError | None:
        if self._inside < MOST_REQUESTS:
            return None
        return TooBusyError(f"{MOST_REQUESTS} requests are being answered. Retry in a second.")


class _TooManyHeadersError(RefusedRequestError):
    status = 431
    code = "INVALID_PARAMETER_VALUE"


async def _nothing(_request: object) -> None:
    """Never called: the gate refuses first."""


_UNDECLARED = GuardedRoute("/", _nothing, permission="undeclared")


def _refused(error: LooplineError) -> Response:
    body = body_of(error)
    return plain_error(error.status, body.pop("error_code"), body.pop("message"), **body)


def _check_path(scope: Scope) -> LooplineError | None:
    """Refuse what is no text: replaced by signs, two such names of files would be one."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%" not in raw:
        return None
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return InvalidInputError("The address is not UTF-8. Write names in it in UTF-8.")
    return None


def _check_permission(permission: str, access: Access) -> None:
    """Check that a caller may do this to anything at all; to what exactly, the store asks."""
    needed = NEEDED.get(permission)
    if needed is None or not may_do(widest_role(access), needed):
        msg = f"This needs the permission {permission!r}. Ask an administrator for it."
        raise ForbiddenError(msg)


def _check_own_page(headers: Headers) -> None:
    """Check that a browser's write comes from a page of this server; it was the same if any."""
    if "origin" not in headers and headers.get("sec-fetch-site") != "same-origin":
        msg = (
            "A write that only a cookie vouches for must say where it comes from (Origin). Send a "
            "token in Authorization instead."
        )
        raise RefusedRequestError(msg)


def _check_site(scope: Scope, headers: Headers, own: str, *, is_page: bool) -> LooplineError | None:
    """Refuse what a web page of another site makes a browser send."""
    writes = scope["method"] not in SAFE_METHODS
    origin = headers.get("origin")
    if origin is not None and writes and origin.lower() != own.lower():
        return RefusedRequestError(
            f"Requests from pages of {origin[:200]!r} are not taken. Use {own} itself."
        )
    if is_page and writes:
        try:
            _check_own_page(headers)
        except RefusedRequestError as error:
            return error
    site = headers.get("sec-fetch-site", "none")
    if site in {"none", "same-origin"}:
        return None
    follows_link = (
        is_page
        and not writes
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    if follows_link:
        return None
    return RefusedRequestError(f"Requests from another site are not taken. Open {own} itself.")


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
            headers.extend(header for header in _HEADERS if header[0] not in said)
        await self._send(message)
