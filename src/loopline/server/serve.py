"""Running the server: a socket, uvicorn in this process, and a stop that drops nothing."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import re
import signal
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn

from loopline.backend.adopt import adopt_orphans
from loopline.backend.local import LocalBackend
from loopline.backend.open import open_backend
from loopline.backend.recorder import home_of
from loopline.care.strays import find_strays, remove_strays
from loopline.errors import ConflictError, ForbiddenError, InvalidInputError, LooplineError
from loopline.server import DEFAULT_HOST, DEFAULT_PORT
from loopline.server.app import create_app
from loopline.server.gate import host_names
from loopline.server.identity import Identity
from loopline.server.janitor import Janitor
from loopline.server.protocol import protocol_with
from loopline.server.webhooks import Deliveries
from loopline.settings import find_home
from loopline.store.sign_in import make_set_up_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from loopline.backend.protocol import Backend
    from loopline.server.oidc import Oidc
    from loopline.settings import Address

__all__ = ["serve"]

log = logging.getLogger("loopline.server")

#: Seconds that requests in flight have to finish when the server is told to stop.
GRACE_S = 4

#: Seconds an idle connection is kept: longer than a worker's pause between two questions.
IDLE_S = 75

#: Connections that may wait to be accepted.
BACKLOG = 2048


def serve(  # noqa: PLR0913 - its options
    address: Address,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    insecure: bool = False,
    auth: bool = False,
    public_url: str = "",
    tls: tuple[str, str] | None = None,
    allowed_hosts: Iterable[str] = (),
    allow_private_webhooks: bool = False,
    stop: threading.Event | None = None,
    on_ready: Callable[[str], None] | None = None,
    on_set_up: Callable[[str], None] | None = None,
) -> None:
    """Serve a store until SIGTERM, Ctrl-C or ``stop``; requests in flight are finished.

    Args:
        address: The home or database to serve.
        host: Address to listen on; any but a loopback one needs ``auth`` or ``insecure``.
        port: Port to listen on; 0 takes any free one.
        insecure: Listen beyond this machine although anybody may then do everything.
        auth: Ask who everybody is, and let them do what their role says.
        public_url: How others reach the server where that is not its own address, as behind a
            proxy: ``"https://ml.example.com"``.
        tls: Files of a certificate chain and of its key, in PEM.
        allowed_hosts: Further ``Host`` headers to answer, such as ``"ml.example.com:5050"``.
        allow_private_webhooks: Let webhooks lead to this machine and its networks, and by
            ``http:``.
        stop: Set it to stop the server, from any thread.
        on_ready: Called with the server's URL once it answers.
        on_set_up: Called, when there is no administrator yet, with the link that makes one.

    Raises:
        ForbiddenError: For a bind beyond this machine without ``auth`` or ``insecure``.
        ConflictError: When the port is in use.
        InvalidInputError: When the address is another server, the host cannot be bound, or the
            files for TLS are none.
    """
    if address.kind == "http":
        msg = (
            f"{address} is a server already. Give --uri a folder or a database URL, or unset "
            "LOOPLINE_URI to serve the home."
        )
        raise InvalidInputError(msg)
    named = frozenset(name.lower() for name in allowed_hosts)
    if public_url:
        named |= {_netloc(public_url)}
    if not insecure:
        _check_bind(host, auth=auth, named=named)
    if tls:
        _check_tls(*tls)
    oidc = _outside() if auth else None
    listener = _bind(host, port)
    bound = listener.getsockname()[1]
    backend = open_backend(address)
    assert isinstance(backend, LocalBackend)  # noqa: S101 - a server was refused above
    try:
        _try_files(backend)
        # On a wildcard bind nobody can know the names; --insecure takes that too.
        known = frozenset() if _is_wildcard(host) else host_names(host, bound)
        if auth and named and not known:  # From this machine it is reached by its own names, too.
            known = host_names("127.0.0.1", bound)
        identity = Identity(backend.store) if auth else None
        app = create_app(
            backend, allowed_hosts=known | named, identity=identity,
            public_url=public_url, oidc=oidc,
            allow_private_webhooks=allow_private_webhooks,
        )  # fmt: skip
        config = uvicorn.Config(
            app,
            http=protocol_with(app.state.short_road),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
        url = f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{bound}"
        link = make_set_up_link(backend.store) if auth else None
        if link is not None and on_set_up is not None:
            reached = url
            if _is_wildcard(host) and named:
                reached = f"http{'s' if tls else ''}://{min(named)}"
            on_set_up(f"{public_url.rstrip('/') or reached}{link}")
        server = _Server(config, stop=stop or threading.Event(), ready=on_ready, url=url)
        janitor = Janitor(backend, adopt=_adopter(backend), sweep=_sweeper(backend))
        janitor.start()
        deliveries = _deliveries(backend, allow_private=allow_private_webhooks)
        try:
            server.run(sockets=[listener])
        finally:
            if deliveries is not None:
                deliveries.stop()
            janitor.stop()
    finally:
        listener.close()
        backend.close()


def _outside() -> Oidc | None:
    """Make what lets people sign in elsewhere, if the environment names a provider."""
    from loopline.server.oidc import Oidc, provider_from

    provider = provider_from()
    return None if provider is None else Oidc(provider)


#: Below which a proxy may show the server: names that are the same in an address and outside.
_PATH = re.compile(r"(?:/[\w.~-]+)*/?", re.ASCII)


def _netloc(public_url: str) -> str:
    parts = urlsplit(public_url)
    is_plain = _PATH.fullmatch(parts.path) and not parts.query and not parts.fragment
    if parts.scheme not in {"http", "https"} or not parts.netloc or not is_plain:
        msg = (
            f"{public_url!r} is no address of a server. Write it like https://ml.example.com or "
            "https://example.com/ml."
        )
        raise InvalidInputError(msg)
    return parts.netloc.lower()


def _check_tls(certificate: str, key: str) -> None:
    """Try the files of a certificate and its key, before anybody is served.

    Raises:
        InvalidInputError: They are none, do not belong together, or the key has a password.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        msg = (
            f"--tls: {certificate} and {key} are no certificate and the key of it that can be "
            f"used ({error}). Give both as PEM files, the key without a password."
        )
        raise InvalidInputError(msg) from error


def _check_bind(host: str, *, auth: bool, named: frozenset[str]) -> None:
    """Refuse to listen beyond this machine for everybody, or under names that nobody said."""
    if _is_loopback(host):
        return
    if not auth:
        msg = (
            f"Listening on {host} lets everyone who reaches this machine read and change "
            "everything. Ask who they are with --auth, use --host 127.0.0.1 with an SSH tunnel, or "
            "insist with --insecure."
        )
        raise ForbiddenError(msg)
    if _is_wildcard(host) and not named:
        msg = (
            f"On {host} a server cannot know under which names it is reached. Say them, such as "
            "--allow-host ml.example.com:5050 or --public-url https://ml.example.com, or answer "
            "to every name with --insecure."
        )
        raise ForbiddenError(msg)


class _Server(uvicorn.Server):
    """uvicorn's server, stopped by an event too, that leaves the process alive afterwards."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        stop: threading.Event,
        ready: Callable[[str], None] | None,
        url: str,
    ) -> None:
        super().__init__(config)
        self._stop = stop
        self._ready = ready
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say so."""
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready(self._url)

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether somebody wants it to stop."""
        return await super().on_tick(counter) or self._stop.is_set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM, and do not raise them again: a stop is no failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def leave(_signal: int, _frame: FrameType | None) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        before = {
            number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _try_files(backend: Backend) -> None:
    """Try out a bucket before anybody relies on it, and name what it does not do.

    Raises:
        LooplineError: It cannot be used.
    """
    if isinstance(backend, LocalBackend):
        for fault in backend.blobs.check():
            log.warning("%s", fault)


def _adopter(backend: Backend) -> Callable[[], object]:
    """Make what takes over the journals of dead processes of this machine."""
    homes = {home_of(backend.address), find_home()}

    def adopt() -> None:
        for home in homes:
            adopt_orphans(home, backend.address, backend)

    return adopt


def _deliveries(backend: Backend, *, allow_private: bool) -> Deliveries | None:
    """Begin to deliver webhooks."""
    if not isinstance(backend, LocalBackend):
        return None
    deliveries = Deliveries(backend.store, allow_private=allow_private)
    deliveries.start()
    return deliveries


def _sweeper(backend: Backend) -> Callable[[], object] | None:
    """Make what removes uploads that were cut short."""
    if not isinstance(backend, LocalBackend):
        return None

    def sweep() -> None:
        remove_strays(list(find_strays(backend)))
        if backend.blobs.folder is None:
            backend.blobs.sweep()

    return sweep


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # The protocol is named for asyncio, which sets TCP_NODELAY only then: without it each
        # small answer waits some 40 ms for the client's acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (OSError, OverflowError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Already here, so that a second server on this port fails now and not in its loop.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _cannot_listen(host: str, port: int, error: Exception) -> LooplineError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return ConflictError(
            f"Port {port} is in use on {host}. Stop what listens there, or choose another: "
            "--port 0 takes any free one."
        )
    if number == errno.EACCES:
        return ForbiddenError(
            f"Port {port} is for administrators. Choose one above 1023 with --port."
        )
    return InvalidInputError(
        f"Cannot listen on {host}:{port} ({error}). Give --host an address of this machine."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == ""
