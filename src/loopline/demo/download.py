"""Downloads: a file arrives whole and checked under its name, or not at all."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO
from urllib.parse import urlsplit

__all__ = ["DownloadError", "Progress", "download", "is_reachable"]

#: Called with the file's name, the bytes so far and the bytes in all (0: not known).
Progress = Callable[[str, int, int], None]

#: Without a network the user should not wait: a site that says nothing for this long is away.
CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 20.0
TRIES = 3
PIECE_BYTES = 1 << 16


class DownloadError(Exception):
    """A file could not be had; the message says why in a few words."""


class _TryAgainError(Exception):
    """This try failed, and another may go on from where it stopped if the file is the same."""

    def __init__(self, message: str, *, etag: str = "") -> None:
        self.etag = etag
        super().__init__(message)


def is_reachable(url: str) -> None:
    """Check, within seconds, that something listens at a URL's host.

    Raises:
        DownloadError: When nothing does. Behind a proxy nothing is checked here.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"{url} is no http:// or https:// address"
        raise DownloadError(msg)
    host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return
    trouble = ["no answer"]

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
            trouble.clear()
        except OSError as error:
            trouble[:] = [_say(error)]

    # In a thread, because looking up a name has no timeout of its own.
    thread = threading.Thread(target=connect, name="loopline-connect", daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT_S + 0.5)
    if trouble:
        raise DownloadError(trouble[0])


def download(
    url: str,
    target: Path,
    *,
    check: Callable[[Path], str] = lambda _path: "",
    on_progress: Progress | None = None,
    wait_s: float = 0.5,
) -> None:
    """Fetch a file.

    It is written under a temporary name beside ``target``, compared in size with what the server
    announced, checked, flushed to disk and then renamed. A connection that breaks is taken up
    again where it stopped, if the server can, up to three tries in all.

    Args:
        url: http or https.
        target: Its name when all is well; nothing else is left behind.
        check: Tells what is wrong with the whole file, or nothing.
        on_progress: Told of each piece.
        wait_s: Seconds before the second try; doubled before the third.

    Raises:
        DownloadError: In the end it could not be had.
    """
    number, name = mkstemp(dir=target.parent, prefix=f".{target.name}.")
    part = Path(name)
    with os.fdopen(number, "w+b") as file:
        try:
            _fetch_all(url, file, target.name, on_progress, wait_s)
            file.flush()
            os.fsync(file.fileno())
            trouble = check(part)
            if trouble:
                msg = f"{target.name} {trouble}"
                raise DownloadError(msg)
            part.chmod(0o644)  # A temporary file is private; this one is not.
            part.replace(target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()


def _fetch_all(
    url: str, file: BinaryIO, name: str, on_progress: Progress | None, wait_s: float
) -> None:
    etag = ""
    for attempt in range(1, TRIES + 1):
        try:
            _fetch_rest(url, file, name, etag, on_progress)
        except _TryAgainError as error:
            if attempt == TRIES:
                msg = f"{name}: {error}, {TRIES} times"
                raise DownloadError(msg) from error
            etag = error.etag
            time.sleep(wait_s * 2 ** (attempt - 1))
        else:
            return


def _fetch_rest(
    url: str, file: BinaryIO, name: str, etag: str, on_progress: Progress | None
) -> None:
    """Fetch what is not there yet; with an etag, go on after what is."""
    have = file.seek(0, os.SEEK_END)
    headers = {"Range": f"bytes={have}-", "If-Range": etag} if have and etag else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - is_reachable saw it
    try:
        with urllib.request.urlopen(request, timeout=READ_TIMEOUT_S) as answer:  # noqa: S310
            etag = answer.headers.get("ETag", "")
            starts = f"bytes {have}-"
            if answer.status != http.HTTPStatus.PARTIAL_CONTENT or not answer.headers.get(
                "Content-Range", ""
            ).startswith(starts):
                have = file.seek(0)
                file.truncate()
            left = answer.headers.get("Content-Length")
            total = have + int(left) if left else 0
            while piece := answer.read(PIECE_BYTES):
                have += file.write(piece)
                if on_progress:
                    on_progress(name, have, total)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR or error.code == 429:  # noqa: PLR2004
            raise _TryAgainError(_say(error), etag=etag) from error
        msg = f"{name}: {_say(error)}"
        raise DownloadError(msg) from error
    except (OSError, http.client.HTTPException) as error:
        raise _TryAgainError(_say(error), etag=etag) from error
    if total and have != total:
        msg = f"{have:,} of {total:,} bytes came"
        raise _TryAgainError(msg, etag=etag)


def _say(error: Exception) -> str:
    """Put an error of the network in a few words."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    match reason:
        case socket.gaierror():
            return "its name is not known here: no network?"
        case TimeoutError():
            return "no answer"
        case OSError(strerror=str(text)):
            return text
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    return str(reason) or type(reason).__name__
