"""Asking an MLflow server: JSON and files over the standard library's HTTP client."""

from __future__ import annotations

import base64
import http.client
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import msgspec

from loopline.errors import BackendUnavailableError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Rest", "number_of"]

TIMEOUT_S = 120.0
#: Pauses before a request is sent again: all of them only read.
PAUSES_S = (0.0, 0.5, 2.0, 5.0)
#: Statuses that pass.
PASSING = {408, 429, 500, 502, 503, 504}
CHUNK_BYTES = 1 << 20

API = "/api/2.0/mlflow/"


class Rest:
    """A client of one MLflow server; each thread has a connection of its own, kept open.

    User and password come from the address or from ``MLFLOW_TRACKING_USERNAME`` and
    ``MLFLOW_TRACKING_PASSWORD``, a token from ``MLFLOW_TRACKING_TOKEN``, as for MLflow's client.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname:
            msg = f"{url} is no server address. Write it like http://localhost:5000."
            raise InvalidInputError(msg)
        self._parts = parts
        self._prefix = parts.path.rstrip("/")
        port = f":{parts.port}" if parts.port else ""
        self.url = f"{parts.scheme}://{parts.hostname}{port}{self._prefix}"
        self._headers = {"User-Agent": "loopline", "Accept": "*/*", **_authorization(parts)}
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[http.client.HTTPConnection] = []

    def get(self, path: str, /, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - query values
        """Ask with GET; a path without a slash at its start is below ``/api/2.0/mlflow/``.

        Raises:
            NotFoundError: The server does not know the path, or the thing.
            BackendUnavailableError: It cannot be reached, or fails.
        """
        return _decode(self._exchange("GET", _with_query(path, params), None))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask with POST; as ``get``."""
        return _decode(self._exchange("POST", _with_query(path, {}), msgspec.json.encode(body)))

    def download(self, path: str, target: Path, /, **params: Any) -> None:  # noqa: ANN401
        """Write what a path answers into a file, whole.

        Raises:
            BackendUnavailableError: It broke off.
        """
        address = _with_query(path, params)
        for pause_s in PAUSES_S:
            time.sleep(pause_s)
            try:
                with self._answer("GET", address, None) as answer, target.open("wb") as file:
                    if answer.status in PASSING:
                        continue
                    if answer.status != http.client.OK:
                        raise self._refusal(answer.status, answer.read(), address)
                    while chunk := answer.read(CHUNK_BYTES):
                        file.write(chunk)
                    if answer.length:
                        raise http.client.IncompleteRead(b"", answer.length)
            except (OSError, http.client.HTTPException):
                self._drop()
                continue
            return
        raise self._away(f"the download of {path} broke off again and again")

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()

    def _exchange(self, method: str, path: str, body: bytes | None) -> bytes:
        said = "it does not answer"
        for pause_s in PAUSES_S:
            time.sleep(pause_s)
            try:
                with self._answer(method, path, body) as answer:
                    content = answer.read()
                    status = answer.status
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                said = str(error) or type(error).__name__
                continue
            if status == http.client.OK:
                return content
            if status not in PASSING:
                raise self._refusal(status, content, path)
            said = f"status {status}: {_said(content)}"
        raise self._away(said)

    @contextmanager
    def _answer(
        self, method: str, path: str, body: bytes | None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, self._prefix + path, body, headers)
        answer = connection.getresponse()
        try:
            yield answer
        finally:
            if not answer.isclosed():  # Not read to its end: the connection is of no more use.
                self._drop()

    def _connection(self) -> http.client.HTTPConnection:
        known: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if known is None:
            secure = self._parts.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            known = kind(str(self._parts.hostname), self._parts.port, timeout=TIMEOUT_S)
            self._local.connection = known
            with self._lock:
                self._open.append(known)
        return known

    def _drop(self) -> None:
        known: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if known is not None:
            known.close()  # http.client connects anew with the next request.

    def _refusal(self, status: int, content: bytes, path: str) -> Exception:
        said = _said(content)
        where = f"{self.url}{path.partition('?')[0]}"
        if status == http.client.NOT_FOUND:
            return NotFoundError(f"{where} answered 404 ({said}). Is it an MLflow server?")
        if status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
            return InvalidInputError(
                f"{where} answered {status}. Set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, of somebody who may read."
            )
        return InvalidInputError(f"{where} answered {status} ({said}). See the server's log.")

    def _away(self, said: str) -> BackendUnavailableError:
        return BackendUnavailableError(
            f"The MLflow server {self.url} cannot be read ({said}). When it is back, run the same "
            "import again; it goes on where it was."
        )


def number_of(value: Any) -> float:  # noqa: ANN401 - a number, or the word for one
    """Read a number as MLflow's JSON has it: NaN and infinities are words."""
    return float(value)


def _authorization(parts: Any) -> dict[str, str]:  # noqa: ANN401 - urlsplit's
    user = unquote(parts.username or "") or os.environ.get("MLFLOW_TRACKING_USERNAME", "")
    password = unquote(parts.password or "") or os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    if user:
        code = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {code}"}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _with_query(path: str, params: Mapping[str, Any]) -> str:
    address = quote(path if path.startswith("/") else API + path)
    given = [(key, value) for key, value in params.items() if value not in (None, "")]
    return f"{address}?{urlencode(given, doseq=True)}" if given else address


def _decode(content: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(content or b"{}")
    except msgspec.DecodeError:
        value = None
    if not isinstance(value, dict):
        msg = "The server's answer is not MLflow's. Check the address, and what stands before it."
        raise InvalidInputError(msg)
    return value


def _said(content: bytes) -> str:
    try:
        return str(msgspec.json.decode(content)["message"])[:200]
    except (msgspec.DecodeError, KeyError, TypeError):
        return content[:80].decode("utf-8", errors="replace").replace("\n", " ")
