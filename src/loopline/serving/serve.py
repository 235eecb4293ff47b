"""Running a serving process: load, listen, follow the registry, and a stop that drops nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import threading
from typing import TYPE_CHECKING

import uvicorn

from loopline.errors import ForbiddenError, InvalidInputError
from loopline.server.listening import (
    StoppableServer,
    bind,
    check_tls,
    is_loopback,
    is_wildcard,
    url_of,
)
from loopline.server.sites import Sites, host_names
from loopline.serving import DEFAULT_PORT
from loopline.serving.deployment import Challenge, Deployment
from loopline.serving.engine import Limits
from loopline.serving.pages import make_app
from loopline.serving.protocol import protocol_of
from loopline.serving.service import Service
from loopline.serving.source import Source
from loopline.serving.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["serve", "sources_of"]

log = logging.getLogger("loopline.serving")

#: Seconds that requests in hand have to finish when the process is told to stop.
GRACE_S = 30
#: Seconds an idle connection is kept.
IDLE_S = 75
#: Seconds between two looks at the registry.
WATCH_EVERY_S = 1.0

#: What numerical libraries read, when they are first loaded, for how many threads they start.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def serve(  # noqa: PLR0913 - its options
    addresses: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    insecure: bool = False,
    allowed_hosts: Iterable[str] = (),
    tls: tuple[str, str] | None = None,
    allow_pickle: bool = False,
    can_batch: bool | None = None,
    limits: Limits | None = None,
    most_body_bytes: int = 64 * 1024**2,
    watch_every_s: float = WATCH_EVERY_S,
    record: float = 0.0,
    id_column: str = "",
    shadow: str = "",
    split: tuple[str, float] | None = None,
    threads: int = 1,
    as_version: str = "",
    stop: threading.Event | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve models until SIGTERM, Ctrl-C or ``stop``; requests in hand are finished.

    Args:
        addresses: Such as ``models:/taxifare_model/Production``; ``NAME=ADDRESS`` serves it under
            another name.
        host: Address to listen on; any but a loopback one needs ``insecure``.
        port: Port to listen on; 0 takes any free one.
        insecure: Listen beyond this machine although anybody may then ask.
        allowed_hosts: Further ``Host`` headers to answer, such as ``"ml.example.com"``.
        tls: Files of a certificate chain and of its key, in PEM.
        allow_pickle: Allow code from models' files to run, where their format needs that.
        can_batch: Gather rows of several requests; None: as each model's metadata say.
        limits: Of each model.
        most_body_bytes: Of one request.
        watch_every_s: Seconds between two looks for a newly promoted version.
        record: Share of the requests that are kept as records, 0 to 1.
        id_column: Column of the rows that names their predictions in the records; the model
            does not see it.
        shadow: Address of a challenger that is asked beside for all requests, and answers none.
        split: Address of a challenger, and the share of requests that it answers.
        threads: That numerical libraries use for one question, unless the environment says.
        as_version: What the version of a folder's model is called.
        stop: Set it to stop, from any thread.
        on_ready: Called with the URL once the models are loaded and answer.

    Raises:
        InvalidInputError: There is an id column, and nothing is recorded.
        ForbiddenError: For a bind beyond this machine without ``insecure``.
        ConflictError: When the port is in use.
        NotFoundError: There is no such model.
        LooplineError: A model cannot be loaded.
    """
    if not insecure and not is_loopback(host):
        msg = (
            f"Listening on {host} lets everyone who reaches this machine ask the models. Put a "
            "proxy that knows who may in front of 127.0.0.1, or insist with --insecure."
        )
        raise ForbiddenError(msg)
    if id_column and record <= 0:
        msg = "--id-column names predictions in the records. Keep some with --record all."
        raise InvalidInputError(msg)
    if tls:
        check_tls(*tls)
    sources = sources_of(addresses, as_version)
    for name in _THREADS:
        os.environ.setdefault(name, str(threads))
    listener = bind(host, port)
    loop = uvicorn.config.Config("", loop="auto").get_loop_factory()
    assert loop is not None  # noqa: S101 - "auto" has one
    runner = asyncio.Runner(loop_factory=loop)
    service = Service()
    service.sites = _sites(host, listener.getsockname()[1], allowed_hosts)
    setting = _Setting(
        runner.get_loop(), service, limits or Limits(), watch_every_s, allow_pickle, can_batch
    )
    try:
        with _without_collecting():
            for source in sources:
                service.add(setting.deploy(source))
            if shadow or split is not None:
                _challenge(setting, sources, shadow, split)
        if record > 0:
            from loopline.serving.recording import Recording

            for deployment in service.deployments.values():
                deployment.recording = Recording(
                    deployment.name, address=deployment.address, share=record
                )
                deployment.id_column = id_column
        config = uvicorn.Config(
            make_app(service),
            http=protocol_of(service, most_bytes=most_body_bytes),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
        url = url_of(host, listener.getsockname()[1], tls=tls is not None)
        server = StoppableServer(config, stop=stop or threading.Event(), ready=on_ready, url=url)
        setting.loop.call_soon(service.check, setting.loop)
        runner.run(server.serve(sockets=[listener]))
    finally:
        for watch in setting.watches:
            watch.stop()
        for deployment in service.deployments.values():
            if deployment.recording is not None:
                deployment.recording.close()
        listener.close()
        runner.close()


@contextlib.contextmanager
def _without_collecting() -> Iterator[None]:
    """Look for no garbage meanwhile.

    Importing a library makes a million objects that stay; going through them again and again while
    they come was a fifth of a start with scikit-learn.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _sites(host: str, port: int, allowed_hosts: Iterable[str]) -> Sites:
    """Tell whose requests are taken; on a wildcard bind nobody can know all names."""
    named = frozenset(name.lower() for name in allowed_hosts)
    known = frozenset() if is_wildcard(host) else host_names(host, port)
    return Sites(known | named, command="serve")


class _Setting:
    """What all models of a process share while they are brought up."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        service: Service,
        limits: Limits,
        watch_every_s: float,
        allow_pickle: bool,  # noqa: FBT001 - as above
        can_batch: bool | None,  # noqa: FBT001 - as above
    ) -> None:
        self.loop = loop
        self.service = service
        self.watches: list[Watch] = []
        self._limits = limits
        self._watch_every_s = watch_every_s
        self._allow_pickle = allow_pickle
        self._can_batch = can_batch

    def deploy(self, source: Source) -> Deployment:
        """Load a model, and follow where it comes from.

        Raises:
            LooplineError: There is none, or it cannot be loaded.
        """
        deployment = Deployment(
            source.name, source.address,
            limits=self._limits, loop=self.loop, meter=self.service.meter,
        )  # fmt: skip
        watch = Watch(
            source, deployment, loop=self.loop, every_s=self._watch_every_s,
            allow_pickle=self._allow_pickle, can_batch=self._can_batch,
        )  # fmt: skip
        found, model = watch.load()
        deployment.put(model)
        self.watches.append(watch)
        watch.start(found)
        return deployment


def _challenge(
    setting: _Setting, sources: list[Source], shadow: str, split: tuple[str, float] | None
) -> None:
    """Put a challenger beside the one model that is served.

    Raises:
        InvalidInputError: Several models are served, or both ways were asked for.
    """
    if len(sources) != 1 or (shadow and split is not None):
        msg = (
            "A challenger stands beside one model, by --shadow or by --split. Serve the others in "
            "another process."
        )
        raise InvalidInputError(msg)
    (champion,) = setting.service.deployments.values()
    address, share = (shadow, None) if split is None else split
    challenger = setting.deploy(Source(address, name=champion.name))
    champion.challenge = Challenge(challenger, share)


def sources_of(addresses: Sequence[str], version: str = "") -> list[Source]:
    """Read the addresses, each with the name that it is served as."""
    found: dict[str, Source] = {}
    for text in addresses:
        name, given, address = text.partition("=")
        if given and not set("/:@") & set(name):
            source = Source(address, name=name, version=version)
        else:
            source = Source(text, version=version)
        if source.name in found:
            msg = (
                f"Two models would be served as {source.name!r}. Name one of them: "
                f"other={source.address}."
            )
            raise InvalidInputError(msg)
        found[source.name] = source
    return list(found.values())
