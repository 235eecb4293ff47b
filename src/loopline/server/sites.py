"""Which hosts, origins and sites' requests are taken, and the headers that keep pages apart.

A web page elsewhere can make a browser send requests to a server on this machine. Three checks
stop it: the ``Host`` must be one this server is known by (against DNS rebinding), the ``Origin``
of a write must be this very server (scheme, host and port), and a browser's own word that the
request comes from another site (``Sec-Fetch-Site``) is believed. Only following a link to a page
is allowed from elsewhere.

What the server of the store and the one of models share; it imports nothing of either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from loopline.errors import InvalidInputError, LooplineError
from loopline.server.errors import RefusedRequestError

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Scope

__all__ = [
    "CONTENT_POLICY",
    "SAFE_METHODS",
    "SECURITY_HEADERS",
    "Sites",
    "check_own_page",
    "host_names",
]

#: Bytes that the headers of a request may have in all.
MOST_HEADER_BYTES = 32 * 1024

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
SECURITY_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


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


class Sites:
    """Tells whether a request is for this server, and of no other site's page.

    Args:
        allowed_hosts: Exact ``Host`` headers; empty lets every host in (``--insecure`` only).
        public_url: How browsers reach the server, where that is not its own address.
        command: What starts the server, for what a refusal says.
    """

    def __init__(
        self, allowed_hosts: frozenset[str], *, public_url: str = "", command: str = "server"
    ) -> None:
        self._allowed_hosts = allowed_hosts
        self._public = urlsplit(public_url)
        self._command = command

    def refusal(self, scope: Scope, headers: Headers, *, is_page: bool) -> LooplineError | None:
        """Tell what is wrong with a request; None: nothing.

        Args:
            scope: As ASGI has it.
            headers: Of the request.
            is_page: Whether a link elsewhere may lead here.
        """
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
            return _TooManyHeadersError("The headers are too long. Send fewer cookies.")
        return (
            self._check_host(headers)
            or _check_path(scope)
            or _check_site(scope, headers, self._own(scope, headers), is_page=is_page)
        )

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
                f"with `loopline {self._command} --allow-host NAME:PORT`."
            )
        return None


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


def check_own_page(headers: Headers) -> None:
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
            check_own_page(headers)
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
