"""Running the server: a socket, uvicorn in this process, and a stop that drops nothing."""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn

from loopline.backend.adopt import adopt_orphans
from loopline.backend.local import LocalBackend
from loopline.backend.open import open_backend
from loopline.backend.recorder import home_of
from loopline.care.strays import find_strays, remove_strays
from loopline.errors import ForbiddenError, InvalidInputError
from loopline.server import DEFAULT_HOST, DEFAULT_PORT
from loopline.server.app import create_app
from loopline.server.identity import Identity
from loopline.server.janitor import Janitor
from loopline.server.listening import (
    StoppableServer,
    bind,
    check_tls,
    is_loopback,
    is_wildcard,
    url_of,
)
from loopline.server.protocol import protocol_with
from loopline.server.sites import host_names
from loopline.server.webhooks import Deliveries
from loopline.settings import find_home
from loopline.store.sign_in import make_set_up_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loopline.backend.protocol import Backend
    from loopline.server.oidc import Oidc
    from loopline.settings import Address

__all__ = ["serve"]

log = logging.getLogger("loopline.server")

#: Seconds that requests in flight have to finish when the server is told to stop.
GRACE_S = 4

#: Seconds an idle connection is kept: longer than a worker's pause between two questions.
IDLE_S = 75


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
        check_tls(*tls)
    oidc = _outside() if auth else None
    listener = bind(host, port)
    bound = listener.getsockname()[1]
    backend = open_backend(address)
    assert isinstance(backend, LocalBackend)  # noqa: S101 - a server was refused above
    try:
        _try_files(backend)
        # On a wildcard bind nobody can know the names; --insecure takes that too.
        known = frozenset() if is_wildcard(host) else host_names(host, bound)
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
        url = url_of(host, bound, tls=tls is not None)
        link = make_set_up_link(backend.store) if auth else None
        if link is not None and on_set_up is not None:
            reached = url
            if is_wildcard(host) and named:
                reached = f"http{'s' if tls else ''}://{min(named)}"
            on_set_up(f"{public_url.rstrip('/') or reached}{link}")
        server = StoppableServer(config, stop=stop or threading.Event(), ready=on_ready, url=url)
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


def _check_bind(host: str, *, auth: bool, named: frozenset[str]) -> None:
    """Refuse to listen beyond this machine for everybody, or under names that nobody said."""
    if is_loopback(host):
        return
    if not auth:
        msg = (
            f"Listening on {host} lets everyone who reaches this machine read and change "
            "everything. Ask who they are with --auth, use --host 127.0.0.1 with an SSH tunnel, or "
            "insist with --insecure."
        )
        raise ForbiddenError(msg)
    if is_wildcard(host) and not named:
        msg = (
            f"On {host} a server cannot know under which names it is reached. Say them, such as "
            "--allow-host ml.example.com:5050 or --public-url https://ml.example.com, or answer "
            "to every name with --insecure."
        )
        raise ForbiddenError(msg)


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
