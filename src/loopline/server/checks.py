"""What a request must be like to be let in: its host, its origin, who asks, and for what.

A web page elsewhere can make a browser send requests to a server on this machine. Three checks
stop it: the ``Host`` must be one this server is known by (against DNS rebinding), the ``Origin``
of a write must be this very server (scheme, host and port), and a browser's own word that the
request comes from another site (``Sec-Fetch-Site``) is believed. Only following a link to a page
is allowed from elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from loopline.errors import ForbiddenError, InvalidInputError, LooplineError, NotSignedInError
from loopline.records.identity import Access, Caller
from loopline.rules.access import NEEDED, may_do, scope_in_the_way, widest_role
from loopline.server.errors import RefusedRequestError, TooBusyError
from loopline.server.guarded import PUBLIC, GuardedRoute
from loopline.server.identity import credential_of
from loopline.server.route_index import RouteIndex

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import Headers
    from starlette.routing import Route
    from starlette.types import Scope

    from loopline.server.identity import Credential, Identity

__all__ = ["SAFE_METHODS", "Checks", "check_permission"]

SIGN_IN = (
    "This server wants to know who asks. Send a token: in LOOPLINE_TOKEN, or MLFLOW_TRACKING_TOKEN "
    "for MLflow's clients; a browser signs in at /login."
)

#: Bytes that the headers of a request may have in all.
MOST_HEADER_BYTES = 32 * 1024

#: Requests that may be inside at once; more are told to come back. A thousand clients that wait
#: for one slow sync of the disk are no reason to refuse any.
MOST_REQUESTS = 2048

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Checks:
    """Tells whether a request may come in, and whose it is.

    Args:
        routes: Every route there is; what none of them declares is not let through.
        allowed_hosts: Exact ``Host`` headers; empty lets every host in (``--insecure`` only).
        identity: Tells who asks; None: whoever reaches the server may do everything, as its
            home's owner may.
        public_url: How browsers reach the server, where that is not its own address.

    Attributes:
        inside: Requests that were let in and are not answered yet.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        allowed_hosts: frozenset[str],
        *,
        identity: Identity | None = None,
        public_url: str = "",
    ) -> None:
        self.identity = identity
        self.inside = 0
        self._index = RouteIndex(list(routes))
        self._allowed_hosts = allowed_hosts
        self._public = urlsplit(public_url)

    def route(self, scope: Scope) -> GuardedRoute | None:
        """Find a request's route."""
        route = self._index.find(scope)
        # A route that declares nothing is as good as no route: see check_permission.
        return route if route is None or isinstance(route, GuardedRoute) else _UNDECLARED

    def refusal(
        self, scope: Scope, headers: Headers, route: GuardedRoute | None
    ) -> LooplineError | None:
        """Tell what is wrong with a request, whoever asks; None: nothing."""
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
            or self.crowd()
        )

    def caller(
        self, scope: Scope, headers: Headers, route: GuardedRoute | None
    ) -> Caller | Credential:
        """Tell who asks, or what they show, where the store must be asked about that.

        Raises:
            NotSignedInError: Nobody whom the server knows.
            ForbiddenError: Somebody who may not use this route anywhere.
        """
        address = (scope.get("client") or ("", 0))[0]
        if self.identity is None:
            return Caller(address=address)
        # No route: the application answers 404 or 405, which tells nothing and does nothing.
        if route is None or route.permission == PUBLIC:
            return Caller(how="sign-in", address=address, access=Access())
        credential = credential_of(headers.get("authorization"), headers.get("cookie"))
        if credential is None:
            raise NotSignedInError(SIGN_IN)
        if credential.is_cookie and scope["method"] not in SAFE_METHODS:
            _check_own_page(headers)
        caller = self.identity.remembered(credential, address)
        if caller is None:
            return credential
        check_permission(route, caller)
        return caller

    def crowd(self) -> LooplineError | None:
        """Tell whether there are too many requests inside for another one."""
        if self.inside < MOST_REQUESTS:
            return None
        return TooBusyError(f"{MOST_REQUESTS} requests are being answered. Retry in a second.")

    def _own(self, scope: Scope, headers: Headers) -> str:
        """Tell the origin of this server's own pages."""
        host = headers.get("host", "")
        if self._public.netloc and host.lower() == self._public.netloc.lower():
            return f"{self._public.scheme}://{host}"
        return f"{scope['scheme']}://{host}"

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


def check_permission(route: GuardedRoute, caller: Caller) -> None:
    """Check that a caller may do this to anything at all; to what exactly, the store asks.

    Raises:
        ForbiddenError: They may not.
    """
    if caller.access is None:
        return
    needed = NEEDED.get(route.permission)
    if needed is None or not may_do(widest_role(caller.access), needed):
        msg = f"This needs the permission {route.permission!r}. Ask an administrator for it."
        wanted = needed and scope_in_the_way(caller.access, needed)
        if wanted:
            msg = (
                f"This token is for {caller.access.scope.value!r} and this needs one for "
                f"{wanted.value!r}. Make it on the page /me, or with `loopline tokens create "
                f"--scope {wanted.value}`."
            )
        raise ForbiddenError(msg)


async def _nothing(_request: object) -> None:
    """Never called: the gate refuses first."""


_UNDECLARED = GuardedRoute("/", _nothing, permission="undeclared")


class _TooManyHeadersError(RefusedRequestError):
    status = 431
    code = "INVALID_PARAMETER_VALUE"


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
