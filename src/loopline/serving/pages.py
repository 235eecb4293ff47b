"""What a serving process answers beside predictions: health, version, metrics, interface."""

from __future__ import annotations

import asyncio
import importlib.metadata
import time
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from loopline.errors import LooplineError
from loopline.server.sites import SECURITY_HEADERS
from loopline.serving.answers import refusal
from loopline.serving.deployment import Question
from loopline.serving.errors import BodyTooLongError
from loopline.serving.openapi import document

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from loopline.serving.answers import Answer
    from loopline.serving.deployment import Deployment
    from loopline.serving.service import Service

__all__ = ["make_app"]

#: Paths to which links of other sites may lead.
PAGES = frozenset({"/"})

#: Of a form that somebody filled in.
MOST_FORM_BYTES = 1024**2

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

    async def home(_request: Request) -> Response:
        from loopline.serving.page import page

        return HTMLResponse(page(service))

    async def asset(request: Request) -> Response:
        from loopline.server.assets import asset_routes

        (route,) = asset_routes()
        response: Response = await route.endpoint(request)
        return response

    async def trial(request: Request) -> Response:
        return await _trial(service, request)

    async def invocations(request: Request) -> Response:
        return await _invocations(service, request)

    return Starlette(
        routes=[
            Route("/", home),
            Route("/static/{version}/{name}", asset),
            Route("/models/{name:path}/try", trial, methods=["POST"]),
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
                headers = message.setdefault("headers", [])
                said = {name.lower() for name, _ in headers}
                headers.extend(header for header in SECURITY_HEADERS if header[0] not in said)
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


async def _trial(service: Service, request: Request) -> Response:
    """Ask a model what a form says, and show the page with the answer."""
    from loopline.serving.page import Trial, body_of_form, page

    try:
        deployment = service.named(request.path_params["name"])
        if deployment.engine is None:
            return RedirectResponse("/", 303)
        form = await _form(request)
    except LooplineError as error:
        answer = refusal(error)
        return Response(answer.body, answer.status, media_type=answer.media_type.decode())
    body, fields = body_of_form(deployment.engine.model, form)
    began = time.perf_counter()
    answer = await _asked(deployment, Question(body, "application/json", is_trial=True))
    took_ms = (time.perf_counter() - began) * 1000
    trial = Trial(deployment.name, fields, answer, took_ms)
    return HTMLResponse(page(service, trial=trial), answer.status)


async def _form(request: Request) -> bytes:
    """Read a form.

    Raises:
        BodyTooLongError: It has more than one would fill in.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_FORM_BYTES:
            msg = f"The form has more than {MOST_FORM_BYTES:,} bytes. Ask /invocations."
            raise BodyTooLongError(msg)
    return body


async def _asked(deployment: Deployment, question: Question) -> Answer:
    """Ask a model."""
    came: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def done(answer: Answer) -> None:
        if not came.done():
            came.set_result(answer)

    deployment.ask(question, done)
    return await came


async def _invocations(service: Service, request: Request) -> Response:
    """Answer a scoring request that did not come the short way."""
    body = await request.body()
    headers = request.headers
    try:
        deployment = service.find(request.scope["path"])
    except LookupError as error:
        answer = refusal(error)
    else:
        names = ("content-type", "accept", "x-loopline-prediction-id")
        content_type, accept, prediction_id = (headers.get(name, "") for name in names)
        question = Question(body, content_type, accept, prediction_id)
        answer = await _asked(deployment, question)
    response = Response(answer.body, answer.status, media_type=answer.media_type.decode())
    for line in answer.headers.splitlines():
        name, _, value = line.partition(b": ")
        response.headers[name.decode()] = value.decode()
    return response
