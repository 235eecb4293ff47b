"""Who asks: tokens, passwords and sessions, looked up in the store and remembered for seconds.

A request shows one of three things: ``Authorization: Bearer`` with an API token,
``Authorization: Basic`` with a name and a password (or a token in the password's place), or the
cookie of a session. What was looked up counts for ``FRESH_S`` seconds, so that a busy client costs
one look in that time; a change made through this server counts at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, NamedTuple

from loopline.errors import LooplineError, NotSignedInError
from loopline.records.identity import Caller
from loopline.server.tries import Tries
from loopline.store.passwords import is_password
from loopline.store.sign_in import (
    Known,
    add_sign_in_row,
    find_session,
    find_token,
    find_user,
    touch_token,
)
from loopline.store.tokens import PREFIX

if TYPE_CHECKING:
    from loopline.store.database import Store

__all__ = ["COOKIE", "SECURE_COOKIE", "Credential", "Identity", "credential_of"]

#: Seconds for which a look into the store counts.
FRESH_S = 5.0
#: Seconds between two notes that a token is used.
TOUCH_S = 60.0
#: Answers remembered at most.
MOST_KNOWN = 10_000

COOKIE = "loopline_session"
#: Browsers take a cookie of this name only over TLS, for this host alone.
SECURE_COOKIE = "__Host-loopline_session"


class Credential(NamedTuple):
    """What a request shows.

    Attributes:
        kind: ``"bearer"``, ``"basic"`` or ``"cookie"``.
        text: As it was sent.
    """

    kind: str
    text: str

    @property
    def is_cookie(self) -> bool:
        """Whether a browser sends it by itself, whoever made the request."""
        return self.kind == "cookie"


def credential_of(authorization: str | None, cookie: str | None) -> Credential | None:
    """Read what a request shows; a header that says who asks comes before a cookie.

    Raises:
        NotSignedInError: The header says it in a way that no server here takes.
    """
    if authorization:
        scheme, _, text = authorization.partition(" ")
        kind = scheme.lower()
        if kind not in {"bearer", "basic"} or not text.strip():
            msg = "Send `Authorization: Bearer TOKEN`, or `Basic` with a name and a password."
            raise NotSignedInError(msg)
        return Credential(kind, text.strip())
    if cookie and (text := session_in(cookie)):
        return Credential("cookie", text)
    return None


def session_in(cookie: str) -> str:
    """Find the secret of a session among a browser's cookies; empty: there is none."""
    if COOKIE not in cookie:
        return ""
    try:
        jar = SimpleCookie(cookie)
    except CookieError:
        return ""
    for name in (SECURE_COOKIE, COOKIE):
        if name in jar:
            return jar[name].value
    return ""


class _Fresh(NamedTuple):
    """What was looked up, and until when (monotonic seconds) it counts; None: nobody."""

    known: Known | None
    until: float


class Identity:
    """Tells who asks. Safe to use from several threads.

    Args:
        store: Where users, tokens and sessions are.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.tries = Tries()
        self._key = secrets.token_bytes(32)
        self._fresh: dict[bytes, _Fresh] = {}
        #: Hash in the store that a name and password were found to fit.
        self._fitting: dict[bytes, str] = {}
        self._touched: dict[str, float] = {}
        self._lock = threading.Lock()
        self._notes = ThreadPoolExecutor(1, thread_name_prefix="loopline-notes")

    def remembered(self, credential: Credential, address: str) -> Caller | None:
        """Tell who asks, if that was looked up seconds ago. Takes microseconds.

        Raises:
            NotSignedInError: It was nobody.
        """
        fresh = self._fresh.get(self._digest(credential))
        if fresh is None or fresh.until < time.monotonic():
            return None
        if fresh.known is None:
            raise _unknown(credential)
        return _caller(fresh.known, address)

    def look_up(self, credential: Credential, address: str) -> Caller:
        """Look into the store who asks.

        Raises:
            NotSignedInError: Nobody there.
            TooManyTriesError: Too many wrong passwords came before this one.
        """
        match credential.kind:
            case "bearer":
                known = self._by_token(credential.text)
            case "cookie":
                known = find_session(self.store, credential.text)
            case _:
                known = self._by_password(credential, address)
        now = time.monotonic()
        until = now + FRESH_S
        if known is not None and known.expires_ms:
            until = min(until, now + (known.expires_ms - self.store.clock()) / 1000)
        with self._lock:
            if len(self._fresh) >= MOST_KNOWN:
                self._fresh.clear()
            self._fresh[self._digest(credential)] = _Fresh(known, until)
        if known is None:
            raise _unknown(credential)
        return _caller(known, address)

    def check_password(self, name: str, password: str, address: str) -> Known | None:
        """Tell who signs in by a password, and count wrong ones; None: it is wrong.

        Raises:
            TooManyTriesError: Too many were wrong before this one.
        """
        self.tries.begin(name, address)
        known = find_user(self.store, name)
        if is_password(password, "" if known is None else known.password):
            self.tries.was_right(name, address)
            return known
        self.note_failure(name, "password", address)
        return None

    def note_failure(self, name: str, how: str, address: str) -> None:
        """Tell in the audit log that somebody was not let in."""
        self._note(add_sign_in_row, name, how, address, "sign-in-failed")

    def forget(self) -> None:
        """Look everybody up again: what somebody may do has changed."""
        with self._lock:
            self._fresh.clear()

    def close(self) -> None:
        """Finish what is still to be noted."""
        self._notes.shutdown(wait=True)

    def _by_token(self, secret: str) -> Known | None:
        known = find_token(self.store, secret)
        if known is not None:
            self._touch(known.how.removeprefix("token "))
        return known

    def _by_password(self, credential: Credential, address: str) -> Known | None:
        name, password = _name_and_password(credential.text)
        if password.startswith(PREFIX):
            known = self._by_token(password)
            return known if known is not None and known.name == name else None
        digest = self._digest(credential)
        fitting = self._fitting.get(digest)
        if fitting is not None:
            known = find_user(self.store, name)
            if known is not None and known.password == fitting:
                return known
        known = self.check_password(name, password, address)
        if known is not None:
            with self._lock:
                if len(self._fitting) >= MOST_KNOWN:
                    self._fitting.clear()
                self._fitting[digest] = known.password
        return known

    def _digest(self, credential: Credential) -> bytes:
        # Under a key of this process, so that memory holds nothing to try passwords on.
        text = credential.text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._key, person=credential.kind.encode()).digest()

    def _touch(self, token_id: str) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._touched.get(token_id, -TOUCH_S) < TOUCH_S:
                return
            if len(self._touched) >= MOST_KNOWN:
                self._touched.clear()
            self._touched[token_id] = now
        self._note(touch_token, token_id)

    def _note(self, what: object, *arguments: str) -> None:
        """Write something down that no request waits for."""

        def write() -> None:
            try:
                what(self.store, *arguments)  # type: ignore[operator]
            except LooplineError:
                return  # The store is busy or full: requests tell of that.

        try:
            self._notes.submit(write)
        except RuntimeError:
            return  # The server stops.


def _caller(known: Known, address: str) -> Caller:
    return Caller(name=known.name, how=known.how, address=address, access=known.access)


def _name_and_password(text: str) -> tuple[str, str]:
    try:
        name, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name = colon = password = ""
    if not colon or not name:
        msg = "`Authorization: Basic` holds no name and password. Send base64 of NAME:PASSWORD."
        raise NotSignedInError(msg)
    return name, password


def _unknown(credential: Credential) -> NotSignedInError:
    wrong = {
        "bearer": "This token does not count: it is unknown, expired or revoked. Make one on the "
        "page /me, or with `loopline tokens create`.",
        "basic": "This name and password do not belong together, or may not sign in.",
        "cookie": "You are not signed in any more. Sign in at /login.",
    }
    return NotSignedInError(wrong[credential.kind])
