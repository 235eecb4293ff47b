"""The key that secrets are sealed with: never in the database whose secrets it opens.

It is in ``LOOPLINE_SECRET_KEY``, in the file that ``LOOPLINE_SECRET_KEY_FILE`` names, or, beside a
SQLite database, in the file ``secret.key``, which is made when the first secret is kept. A database
on a server has no such place: without one of the variables it keeps no secrets.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import secrets
import tempfile
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loopline.disk import needing_room, sync_folder
from loopline.errors import UnsupportedError

if TYPE_CHECKING:
    from loopline.store.database import Store

__all__ = ["KEY_FILE", "Key", "key_file", "keys_of", "make_key"]

KEY_BYTES = 32
#: Beside a SQLite database.
KEY_FILE = "secret.key"
_VARIABLE, _FILE = "LOOPLINE_SECRET_KEY", "LOOPLINE_SECRET_KEY_FILE"
_NEW = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
#: A key file holds a few of them, and nothing else.
_MOST_BYTES = 4096


class Key(NamedTuple):
    """A key.

    Attributes:
        name: What sealed texts call it; says nothing of the key.
    """

    name: str
    value: bytes


def key_file(store: Store) -> Path | None:
    """Tell where the key of a SQLite database lies; None for other databases."""
    if store.is_sqlite and store.url.database:
        return Path(store.url.database).resolve().parent / KEY_FILE
    return None


def keys_of(store: Store) -> list[Key]:
    """Find the keys: the first one seals, and all of them open. None: there are none yet.

    Raises:
        UnsupportedError: What is there is no key, or cannot be read.
    """
    if text := os.environ.get(_VARIABLE):
        return _parse(text, _VARIABLE)
    if named := os.environ.get(_FILE):
        return _parse(_read(Path(named).expanduser(), _FILE), f"The file of {_FILE}")
    path = key_file(store)
    if path is not None and path.exists():
        return _parse(_read(path, "The key of this store's secrets"), KEY_FILE)
    return []


def make_key(store: Store) -> Key:
    """Make the key of a SQLite database, once, whoever else makes it at the moment.

    It is on the disk, for its owner alone, when this returns.

    Raises:
        UnsupportedError: The database has no place for it.
    """
    path = key_file(store)
    if path is None:
        msg = (
            "A store that is no SQLite file keeps secrets only with a key that lies elsewhere. "
            f"Make one ({_NEW}) and give it to every server and worker that opens the store: set "
            f"{_VARIABLE}, or {_FILE} to a file with it."
        )
        raise UnsupportedError(msg)
    text = urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n"
    with needing_room(f"No room for the key of secrets in {path.parent}. Free some space."):
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=".secret-")  # For its owner alone.
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # Another process was first, and its key counts.
                Path(path).hardlink_to(made)
        finally:
            Path(made).unlink()
        sync_folder(path.parent)
    return keys_of(store)[0]


def _read(path: Path, what: str) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("ascii", "replace")
    except OSError as error:
        msg = f"{what}: the file cannot be read ({error.strerror}). Say where the key is."
        raise UnsupportedError(msg) from error


def _parse(text: str, where: str) -> list[Key]:
    keys = []
    for word in text.split():
        try:
            value = urlsafe_b64decode(word.translate(str.maketrans("+/", "-_")).rstrip("=") + "==")
        except (binascii.Error, ValueError):
            value = b""
        if len(value) != KEY_BYTES:
            msg = f"{where} holds no key: that is {KEY_BYTES} bytes in base64. Make one: {_NEW}"
            raise UnsupportedError(msg)
        name = hashlib.sha256(b"name of a key of Loopline\0" + value).hexdigest()[:12]
        keys.append(Key(name, value))
    if not keys:
        msg = f"{where} is empty, so there is no key for secrets. Make one: {_NEW}"
        raise UnsupportedError(msg)
    return keys
