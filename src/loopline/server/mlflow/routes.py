"""The routes of MLflow's protocol, under ``/api`` and, for its pages' sake, ``/ajax-api``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response
from starlette.routing import Match

from loopline.server import wire
from loopline.server.callers import PermittedCommits
from loopline.server.errors import code_for, plain_error
from loopline.server.guarded import GuardedRoute
from loopline.server.mlflow.artifacts import ARTIFACTS, artifact_routes
from loopline.server.mlflow.direct import DirectFiles, direct_routes
from loopline.server.mlflow.experiments import EXPERIMENTS
from loopline.server.mlflow.logged_models import LOGGED_MODELS
from loopline.server.mlflow.logging import LOGGING
from loopline.server.mlflow.metrics import METRICS
from loopline.server.mlflow.models import MODELS
from loopline.server.mlflow.recorder import Recorder
from loopline.server.mlflow.requests import read_call
from loopline.server.mlflow.runs import RUNS
from loopline.server.mlflow.versions import VERSIONS
from loopline.server.mlflow.webhooks import webhook_rules

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from loopline.backend.protocol import Backend
    from loopline.server.mlflow.rules import Rule
    from loopline.server.threads import Threads

__all__ = ["RULES", "mlflow_routes"]

PREFIXES = ("/api", "/ajax-api")
#: What MLflow's server has and this one has not: for generative AI, and several servers in one.
UNSUPPORTED = (
    "2.0/mlflow/gateway-proxy", "2.0/mlflow/get-online-trace-details",
    "2.0/mlflow/get-trace-artifact", "2.0/mlflow/traces", "2.0/mlflow/unified-traces",
    "3.0/mlflow/datasets", "3.0/mlflow/demo", "3.0/mlflow/gateway", "3.0/mlflow/genai",
    "3.0/mlflow/get-trace-artifact", "3.0/mlflow/issues", "3.0/mlflow/jobs",
    "3.0/mlflow/label-schemas", "3.0/mlflow/prompt-optimization", "3.0/mlflow/review-queues",
    "3.0/mlflow/scorer", "3.0/mlflow/traces", "3.0/mlflow/ui-telemetry", "3.0/mlflow/workspaces",
)  # fmt: skip
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


_TRACKING_AND_REGISTRY: list[Rule] = [
    *EXPERIMENTS,
    *RUNS,
    *LOGGING,
    *METRICS,
    *ARTIFACTS,
    *MODELS,
    *VERSIONS,
    *LOGGED_MODELS,
]
RULES: list[Rule] = [*_TRACKING_AND_REGISTRY, *webhook_rules()]
#: MLflow 1's clients reach the registry where it was before it was done.
_NOW, _BEFORE = "2.0/mlflow/", "2.0/preview/mlflow/"


def mlflow_routes(
    backend: Backend, threads: Threads, *, allow_private_webhooks: bool = False
) -> list[GuardedRoute]:
    """Make all routes; what MLflow has and this server has not is told so."""
    commits = PermittedCommits(backend, threads)
    files = DirectFiles(backend)
    rules = [*_TRACKING_AND_REGISTRY, *webhook_rules(allow_private=allow_private_webhooks)]
    routes: list[GuardedRoute] = []
    for prefix in PREFIXES:
        routes += _rules(rules, prefix, backend, threads, commits)
        routes += artifact_routes(backend, threads, commits, prefix)
        routes += direct_routes(backend, threads, commits, files, prefix)
        info = _server_info(files, threads)
        routes.append(GuardedRoute(f"{prefix}/3.0/mlflow/server-info", info, permission="view"))
    routes += _rules(rules, "/api", backend, threads, commits, before=_NOW, instead=_BEFORE)
    for prefix in PREFIXES:
        routes += [
            GuardedRoute(f"{prefix}/{version}/{{rest:path}}", _unsupported, methods=METHODS,
                         permission="view")
            for version in ("2.0", "3.0")
        ]  # fmt: skip
    return routes


def _rules(
    rules: list[Rule],
    prefix: str,
    backend: Backend,
    threads: Threads,
    commits: PermittedCommits,
    *,
    before: str = "",
    instead: str = "",
) -> list[GuardedRoute]:
    """Make a route of each rule, with another beginning of its path where one is given."""
    routes = []
    for rule in rules:
        answer: Callable[..., Any] = (
            Recorder(rule.call, rule.facts, commits)
            if rule.facts
            else _asker(rule, backend, threads)
        )
        routes.append(
            GuardedRoute(
                f"{prefix}/{instead}{rule.path.removeprefix(before)}",
                answer,
                methods=list(rule.methods),
                permission=rule.permission,
            )
        )
    return routes


def _asker(
    rule: Rule, backend: Backend, threads: Threads
) -> Callable[[Request], Awaitable[Response]]:
    ask = rule.answer
    assert ask is not None  # noqa: S101 - the caller chose by it

    run = threads.read if rule.permission == "view" else threads.run

    async def answer(request: Request) -> Response:
        call = await read_call(request, rule.call)

        def work() -> bytes:
            # Empty lists and texts are left out, as protobuf's JSON has it.
            return msgspec.json.encode({k: v for k, v in ask(backend, call).items() if v})

        return Response(await run(work), media_type=wire.JSON)

    return answer


def _server_info(files: DirectFiles, threads: Threads) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        is_direct = await threads.run(files.find) is not None
        info: dict[str, Any] = {
            "store_type": "SqlStore",
            "workspaces_enabled": False,
            "multipart_uploads_enabled": is_direct,
            "multipart_downloads_enabled": is_direct,
            "trace_archival_enabled": False,
            "features_enabled": {"gateway": False},
        }
        return Response(wire.encode(info, wire.JSON), media_type=wire.JSON)

    return answer


async def _unsupported(request: Request) -> Response:
    allowed = sorted(
        method
        for route in request.app.routes
        if route.matches(request.scope)[0] is Match.PARTIAL
        for method in route.methods
    )
    if allowed:
        message = (
            f"{request.method} is not for {request.url.path[:200]}. Use {' or '.join(allowed)}."
        )
        answer = plain_error(405, "BAD_REQUEST", message)
        answer.headers["Allow"] = ", ".join(allowed)
        return answer
    speaks = (
        "It speaks MLflow's protocol of experiments, runs, metrics, files, logged and registered "
        "models and their versions."
    )
    path = request.url.path
    family = path.partition("api/")[2]
    if family.startswith(UNSUPPORTED):
        message = f"{path[:200]} is not supported by this server. {speaks}"
        return plain_error(501, code_for(request, "NOT_IMPLEMENTED"), message)
    # As MLflow's clients call what an older server does not have.
    message = f"There is nothing at {path[:200]} of this server. {speaks}"
    return plain_error(404, "ENDPOINT_NOT_FOUND", message)
