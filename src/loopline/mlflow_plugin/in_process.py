"""Requests of MLflow's REST clients answered by our server's application in this process.

Each store gets a host name that no network knows. MLflow's sessions get a transport for it, which
calls the application on an event loop of its own, in a thread; a forked child begins anew.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import tempfile
import threading
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import urllib3
from mlflow.utils import request_utils
from mlflow.utils.rest_utils import MlflowHostCreds
from requests.adapters import BaseAdapter, HTTPAdapter

from loopline.backend.adopt import catch_up
from loopline.backend.local import LocalBackend
from loopline.errors import InvalidInputError
from loopline.server.app import create_app
from loopline.settings import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import requests
    from starlette.applications import Starlette
    from starlette.types import Message

    from loopline.settings import Address

__all__ = ["FILES", "base_url", "creds_of"]

#: How addresses of files begin for MLflow here, and how the application writes them.
FILES, SERVED = "loopline:/artifacts/", "mlflow-artifacts:/"
#: The same at the beginning of a text in JSON.
_FILES, _SERVED = f'"{FILES}'.encode(), f'"{SERVED}'.encode()

CHUNK_BYTES = 256 * 1024
#: An answer up to so long stays in memory, a longer one waits in a temporary file.
MEMORY_BYTES = 8 * 2**20

_lock = threading.Lock()
_transports: dict[tuple[int, Address], _Transport] = {}


def creds_of(store_uri: str) -> MlflowHostCreds:
    """Tell MLflow's client which host stands for an address."""
    return MlflowHostCreds(base_url(store_uri))


def base_url(store_uri: str) -> str:
    """Tell the URL that stands for an address, opening its store at first use.

    Raises:
        StoreVersionError: The database is MLflow's own, or of a newer Loopline.
    """
    address = parse_address(store_uri)
    with _lock:
        transport = _transports.get((os.getpid(), address))
        if transport is None:
            transport = _transports[os.getpid(), address] = _Transport(address)
    return transport.url


class _Transport(BaseAdapter):
    """Carries requests to the application over one store."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        if address.kind == "http":
            msg = f"{address} is a server. Give MLflow its URL itself, without `loopline:`."
            raise InvalidInputError(msg)
        self._backend = LocalBackend(address)
        catch_up(address, self._backend)
        # Whoever may open the store may do everything in it; nobody else reaches this host.
        self._app: Starlette = create_app(self._backend, allowed_hosts=frozenset())
        self.url = f"http://{sha256(address.text.encode()).hexdigest()[:16]}.loopline.invalid"
        self._loop = asyncio.new_event_loop()
        self._answers = HTTPAdapter()
        threading.Thread(target=self._loop.run_forever, name="loopline-mlflow", daemon=True).start()
        atexit.register(self.close)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002, ARG002
        timeout: object = None,  # noqa: ARG002
        verify: object = True,  # noqa: FBT002, ARG002
        cert: object = None,  # noqa: ARG002
        proxies: object = None,  # noqa: ARG002
    ) -> requests.Response:
        """Answer a request; a large answer waits in a temporary file until it is read."""
        body: IO[bytes] = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - the answer's reader closes it
        answer = self._answer(request, body)
        status, headers = asyncio.run_coroutine_threadsafe(answer, self._loop).result()
        if _is_json(headers.get("content-type", "")):
            body.seek(0)
            data = body.read().replace(_SERVED, _FILES)
            headers["content-length"] = str(len(data))
            body.seek(0)
            body.write(data)
        body.seek(0)
        found = urllib3.HTTPResponse(
            body, headers, status, preload_content=False, request_method=request.method
        )
        return self._answers.build_response(request, found)

    def close(self) -> None:
        """Close the store; only in the process that opened it."""
        if _transports.get((os.getpid(), self._backend.address)) is self:
            del _transports[os.getpid(), self._backend.address]
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._backend.close()

    async def _answer(
        self, request: requests.PreparedRequest, body: IO[bytes]
    ) -> tuple[int, dict[str, str]]:
        parts = urlsplit(str(request.url))
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        chunks = _chunks(request.body, is_json=_is_json(headers.get("content-type", "")))
        if "content-length" in headers and isinstance(request.body, (str, bytes)):
            chunks = [b"".join(chunks)]
            headers["content-length"] = str(len(chunks[0]))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": parts.scheme,
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [
                (b"host", parts.netloc.encode()),
                *((name.encode(), value.encode("latin-1")) for name, value in headers.items()),
            ],
            "client": ("127.0.0.1", 0),
            "server": (parts.netloc, 80),
        }
        exchange = _Exchange(iter(chunks), body)
        await self._app(scope, exchange.receive, exchange.send)
        return exchange.status, exchange.headers


class _Exchange:
    """The two sides of one request, as ASGI has them."""

    def __init__(self, chunks: Iterator[bytes], body: IO[bytes]) -> None:
        self.status = 500
        self.headers: dict[str, str] = {}
        self._chunks = chunks
        self._body = body
        self._is_sent = False

    async def receive(self) -> Message:
        """Give the application the next part of the body."""
        if self._is_sent:  # It waits for a client that goes away, and this one does not.
            await asyncio.Event().wait()
        chunk = next(self._chunks, None)
        self._is_sent = chunk is None
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def send(self, message: Message) -> None:
        """Take the next part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]
            }
        else:
            self._body.write(message.get("body", b""))


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip() == "application/json"


def _chunks(body: Any, *, is_json: bool) -> Iterable[bytes]:  # noqa: ANN401 - what requests takes
    """Read the body of a request in parts; addresses of files become the application's."""
    if body is None:
        return
    if isinstance(body, (str, bytes)):
        data = body.encode() if isinstance(body, str) else body
        yield data.replace(_FILES, _SERVED) if is_json else data
    elif hasattr(body, "read"):
        while chunk := body.read(CHUNK_BYTES):
            yield chunk if isinstance(chunk, bytes) else chunk.encode()
    else:
        yield from body


def _with_transports(make_session: Any) -> Any:  # noqa: ANN401 - MLflow's function
    """Let the sessions that MLflow makes know the hosts that stand for stores."""

    def session_of(*arguments: Any, **options: Any) -> requests.Session:  # noqa: ANN401 - passed on
        session: requests.Session = make_session(*arguments, **options)
        here: Mapping[str, BaseAdapter] = {
            each.url: each for (pid, _), each in list(_transports.items()) if pid == os.getpid()
        }
        for url, transport in here.items():
            if session.adapters.get(url) is not transport:
                session.mount(url, transport)
        return session

    return session_of


# MLflow has no place for a transport of one's own. Every request of its clients takes its session
# from this function, in 2.x and 3.x.
request_utils._get_request_session = _with_transports(request_utils._get_request_session)  # noqa: SLF001
