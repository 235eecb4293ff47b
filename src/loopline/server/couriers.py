"""Posting to addresses that users chose, without letting them choose what is reached.

The name is resolved once, every address of it must lie in the open network, and the connection
goes to that very address: a name that means something else a moment later (DNS rebinding) gains
nothing. Redirects are not followed, and an answer is read a little and for a short time only.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from loopline.errors import InvalidInputError
from loopline.rules.webhooks import check_scheme, check_webhook_url, is_public

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Outcome", "check_target", "post"]

#: Seconds in which a connection must stand and each part of an answer come; and all of it.
PATIENCE_S, WHOLE_S = 5.0, 15.0
#: Bytes of an answer that are read.
MOST_ANSWER = 1_000

REFUSED = -1


class Outcome(NamedTuple):
    """How posting went.

    Attributes:
        status: HTTP status; 0: no answer; -1: the address may not be called.
        answer: Beginning of what was answered.
        error: Why it failed; empty: it came off.
    """

    status: int
    answer: str = ""
    error: str = ""


def check_target(url: str, *, allow_private: bool) -> str:
    """Check an address, and tell which IP address it is to be reached at.

    Raises:
        InvalidInputError: It may not be called.
        OSError: Its name is not known.
    """
    check_webhook_url(url)
    check_scheme(url, allow_private=allow_private)
    parts = urlsplit(url)
    found = socket.getaddrinfo(parts.hostname, parts.port or 0, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]).partition("%")[0] for each in found]
    if not allow_private and not all(map(is_public, map(ipaddress.ip_address, addresses))):
        msg = (
            f"Webhook URL must not lead to a private or local address, as {parts.hostname!r} "
            "does. An operator may allow it: loopline server --allow-private-webhooks."
        )
        raise InvalidInputError(msg)
    return addresses[0]


def post(url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool) -> Outcome:
    """Post once."""
    try:
        address = check_target(url, allow_private=allow_private)
    except InvalidInputError as error:
        return Outcome(REFUSED, error=str(error))
    except (OSError, UnicodeError):
        return Outcome(0, error="The name of the receiver is not known.")
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _Pinned(str(parts.hostname), parts.port, address, is_tls=parts.scheme == "https")
    too_long = threading.Timer(WHOLE_S, connection.give_up)
    too_long.daemon = True
    too_long.start()
    try:
        with closing(connection):
            connection.request("POST", target, body, dict(headers))
            answer = connection.getresponse()
            text = answer.read(MOST_ANSWER).decode("utf-8", "replace").replace("\0", "")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = "it took too long" if isinstance(error, TimeoutError) else type(error).__name__
        return Outcome(0, error=f"The receiver did not answer: {reason}.")
    finally:
        too_long.cancel()
    if 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP
        return Outcome(answer.status, text)
    return Outcome(answer.status, text, f"The receiver answered {answer.status}.")


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was looked at, whatever the name means by now."""

    def __init__(self, host: str, port: int | None, address: str, *, is_tls: bool) -> None:
        super().__init__(host, port or (443 if is_tls else 80), timeout=PATIENCE_S)
        self._address = address
        self._context = ssl.create_default_context() if is_tls else None
        if is_tls:
            self.default_port = 443  # Or the Host header would name it.

    def connect(self) -> None:
        """Connect, and with TLS check that the certificate is of the name."""
        self.sock = socket.create_connection((self._address, self.port), PATIENCE_S)
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)

    def give_up(self) -> None:
        """Break off, from another thread."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
