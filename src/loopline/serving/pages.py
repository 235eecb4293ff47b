"""What a serving process answers beside predictions: health, version, metrics, interface."""

from __future__ import annotations

import asyncio
import importlib.metadata
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from loopline.server.sites import SECURITY_HEADERS
from loopline.serving.answers import refusal
from loopline.serving.deployment import Question
from loopline.serving.openapi import document

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from loopline.serving.answers import Answer
    from loopline.serving.service import Service

__all__ = ["make_app"]

#: Paths to which links of other sites may lead.
PAGES = frozenset({"/"})

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def make_app(service: Service) -> Starlette:
    """Make the application of a service."""

    async def ping(_request: Request) -> Response:
        return Response("\n", media_type="application/json")

    async def health(_request: Request) -> Response:
        return JSONResponse(_health(service))

    async def version(_request: Request) -> Response:
        return Response(importlib.metadata.version("loopline"), media_type="application/json")

    async def metrics(_request: Request) -> Response:
        return Response(service.meter.text(), headers={"content-type": _PROMETHEUS})

    async def interface(_request: Request) -> Response:
        return JSONResponse(document(service))

    async def invocations(request: Request) -> Response:
        return await _invocations(service, request)

    return Starlette(
        routes=[
            Route("/ping", ping),
            Route("/health", health),
            Route("/version", version),
            Route("/metrics", metrics),
            Route("/openapi.json", interface),
            Route("/invocations", invocations, methods=["POST"]),
            Route("/models/{name:path}/invocations", invocations, methods=["POST"]),
        ],
        middleware=[Middleware(_Guard, service=service)],
    )


class _Guard:
    """ASGI middleware: takes no other site's requests, and sets headers that keep pages apart."""

    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, then hand it on."""

        async def safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", []).extend(SECURITY_HEADERS)
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._service.sites.refusal(scope, headers, is_page=scope["path"] in PAGES)
        if refused is None:
            await self._app(scope, receive, safely)
            return
        answer = refusal(refused)
        response = Response(answer.body, answer.status, media_type=answer.media_type.decode())
        await response(scope, receive, safely)


def _health(service: Service) -> dict[str, Any]:
    models: dict[str, Any] = {}
    for name, each in service.deployments.items():
        model = None if each.engine is None else each.engine.model
        models[name] = {
            "address": each.address,
            "version": None if model is None else model.version,
            "swaps": each.swaps,
            "waiting": sum(engine.waiting for engine in each.engines),
            **({"problem": each.problem} if each.problem else {}),
        }
        if each.recording is not None:
            models[name]["recorded"] = each.recording.recorded
            models[name]["left_out"] = each.recording.left_out
        if each.challenge is not None:
            other = each.challenge.deployment
            models[name]["challenger"] = {
                "address": other.address,
                "version": None if other.engine is None else other.engine.model.version,
                "share": each.challenge.share,
                **({"problem": other.problem} if other.problem else {}),
            }
    bad = any(
        "problem" in model or "problem" in model.get("challenger", {}) for model in models.values()
    )
    return {"status": "warning" if bad else "ok", "models": models}


async def _invocations(service: Service, request: Request) -> Response:
    """Answer a scoring request that did not come the short way."""
    body = await request.body()
    came: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def done(answer: Answer) -> None:
        if not came.done():
            came.set_result(answer)

    headers = request.headers
    try:
        deployment = service.find(request.scope["path"])
    except LookupError as error:
        done(refusal(error))
    else:
        names = ("content-type", "accept", "x-loopline-prediction-id")
        content_type, accept, prediction_id = (headers.get(name, "") for name in names)
        deployment.ask(Question(body, content_type, accept, prediction_id), done)
    answer = await came
    response = Response(answer.body, answer.status, media_type=answer.media_type.decode())
    for line in answer.headers.splitlines():
        name, _, value = line.partition(b": ")
        response.headers[name.decode()] = value.decode()
    return response
