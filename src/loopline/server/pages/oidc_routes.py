"""The routes by which a browser goes to an OpenID Connect provider and comes back."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import RedirectResponse

from loopline.errors import ForbiddenError, InvalidInputError
from loopline.server.guarded import PUBLIC, GuardedRoute
from loopline.server.oidc import ATTEMPT_S, CALLBACK
from loopline.server.pages.sign_in_routes import address_of, safe_next
from loopline.store.sign_in import sign_in_from_outside

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from loopline.records.identity import User
    from loopline.server.oidc import Oidc, Vouched
    from loopline.server.pages.sign_in_routes import Door
    from loopline.server.threads import Threads
    from loopline.store.database import Store

__all__ = ["oidc_routes", "start_url"]

START = "/login/oidc"
COOKIE = "loopline_oidc"


def oidc_routes(oidc: Oidc, door: Door, threads: Threads, *, public_url: str) -> list[GuardedRoute]:
    """Make the routes."""

    async def start(request: Request) -> Response:
        own = public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"
        then = safe_next(request.query_params.get("next", "/"))
        attempt = await threads.run(oidc.begin, redirect=f"{own}{CALLBACK}", then=then)
        answer = RedirectResponse(attempt.url, 303)
        answer.set_cookie(
            COOKIE,
            attempt.cookie,
            max_age=round(ATTEMPT_S),
            path=START,
            secure=door.is_secure(request),
            httponly=True,
            samesite="lax",  # The way back begins at the provider.
        )
        return answer

    async def back(request: Request) -> Response:
        vouched, then = await threads.run(oidc.finish, dict(request.query_params), _cookie(request))
        address = address_of(request)
        try:
            user = await threads.run(_admit, door.identity.store, vouched, address)
        except (ForbiddenError, InvalidInputError):
            door.identity.note_failure(vouched.name, "oidc", address)
            raise
        door.identity.forget()
        answer = await door.let_in(request, user.name, how="oidc", then=then)
        answer.delete_cookie(COOKIE, path=START)
        return answer

    return [
        GuardedRoute(START, start, methods=["GET"], permission=PUBLIC, is_page=True),
        GuardedRoute(CALLBACK, back, methods=["GET"], permission=PUBLIC, is_page=True),
    ]


def _admit(store: Store, vouched: Vouched, address: str) -> User:
    """Find or make the user whom a provider vouches for.

    Raises:
        ForbiddenError: It may not use this server.
    """
    if vouched.role is None:
        msg = f"{vouched.name!r} is in no group that may use this server. Ask for one."
        raise ForbiddenError(msg)
    return sign_in_from_outside(
        store,
        issuer=vouched.issuer,
        subject=vouched.subject,
        name=vouched.name,
        role=vouched.role,
        address=address,
    )


def start_url(then: str) -> str:
    """Where somebody begins who wants to go on to a path."""
    return f"{START}?{urlencode({'next': then})}"


def _cookie(request: Request) -> str:
    try:
        jar = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""
