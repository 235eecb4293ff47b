"""Rules of webhooks: which events there are, what is posted, how it is signed, when it is retried.

Bodies and signatures are those of MLflow 3, as its receivers check them: the Base64 of an
HMAC-SHA256 over ``<delivery id>.<timestamp>.<body>``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

__all__ = [
    "ACTIONS",
    "MOST_TRIES",
    "check_events",
    "check_scheme",
    "check_webhook_name",
    "check_webhook_url",
    "is_public",
    "is_retried",
    "pause_s",
    "signature",
]

#: What can happen to what.
ACTIONS = {
    "model_version": ("created",),
    "model_version_alias": ("created", "deleted"),
    "model_version_tag": ("deleted", "set"),
    "registered_model": ("created",),
}
#: How often a delivery is tried: with the pauses, for about half an hour.
MOST_TRIES = 10
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 600.0

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")
_MOST_URL = 2000


def check_webhook_name(name: str) -> None:
    """Check a webhook's name.

    Raises:
        InvalidInputError: It is no name.
    """
    if not _NAME.match(name):
        msg = (
            f"Webhook name {name[:80]!r} is invalid. Use 1 to 63 letters, digits, dots, "
            "underscores and hyphens; the first and the last are letters or digits."
        )
        raise InvalidInputError(msg)


def check_webhook_url(url: str) -> None:
    """Check the form of a URL; whether it may be called is decided where it is called.

    Raises:
        InvalidInputError: It is no web address, or it holds a password.
    """
    try:
        parts = urlsplit(url)
        has_host, _ = bool(parts.hostname), parts.port
    except ValueError:
        parts, has_host = urlsplit(""), False
    if parts.scheme not in {"http", "https"} or not has_host or len(url) > _MOST_URL:
        msg = f"Invalid webhook URL {url[:200]!r}. Give an address like https://example.com/hook."
        raise InvalidInputError(msg)
    if parts.username is not None or not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
        msg = (
            "A webhook URL has no user, password, spaces or letters beyond ASCII. Give a secret "
            "instead: what is posted is signed with it."
        )
        raise InvalidInputError(msg)


def check_scheme(url: str, *, allow_private: bool) -> None:
    """Check that what is posted cannot be read on the way.

    Raises:
        InvalidInputError: It could.
    """
    if not allow_private and not url.startswith("https:"):
        msg = (
            "Invalid webhook URL scheme: 'http'. Allowed schemes are: https. Others need a server "
            "started with --allow-private-webhooks."
        )
        raise InvalidInputError(msg)


def check_events(events: list[str]) -> list[str]:
    """Sort events, each once.

    Raises:
        InvalidInputError: There are none, or one is unknown.
    """
    if not events:
        msg = "A webhook needs at least one event, such as model_version.created."
        raise InvalidInputError(msg)
    for event in events:
        entity, _, action = event.partition(".")
        if entity not in ACTIONS:
            known = ", ".join(ACTIONS)
            msg = f"Invalid entity '{entity[:80]}' of a webhook event. Valid ones are: {known}."
            raise InvalidInputError(msg)
        if action not in ACTIONS[entity]:
            known = ", ".join(ACTIONS[entity])
            msg = f"Invalid action '{action[:80]}' for entity '{entity}'. Valid ones are: {known}."
            raise InvalidInputError(msg)
    return sorted(set(events))


def signature(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """Sign a delivery, as the header ``X-MLflow-Signature`` has it."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def is_retried(status: int) -> bool:
    """Tell whether a later try may come off; 0: no answer came."""
    return status in {0, 408, 425, 429} or status >= 500  # noqa: PLR2004 - HTTP


def pause_s(tries: int, chance: float) -> float:
    """Give the pause after so many tries: it doubles, and spreads by a chance from 0 to 1."""
    return min(_FIRST_PAUSE_S * 2.0 ** (tries - 1), _LONGEST_PAUSE_S) * (0.5 + chance)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address lies in the open network, also where it wraps another one."""
    if address.version == 6:  # noqa: PLR2004 - IPv6
        wrapped = address.ipv4_mapped or address.sixtofour
        if wrapped is not None:
            return is_public(wrapped)
        # Teredo, and IPv4 behind a translator: what they lead to is not known.
        if address.teredo is not None or address.packed[:4] == b"\x00\x64\xff\x9b":
            return False
    return address.is_global and not address.is_multicast
