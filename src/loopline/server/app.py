"""The application: every route behind one gate, over one backend."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response

from loopline.errors import LooplineError
from loopline.server import wire
from loopline.server.assets import asset_routes
from loopline.server.blobs import blob_routes
from loopline.server.bundles import bundle_routes
from loopline.server.callers import ServedBackend
from loopline.server.checks import Checks
from loopline.server.errors import error_response, plain_error
from loopline.server.gate import Gate
from loopline.server.guarded import PUBLIC, GuardedRoute
from loopline.server.health import Health
from loopline.server.mlflow import MLFLOW, mlflow_routes
from loopline.server.native import native_routes, unknown_api_route
from loopline.server.pages.oidc_routes import oidc_routes, start_url
from loopline.server.pages.routes import error_page, page_routes
from loopline.server.pages.sign_in_routes import Door, SignInPages
from loopline.server.prefix import Prefixed, prefix_of
from loopline.server.resumable import resumable_routes
from loopline.server.route_index import Direct, RouteIndex
from loopline.server.short_road import ShortRoad
from loopline.server.threads import Threads
from loopline.server.version import installed_version
from loopline.store.run_memo import RunMemo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from loopline.backend.local import LocalBackend
    from loopline.backend.protocol import Backend
    from loopline.server.identity import Identity
    from loopline.server.oidc import Oidc

__all__ = ["create_app"]


def create_app(
    backend: LocalBackend,
    *,
    allowed_hosts: frozenset[str],
    identity: Identity | None = None,
    public_url: str = "",
    oidc: Oidc | None = None,
    allow_private_webhooks: bool = False,
) -> Starlette:
    """Make the ASGI application of a server; its ``state.short_road`` is for the protocol.

    Args:
        backend: Where everything is; it stays open, the caller closes it.
        allowed_hosts: Exact ``Host`` headers that are answered, such as ``"localhost:5050"``;
            empty answers every host, which only ``--insecure`` may ask for.
        identity: Tells who asks; None: everybody may do everything.
        public_url: How browsers reach the server, where that is not its own address.
        oidc: Who else can vouch for people.
        allow_private_webhooks: Webhooks may lead to this machine and its networks.
    """
    threads = Threads()
    prefix = prefix_of(public_url)
    backend.store.memo = RunMemo()
    backend = ServedBackend(backend, None if identity is None else identity.forget)
    routes = [
        *_meta_routes(backend),
        *native_routes(backend, threads),
        *bundle_routes(backend, threads),
        *blob_routes(backend, threads),
        *resumable_routes(backend, threads),
        *mlflow_routes(backend, threads, allow_private_webhooks=allow_private_webhooks),
        *asset_routes(),
    ]
    if identity is not None:
        door = Door(identity, threads, secure=public_url.startswith("https:"))
        outside = None if oidc is None else (oidc.called, start_url)
        routes += SignInPages(backend, threads, door, outside=outside).routes()
        if oidc is not None:
            routes += oidc_routes(oidc, door, threads, public_url=public_url)
    routes += page_routes(backend, threads)

    checks = Checks(routes, allowed_hosts, identity=identity, public_url=public_url)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        threads.close()
        if identity is not None:
            identity.close()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            *([Middleware(Prefixed, prefix=prefix)] if prefix else []),
            Middleware(
                Gate,
                checks=checks,
                on_fault=_answer_error,
                threads=threads,
            ),
            Middleware(Direct, index=RouteIndex(routes)),
        ],
        exception_handlers={
            HTTPException: _http_error,
            LooplineError: _answer_error,
        },
    )
    # Below a prefix the addresses are others.
    app.state.short_road = None if prefix else ShortRoad(checks, routes)
    return app


def _meta_routes(backend: Backend) -> list[GuardedRoute]:
    disks = Health(backend)

    async def health(request: Request) -> Response:
        said = disks.answer()
        text = "OK" if said["status"] == "ok" else f"{said['status'].upper()}: {said['message']}"
        return _meta(request, said, text)

    async def version(request: Request) -> Response:
        ours = installed_version()
        said = {"name": "loopline", "version": ours, "api": 1, "mlflow": MLFLOW}
        return _meta(request, said, f"{MLFLOW}+loopline.{ours}")

    return [
        GuardedRoute("/health", health, permission=PUBLIC),
        GuardedRoute("/version", version, permission=PUBLIC),
    ]


def _meta(request: Request, said: dict[str, Any], text: str) -> Response:
    """Answer in JSON who asks for it; everybody else in plain words, as MLflow's server does."""
    if "json" in request.headers.get("accept", ""):
        return Response(wire.encode(said, wire.JSON), media_type=wire.JSON)
    return PlainTextResponse(text)


def _is_api(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/ajax-api/", "/health", "/version"))


async def _answer_error(request: Request, error: Exception) -> Response:
    if _is_api(request):
        return await error_response(request, error)
    return error_page(request, error)


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer what the router itself refuses: an unknown path or a wrong method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if not _is_api(request):
        return error_page(request, error)
    if status == 404:  # noqa: PLR2004 - HTTP
        return unknown_api_route(request.url.path)
    if status == 405:  # noqa: PLR2004 - HTTP
        allowed = (getattr(error, "headers", None) or {}).get("Allow", "another method")
        message = f"{request.method} is not for {request.url.path[:200]}. Use {allowed}."
        return plain_error(405, "BAD_REQUEST", message)
    return await error_response(request, error)
