"""Passwords: kept as salted scrypt hashes, which take a fifth of a second and 16 MiB to try."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import unicodedata

from loopline.errors import InvalidInputError

__all__ = ["LEAST_LENGTH", "MOST_LENGTH", "check_password", "hash_password", "is_password"]

LEAST_LENGTH, MOST_LENGTH = 10, 1_024
#: Cost (as a power of two), block size and repetitions: OWASP's choice for 16 MiB.
COST, BLOCK, REPEATS = 14, 8, 5
SALT_BYTES, HASH_BYTES = 16, 32
#: What everybody tries first, and is long enough.
_KNOWN = frozenset(
    {"password12", "password123", "password1234", "1234567890", "0123456789", "qwertyuiop",
     "qwerty12345", "iloveyou12", "administrator", "changeme123", "letmein1234", "loopline123"}
)  # fmt: skip

#: Passwords tried at once: each takes memory and a processor.
_room = threading.Semaphore(2)


def check_password(password: str, *, user: str) -> None:
    """Check that a password can protect anything.

    Raises:
        InvalidInputError: It is too short, too long, or what everybody tries first.
    """
    if not LEAST_LENGTH <= len(password) <= MOST_LENGTH:
        msg = f"A password needs {LEAST_LENGTH} to {MOST_LENGTH:,} characters. Use a few words."
        raise InvalidInputError(msg)
    if password.lower() in _KNOWN or password.lower() == user.lower() or len(set(password)) < 4:  # noqa: PLR2004
        msg = "That password is among the first that anybody tries. Use a few words of your own."
        raise InvalidInputError(msg)


def hash_password(password: str) -> str:
    """Hash a password with a salt of its own."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _scrypt(password, salt, COST, BLOCK, REPEATS)
    return f"scrypt${COST}${BLOCK}${REPEATS}${_text(salt)}${_text(digest)}"


def is_password(password: str, kept: str) -> bool:
    """Tell whether a password is the one that was hashed; takes as long when there is none."""
    if len(password) > MOST_LENGTH:
        return False
    if not kept:
        _scrypt(password, b"\0" * SALT_BYTES, COST, BLOCK, REPEATS)
        return False
    _, cost, block, repeats, salt, digest = kept.split("$")
    tried = _scrypt(password, _bytes(salt), int(cost), int(block), int(repeats))
    return hmac.compare_digest(tried, _bytes(digest))


def _scrypt(password: str, salt: bytes, cost: int, block: int, repeats: int) -> bytes:
    # One letter has several spellings in Unicode, and keyboards differ in which they send.
    said = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    room = 2 * 128 * 2**cost * block
    with _room:
        return hashlib.scrypt(
            said, salt=salt, n=2**cost, r=block, p=repeats, maxmem=room, dklen=HASH_BYTES
        )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
