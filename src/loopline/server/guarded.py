"""Routes that say which permission they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from loopline.rules.access import NEEDED

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["PERMISSIONS", "PUBLIC", "GuardedRoute"]

#: What a route may ask for. ``public`` needs no caller at all: it is for signing in, for what
#: tells nothing (``/health``, ``/version``), and for files that are the same on every server.
PUBLIC = "public"
PERMISSIONS = frozenset({PUBLIC, *NEEDED})


class GuardedRoute(Route):
    """A route that says which permission it needs.

    Attributes:
        permission: One of ``PERMISSIONS``.
        is_page: Whether a link elsewhere may lead here.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        permission: str,
        methods: list[str] | None = None,
        name: str | None = None,
        is_page: bool = False,
    ) -> None:
        super().__init__(path, endpoint, methods=methods, name=name)
        self.permission = permission
        self.is_page = is_page
