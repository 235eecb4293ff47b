"""Which page is at which path, and how a page becomes an answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from loopline.errors import NotFoundError
from loopline.records.operations import ListArtifacts, ListLoggedModelFiles
from loopline.server.blobs import send_blob
from loopline.server.callers import caller_now
from loopline.server.errors import RETRY_AFTER_S, sentence_of
from loopline.server.guarded import GuardedRoute
from loopline.server.pages.decision_routes import decision_routes
from loopline.server.pages.decisions import decision_page, decision_picture, decisions_page
from loopline.server.pages.errors import page_of_error
from loopline.server.pages.flow_run import flow_run_page, picture
from loopline.server.pages.flow_runs import flow_runs_page
from loopline.server.pages.flows import flow_page, flows_page
from loopline.server.pages.home import home_page
from loopline.server.pages.layout import frame, policy_for
from loopline.server.pages.logged_models import logged_model_page, logged_models_page
from loopline.server.pages.models import model_page, models_page
from loopline.server.pages.request import PageRequest
from loopline.server.pages.run import chart, picture_type, run_page
from loopline.server.pages.runs import experiment_page, experiments_page, runs_page
from loopline.server.pages.version import version_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from loopline.backend.protocol import Backend
    from loopline.records.operation import Operation
    from loopline.records.tracking import Artifact
    from loopline.server.pages.request import Page
    from loopline.server.threads import Threads

__all__ = ["error_page", "page_routes"]

#: Path (``*`` stands for one name that may hold anything, a ``/`` included) and page.
PAGES: dict[str, Callable[[PageRequest], Page]] = {
    "/": home_page,
    "/experiments": experiments_page,
    "/experiments/*": experiment_page,
    "/runs": runs_page,
    "/runs/*": run_page,
    "/models": models_page,
    "/models/*/versions/*": version_page,
    "/models/*": model_page,
    "/decisions": decisions_page,
    "/decisions/*": decision_page,
    "/logged-models": logged_models_page,
    "/logged-models/*": logged_model_page,
    "/flows": flows_page,
    "/flows/*/*": flow_page,
    "/flow-runs": flow_runs_page,
    "/flow-runs/*": flow_run_page,
}

#: Pictures are files of their own, so that their style sheet needs no hole in the page's policy.
PICTURES: dict[str, Callable[[PageRequest], str]] = {
    "/runs/*/chart.svg": chart,
    "/flow-runs/*/picture.svg": picture,
    "/decisions/*/gains.svg": decision_picture,
}
#: Bytes of files, and what lists those that lie in a folder beside each.
FILES: dict[str, Callable[[str, str], Operation[list[Artifact]]]] = {
    "/runs/*/artifacts/*": lambda owner, path: ListArtifacts(run_id=owner, path=path),
    "/logged-models/*/artifacts/*": lambda owner, path: ListLoggedModelFiles(
        model_id=owner, path=path
    ),
}
PICTURE_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'"
}


def page_routes(backend: Backend, threads: Threads) -> list[GuardedRoute]:
    """Make the routes of all pages."""

    def files_at(pattern: str, ask: Callable[[str, str], Operation[list[Artifact]]]) -> Any:  # noqa: ANN401
        async def artifact(request: Request) -> Response:
            owner, *rest = _names(request, pattern)
            path = "/".join(rest)
            parent, _, name = path.rpartition("/")
            for file in await threads.run(backend.call, ask(owner, parent)):
                if file.path == path and not file.is_dir:
                    return await send_blob(
                        request,
                        file.sha256,
                        backend,
                        threads,
                        name=name,
                        media_type=picture_type(name) or "application/octet-stream",
                    )
            msg = f"{owner} has no file {path[:200]!r}. Its page lists those it has."
            raise NotFoundError(msg)

        return artifact

    def as_page(pattern: str, page: Callable[[PageRequest], Page]) -> Any:  # noqa: ANN401
        async def answer(request: Request) -> Response:
            def work() -> Response:
                shown = page(_asked(request, pattern, backend))
                who = caller_now().name
                # Where a team's store is concerns those who run it.
                made = _html(frame(shown, store="" if who else str(backend.address), who=who))
                made.headers.update(policy_for(shown))
                return made

            return await threads.run(work)

        return answer

    def as_picture(pattern: str, draw: Callable[[PageRequest], str]) -> Any:  # noqa: ANN401
        async def answer(request: Request) -> Response:
            svg = await threads.run(lambda: draw(_asked(request, pattern, backend)))
            return Response(svg, headers=PICTURE_HEADERS, media_type="image/svg+xml")

        return answer

    pictures = [
        GuardedRoute(_route(pattern), as_picture(pattern, draw), permission="view")
        for pattern, draw in PICTURES.items()
    ]
    pages = [
        GuardedRoute(_route(pattern), as_page(pattern, page), permission="view", is_page=True)
        for pattern, page in PAGES.items()
    ]
    files = [
        GuardedRoute(_files_route(pattern), files_at(pattern, ask), permission="view", is_page=True)
        for pattern, ask in FILES.items()
    ]
    return [*pictures, *files, *decision_routes(backend, threads), *pages]


def error_page(request: Request, error: Exception) -> Response:
    """Answer an error as a page."""
    status, message = sentence_of(error)
    page = page_of_error(status, message, path=request.url.path)
    answer = _html(frame(page, store="nothing"), status)
    if status in {503, 507}:
        answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="text/html; charset=utf-8")


def _route(pattern: str) -> str:
    """Turn ``/flows/*/*`` into the router's words."""
    parts = pattern.split("/")
    return "/".join(f"{{n{i}:path}}" if part == "*" else part for i, part in enumerate(parts))


def _files_route(pattern: str) -> str:
    """Turn ``/runs/*/artifacts/*`` into the router's words: the first name has no ``/`` in it."""
    return pattern.replace("*", "{n0}", 1).replace("*", "{n1:path}", 1)


def _asked(request: Request, pattern: str, backend: Backend) -> PageRequest:
    names = _names(request, pattern)
    return PageRequest(backend, names, request.query_params, round(time.time() * 1000))


def _names(request: Request, pattern: str) -> list[str]:
    """Take the names out of the path as it was sent: there, a ``/`` in a name is ``%2F``."""
    raw = request.scope.get("raw_path") or request.url.path.encode()
    sent = raw.decode("ascii", "replace").partition("?")[0].split("/")
    fixed = pattern.split("/")
    names = [unquote(part) for part, want in zip(sent, fixed, strict=False) if want == "*"]
    rest = [unquote(part) for part in sent[len(fixed) :]]
    if rest and "artifacts" not in fixed:
        raise HTTPException(404)
    return [*names, *rest]
