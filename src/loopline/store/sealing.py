"""Sealing: texts that lie in the database so that the database alone does not tell them.

AES-256 in Galois/Counter mode, with a nonce drawn for each and the place of the text as associated
data: who can write the database, but has no key, neither reads a text nor puts it anywhere else.
"""

from __future__ import annotations

import binascii
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from loopline.errors import ConflictError, IntegrityError, UnsupportedError
from loopline.store import schema
from loopline.store.keyring import KEY_FILE, key_file, keys_of, make_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from sqlalchemy import Connection

    from loopline.store.database import Store
    from loopline.store.keyring import Key

__all__ = ["count_closed", "count_sealed", "seal", "unseal"]

#: How a sealed text begins: the form, then the name of its key, then nonce and text.
FORM = "s1"
NONCE_BYTES = 12


def seal(store: Store, connection: Connection, place: str, text: str) -> str:
    """Seal a text; the key is made with the first one, beside a SQLite database.

    Args:
        store: Whose key.
        connection: A transaction.
        place: Where the text belongs: it can be opened nowhere else.
        text: What nobody is to read.

    Raises:
        UnsupportedError: There is no key and no place for one, or cryptography is not installed.
        ConflictError: The key of the secrets that are there is gone.
    """
    keys = keys_of(store)
    if not keys:
        if count_sealed(connection):  # A new key would hide that the old one is lost.
            raise _lost(store)
        keys = [make_key(store)]
    nonce = os.urandom(NONCE_BYTES)
    sealed = _cipher(keys[0]).encrypt(nonce, text.encode(), place.encode())
    return ".".join((FORM, keys[0].name, urlsafe_b64encode(nonce + sealed).decode()))


def unseal(store: Store, place: str, sealed: str) -> str:
    """Open a sealed text.

    Raises:
        ConflictError: Its key is not here.
        IntegrityError: It was changed, or belongs elsewhere.
    """
    form, _, rest = sealed.partition(".")
    name, _, encoded = rest.partition(".")
    key = next((key for key in keys_of(store) if key.name == name), None)
    if form == FORM and key is None:
        raise _lost(store)
    text = _opened(key, place, encoded) if form == FORM and key is not None else None
    if text is None:
        msg = (
            f"The {place} was changed in the database, or put there from elsewhere, so its secret "
            "is not used. Set it anew."
        )
        raise IntegrityError(msg)
    return text


def _opened(key: Key, place: str, encoded: str) -> str | None:
    cipher = _cipher(key)
    from cryptography.exceptions import InvalidTag

    try:
        data = urlsafe_b64decode(encoded)
        return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode()).decode()
    except (InvalidTag, binascii.Error, ValueError):
        return None


def count_sealed(connection: Connection) -> int:
    """Count the texts that only the key opens."""
    secret, webhook = schema.secret, schema.webhook
    counts = (
        select(func.count()).select_from(secret),
        select(func.count()).select_from(webhook).where(webhook.c.secret != ""),
    )
    return sum(int(connection.execute(query).scalar_one()) for query in counts)


def count_closed(store: Store, connection: Connection) -> int:
    """Count the texts that no key opens that is here. Reads them all."""
    secret, webhook = schema.secret, schema.webhook
    try:
        known = {key.name for key in keys_of(store)}
    except UnsupportedError:  # What is there is no key.
        known = set()
    sealed = [
        *connection.execute(select(secret.c.sealed)).scalars(),
        *connection.execute(select(webhook.c.secret).where(webhook.c.secret != "")).scalars(),
    ]
    return sum(text.split(".")[1] not in known for text in sealed)


def _lost(store: Store) -> ConflictError:
    where = "LOOPLINE_SECRET_KEY, or the file that LOOPLINE_SECRET_KEY_FILE names"
    if key_file(store) is not None:
        where = f"the file {KEY_FILE} beside the database, {where}"
    return ConflictError(
        f"Secrets of this store were sealed with a key that is not here. Bring it back ({where}); "
        "if it is lost, delete these secrets and webhooks and set them anew."
    )


def _cipher(key: Key) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        msg = 'Keeping secrets needs cryptography. Install it: pip install "loopline[secrets]"'
        raise UnsupportedError(msg) from error
    return AESGCM(key.value)
