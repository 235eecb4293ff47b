"""What a request must be like to be let in: its host, its origin, who asks, and for what.

Host and origin are in ``loopline.server.sites``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.errors import ForbiddenError, LooplineError, NotSignedInError
from loopline.records.identity import Access, Caller
from loopline.rules.access import NEEDED, may_do, scope_in_the_way, widest_role
from loopline.server.errors import TooBusyError
from loopline.server.guarded import PUBLIC, GuardedRoute
from loopline.server.identity import credential_of
from loopline.server.route_index import RouteIndex
from loopline.server.sites import SAFE_METHODS, Sites, check_own_page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import Headers
    from starlette.routing import Route
    from starlette.types import Scope

    from loopline.server.identity import Credential, Identity

__all__ = ["Checks", "check_permission"]

SIGN_IN = (
    "This server wants to know who asks. Send a token: in LOOPLINE_TOKEN, or MLFLOW_TRACKING_TOKEN "
    "for MLflow's clients; a browser signs in at /login."
)

#: Requests that may be inside at once; more are told to come back. A thousand clients that wait
#: for one slow sync of the disk are no reason to refuse any.
MOST_REQUESTS = 2048


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
        self._sites = Sites(allowed_hosts, public_url=public_url)

    def route(self, scope: Scope) -> GuardedRoute | None:
        """Find a request's route."""
        route = self._index.find(scope)
        # A route that declares nothing is as good as no route: see check_permission.
        return route if route is None or isinstance(route, GuardedRoute) else _UNDECLARED

    def refusal(
        self, scope: Scope, headers: Headers, route: GuardedRoute | None
    ) -> LooplineError | None:
        """Tell what is wrong with a request, whoever asks; None: nothing."""
        is_page = route is not None and route.is_page
        return self._sites.refusal(scope, headers, is_page=is_page) or self.crowd()

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
            check_own_page(headers)
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
