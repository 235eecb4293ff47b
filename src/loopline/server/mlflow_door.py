"""The door of the MLflow protocol: its routes when they are built in, else a clear 501."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from loopline.server.errors import plain_error
from loopline.server.gate import GuardedRoute

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from loopline.backend.protocol import Backend
    from loopline.server.threads import Threads

__all__ = ["mlflow_routes"]

#: Module with ``routes(backend, threads) -> list[GuardedRoute]``.
PROTOCOL = "loopline.server.mlflow"

FAMILIES = ("/api/2.0/{rest:path}", "/api/3.0/{rest:path}", "/ajax-api/{rest:path}")
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def mlflow_routes(backend: Backend, threads: Threads) -> list[GuardedRoute]:
    """Make the routes of the MLflow protocol."""
    if find_spec(PROTOCOL) is not None:
        routes: list[GuardedRoute] = import_module(PROTOCOL).routes(backend, threads)
        return routes
    return [
        GuardedRoute(family, _not_yet, methods=METHODS, permission="view") for family in FAMILIES
    ]


async def _not_yet(request: Request) -> Response:
    message = (
        f"This server does not speak MLflow's REST protocol yet ({request.url.path[:200]}). "
        "Use Loopline's own client: loopline.set_tracking_uri(...) with this server's address."
    )
    return plain_error(501, "NOT_IMPLEMENTED", message)
