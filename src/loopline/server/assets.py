"""The few files that pages need, under names that change with their content."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import Response

from loopline.errors import NotFoundError
from loopline.server.guarded import PUBLIC, GuardedRoute

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["asset_hash", "asset_routes", "asset_url"]

KINDS = {
    "loopline.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "links.js": "text/javascript; charset=utf-8",
}


@cache
def _content(name: str) -> bytes:
    return files("loopline.server").joinpath("static", name).read_bytes()


@cache
def asset_url(name: str) -> str:
    """Where a file is served; the hash in it lets browsers keep it for good."""
    return f"/static/{hashlib.sha256(_content(name)).hexdigest()[:12]}/{name}"


@cache
def asset_hash(name: str) -> str:
    """Tell a browser what a file must be, in the words of its policies."""
    return f"sha256-{base64.b64encode(hashlib.sha256(_content(name)).digest()).decode()}"


def asset_routes() -> list[GuardedRoute]:
    """Make the route of the files in ``static/``."""

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in KINDS:
            msg = f"No file {name[:100]!r} here. Open the start page: /."
            raise NotFoundError(msg)
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(_content(name), headers=headers, media_type=KINDS[name])

    return [GuardedRoute("/static/{version}/{name}", asset, permission=PUBLIC)]
