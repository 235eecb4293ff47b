"""The routes of signing in and out, of links that work once, and of one's own tokens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.responses import RedirectResponse, Response

from loopline.errors import InvalidInputError
from loopline.records.operations import CreateToken, ListTokens, RevokeToken
from loopline.server import wire
from loopline.server.bodies import read_body
from loopline.server.callers import caller_now
from loopline.server.errors import TooManyTriesError, UnsupportedMediaTypeError
from loopline.server.guarded import PUBLIC, GuardedRoute
from loopline.server.identity import COOKIE, SECURE_COOKIE, session_in
from loopline.server.pages.errors import page_of_error
from loopline.server.pages.layout import frame, policy_for
from loopline.server.pages.sign_in import me_page, set_up_page, sign_in_page
from loopline.store.sign_in import end_session, find_link, start_session, use_link

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from loopline.backend.protocol import Backend
    from loopline.records.identity import NewToken
    from loopline.server.identity import Identity
    from loopline.server.pages.request import Page
    from loopline.server.threads import Threads

__all__ = ["Door", "SignInPages", "safe_next"]

MOST_FORM_BYTES = 16 * 1024
FORM = "application/x-www-form-urlencoded"
WRONG = "This name and password do not belong together, or may not sign in."


class Door:
    """How browsers get a session and lose it.

    Args:
        identity: Tells who somebody is.
        threads: Where the store is asked.
        secure: Browsers reach the server over TLS alone.
    """

    def __init__(self, identity: Identity, threads: Threads, *, secure: bool) -> None:
        self.identity = identity
        self._threads = threads
        self._secure = secure

    async def let_in(self, request: Request, name: str, *, how: str, then: str) -> Response:
        """Start a session and send the browser on."""
        secret = await self._threads.run(
            start_session, self.identity.store, name, how=how, address=address_of(request)
        )
        answer = RedirectResponse(then, 303)
        secure = self.is_secure(request)
        answer.set_cookie(
            SECURE_COOKIE if secure else COOKIE,
            secret,
            path="/",
            secure=secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def let_out(self, request: Request) -> Response:
        """End a session and take its cookie away."""
        secret = session_in(request.headers.get("cookie", ""))
        await self._threads.run(end_session, self.identity.store, secret, caller_now())
        self.identity.forget()
        answer = RedirectResponse("/login", 303)
        secure = self.is_secure(request)
        answer.delete_cookie(
            SECURE_COOKIE if secure else COOKIE,
            path="/",
            secure=secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    def is_secure(self, request: Request) -> bool:
        """Tell whether the browser came over TLS."""
        return self._secure or request.url.scheme == "https"


def address_of(request: Request) -> str:
    """Tell where a request comes from."""
    return "" if request.client is None else request.client.host


def safe_next(path: str) -> str:
    """Take a path to go on to only if it stays on this server."""
    is_here = path.startswith("/") and not path.startswith("//") and path.isprintable()
    return path if is_here and "\\" not in path else "/"


async def read_form(request: Request) -> dict[str, str]:
    """Read a form's fields; the last of a name counts."""
    if wire.media_type(request.headers.get("content-type", "")) != FORM:
        msg = f"A form is sent as {FORM}."
        raise UnsupportedMediaTypeError(msg)
    body = await read_body(request, most_bytes=MOST_FORM_BYTES)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        msg = "The form cannot be read. Open the page again."
        raise InvalidInputError(msg) from None


class SignInPages:
    """The pages and what their forms do.

    Args:
        backend: Where the tokens of whoever looks are.
        threads: Where it is asked.
        door: Lets browsers in and out.
        outside: Who else can vouch for somebody, and where a browser goes for that, which
            depends on where it is to go on to.
    """

    def __init__(
        self,
        backend: Backend,
        threads: Threads,
        door: Door,
        *,
        outside: tuple[str, Callable[[str], str]] | None = None,
    ) -> None:
        self._backend = backend
        self._threads = threads
        self._door = door
        self._identity = door.identity
        self._outside = outside

    def routes(self) -> list[GuardedRoute]:
        """Make the routes."""
        return [
            _route("/login", self.login, "GET", PUBLIC),
            _route("/login", self.try_login, "POST", PUBLIC),
            _route("/logout", self._door.let_out, "POST", "self"),
            _route("/set-up", self.set_up, "GET", PUBLIC),
            _route("/set-up", self.finish_set_up, "POST", PUBLIC),
            _route("/me", self.me, "GET", "self"),
            _route("/me/tokens", self.make_token, "POST", "self"),
            _route("/me/tokens/revoke", self.revoke_token, "POST", "self"),
        ]

    async def login(self, request: Request) -> Response:
        """Ask who somebody is."""
        then = safe_next(request.query_params.get("next", "/"))
        return self._page(sign_in_page(then=then, outside=self._others(then)))

    async def try_login(self, request: Request) -> Response:
        """Look at a name and password."""
        form = await read_form(request)
        name, then = form.get("name", "").strip(), safe_next(form.get("next", "/"))
        wrong, status, wait = WRONG, 401, 0
        try:
            known = await self._threads.run(
                self._identity.check_password, name, form.get("password", ""), address_of(request)
            )
            if known is not None:
                return await self._door.let_in(request, known.name, how="password", then=then)
        except TooManyTriesError as error:
            wrong, status, wait = str(error), error.status, error.retry_after_s
        shown = sign_in_page(then=then, name=name, wrong=wrong, outside=self._others(then))
        answer = self._page(shown, status)
        if wait:
            answer.headers["Retry-After"] = str(wait)
        return answer

    def _others(self, then: str) -> list[tuple[str, str]]:
        if self._outside is None:
            return []
        name, url = self._outside
        return [(name, url(then))]

    async def set_up(self, request: Request) -> Response:
        """Ask for a password."""
        secret = request.query_params.get("link", "")
        link = await self._threads.run(find_link, self._identity.store, secret)
        if link is None:
            return self._page(_no_link(), 403)
        return self._page(set_up_page(link=secret, user=link.user))

    async def finish_set_up(self, request: Request) -> Response:
        """Set the password, and sign in with it."""
        form = await read_form(request)
        secret, name = form.get("link", ""), form.get("name", "").strip()
        store = self._identity.store
        link = await self._threads.run(find_link, store, secret)
        if link is None:
            return self._page(_no_link(), 403)
        wrong = ""
        if form.get("password") != form.get("again"):
            wrong = "The two passwords differ. Type the same one twice."
        else:
            try:
                name = await self._threads.run(
                    use_link, store, secret, name=name, password=form.get("password", ""),
                    address=address_of(request),
                )  # fmt: skip
            except InvalidInputError as error:
                wrong = str(error)
        if wrong:
            shown = set_up_page(link=secret, user=link.user, name=name, wrong=wrong)
            return self._page(shown, 400)
        self._identity.forget()
        return await self._door.let_in(request, name, how="link", then="/")

    async def me(self, _request: Request) -> Response:
        """Show whoever looks their tokens."""
        return await self._me()

    async def make_token(self, request: Request) -> Response:
        """Make a token, and show its secret this once."""
        form = await read_form(request)
        days = form.get("days", "90")
        if not days.isdecimal() or len(days) > 4:  # noqa: PLR2004 - ten years have 3,650
            msg = "The days until a token ends are a number from 0 to 3650."
            raise InvalidInputError(msg)
        asked = CreateToken(
            name=form.get("name", ""), scope=form.get("scope", "write"), days=int(days)
        )
        return await self._me(await self._threads.run(self._backend.call, asked))

    async def revoke_token(self, request: Request) -> Response:
        """Revoke a token."""
        form = await read_form(request)
        await self._threads.run(self._backend.call, RevokeToken(token_id=form.get("token_id", "")))
        return RedirectResponse("/me", 303)

    async def _me(self, made: NewToken | None = None) -> Response:
        caller = caller_now()
        tokens = await self._threads.run(self._backend.call, ListTokens())
        shown = me_page(caller, tokens, round(time.time() * 1000), made=made)
        return self._page(shown, who=caller.name)

    def _page(self, shown: Page, status: int = 200, *, who: str = "") -> Response:
        text = frame(shown, store="", who=who, bare=not who)
        return Response(text, status, policy_for(shown), "text/html; charset=utf-8")


def _route(path: str, answer: Callable[..., Any], method: str, permission: str) -> GuardedRoute:
    return GuardedRoute(path, answer, methods=[method], permission=permission, is_page=True)


def _no_link() -> Page:
    msg = (
        "This link works no more: it was used, replaced or is too old. Ask an administrator for a "
        "new one; the first one is printed when the server starts."
    )
    return page_of_error(403, msg, path="/set-up")
