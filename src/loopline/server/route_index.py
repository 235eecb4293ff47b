"""Finding a request's route without asking every route whether it is the one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette._utils import get_route_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Direct", "RouteIndex"]

#: Paths under which no route needs what the application's router adds to a request.
DIRECT = ("/api/", "/ajax-api/")


class RouteIndex:
    """Finds the route that the application's router would choose: the first that matches."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        self._fixed = {route.path for route in routes if not route.param_convertors}
        #: Which routes match a path; of paths that hold no parameter, so that they are few.
        self._known: dict[str, list[Route]] = {}

    def find(self, scope: Scope) -> Route | None:
        """Find the route of a request, or None."""
        path = get_route_path(scope)
        matching = self._known.get(path)
        if matching is None:
            matching = [route for route in self._routes if route.path_regex.match(path)]
            if path in self._fixed:
                self._known[path] = matching
        method = scope["method"]
        for route in matching:
            if route.methods is None or method in route.methods:
                return route
        return None


class Direct:
    """ASGI middleware behind the gate that hands API requests to their route at once.

    The router of the application asks one route after the other, of which there are hundreds. What
    goes wrong in a route is answered by the gate, as everywhere.
    """

    def __init__(self, app: ASGIApp, *, index: RouteIndex) -> None:
        self._app = app
        self._index = index

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        if scope["type"] == "http" and scope["path"].startswith(DIRECT):
            route = self._index.find(scope)
            if route is not None and not route.param_convertors:
                await route.app(scope, receive, send)
                return
        await self._app(scope, receive, send)
