"""Files in MLflow's protocol: uploads, downloads and lists, by the addresses given out.

An address is ``mlflow-artifacts:/<experiment>/<run>/artifacts/<path>``, that of a logged model,
``mlflow-artifacts:/<experiment>/models/<id>/artifacts/<path>``, or that of a model version,
``mlflow-artifacts:/versions/<name>/<number>/artifacts/<path>``. Clients never say where bytes lie:
what is no address of something that is there is refused.
"""

from __future__ import annotations

import time
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import Response

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.rules.folders import children
from loopline.rules.names import check_artifact_path
from loopline.server import wire
from loopline.server.blobs import send_blob
from loopline.server.guarded import GuardedRoute
from loopline.server.mlflow.answers import artifact_root
from loopline.server.mlflow.requests import required, version_number
from loopline.server.mlflow.rules import Rule, asks
from loopline.server.mlflow.runs import RunId, run_id_of
from loopline.server.uploads import receive_blob

if TYPE_CHECKING:
    from starlette.requests import Request

    from loopline.backend.protocol import Backend
    from loopline.records.tracking import Artifact
    from loopline.server.commits import Commits
    from loopline.server.threads import Threads

__all__ = [
    "ARTIFACTS",
    "VERSIONS_AT",
    "Place",
    "artifact_routes",
    "check_owner",
    "file_answer",
    "find_file",
    "logged",
    "parse_place",
]

#: First part of the addresses of model versions; experiments are numbers.
VERSIONS_AT = "versions"
#: Second part of the addresses of logged models; where it is a run's id, "artifacts" follows.
MODELS_AT = "models"
#: Parts of an address before the path inside the run.
_PARTS = 3


class Place(NamedTuple):
    """A file or folder of a run, logged model or model version; an empty path is all its files."""

    run_id: str
    path: str
    version: tuple[str, int] | None = None
    model_id: str = ""


def parse_place(text: str) -> Place:
    """Read the part of an address after its scheme.

    Raises:
        InvalidInputError: This server gives out no such address.
    """
    parts = text.strip("/").split("/")
    of_version = parts[0] == VERSIONS_AT
    of_model = parts[1:2] == [MODELS_AT] and parts[2:3] != ["artifacts"]
    size = _PARTS + (of_version or of_model)
    if len(parts) < size or parts[size - 1] != "artifacts":
        msg = (
            f"Invalid path {text[:200]!r}: this server keeps files of runs, under "
            "<experiment>/<run>/artifacts/<path>, as the run's artifact_uri says."
        )
        raise InvalidInputError(msg)
    rest = "/".join(parts[size:])
    path = check_artifact_path(rest) if rest else ""
    if of_model:
        return Place("", path, model_id=parts[2])
    if not of_version:
        return Place(parts[1], path)
    if not parts[2].isdecimal():
        msg = f"Invalid path {text[:200]!r}: a version has a number."
        raise InvalidInputError(msg)
    return Place("", path, (parts[1], int(parts[2])))


class ListFiles(RunId, frozen=True, kw_only=True):
    """What lies in a folder of a run."""

    path: str = ""
    page_token: str = ""


def _list(backend: Backend, call: ListFiles) -> dict[str, Any]:
    run = backend.call(ops.GetRun(run_id=run_id_of(call)))
    files = backend.call(ops.ListArtifacts(run_id=run.run_id, path=call.path.rstrip("/")))
    return {
        "root_uri": artifact_root(run.experiment_id, run.run_id),
        "files": [file_answer(file, file.path) for file in files],
    }


def file_answer(file: Artifact, path: str) -> dict[str, Any]:
    """Write a file or folder."""
    if file.is_dir:
        return {"path": path, "is_dir": True}
    return {"path": path, "is_dir": False, "file_size": file.size_bytes}


def _below(backend: Backend, place: Place) -> list[Artifact]:
    """List what lies in a folder."""
    if place.model_id:
        asked = ops.ListLoggedModelFiles(
            # MLflow's server gives files by their place, whatever became of the model.
            model_id=place.model_id, path=place.path, include_deleted=True
        )  # fmt: skip
        return backend.call(asked)
    if place.version is None:
        return backend.call(ops.ListArtifacts(run_id=place.run_id, path=place.path))
    name, number = place.version
    files = backend.call(ops.ResolveModel(name=name, version=number)).files
    return children(files, place.path)


def find_file(backend: Backend, place: Place) -> Artifact:
    """Find a file.

    Raises:
        NotFoundError: There is none.
    """
    if place.path:
        folder, _, name = place.path.rpartition("/")
        for file in _below(backend, place._replace(path=folder)):
            if file.path.rpartition("/")[2] == name and not file.is_dir:
                return file
    whose = f"run {place.run_id}" if place.run_id else place.model_id or "the version"
    msg = f"No such artifact: '{place.path}' of {whose}. List what is there."
    raise NotFoundError(msg)


def check_owner(backend: Backend, place: Place) -> None:
    """Find what a file is to belong to, before its bytes are taken."""
    if place.model_id:
        backend.call(ops.GetLoggedModel(model_id=place.model_id))
    else:
        backend.call(ops.GetRun(run_id=place.run_id))


def logged(place: Place, sha256: str, size: int) -> f.Fact:
    """Make the fact that bytes that are kept are a file now."""
    now_ms = time.time_ns() // 1_000_000
    if place.model_id:
        return f.LoggedModelFile(
            model_id=place.model_id, path=place.path, sha256=sha256, size_bytes=size, at_ms=now_ms
        )
    return f.ArtifactLogged(
        run_id=place.run_id, path=place.path, sha256=sha256, size_bytes=size, at_ms=now_ms
    )


def artifact_routes(
    backend: Backend, threads: Threads, commits: Commits, prefix: str
) -> list[GuardedRoute]:
    """Make the routes by which files go up and down."""

    async def put(request: Request) -> Response:
        place = parse_place(request.path_params["path"])
        if not place.path or place.version is not None:
            msg = (
                "Files go below the artifacts of a run or logged model; a model version stays as "
                "it was registered."
            )
            raise InvalidInputError(msg)
        await threads.run(check_owner, backend, place)
        sha256, size = await receive_blob(request, backend, threads)
        await commits.record([logged(place, sha256, size)])
        return Response(b"{}", media_type=wire.JSON)

    async def get(request: Request) -> Response:
        return await _send(request, parse_place(request.path_params["path"]))

    async def get_of_model(request: Request) -> Response:
        path = check_artifact_path(request.query_params.get("artifact_file_path", ""))
        return await _send(request, Place("", path, model_id=request.path_params["model_id"]))

    async def get_of_run(request: Request) -> Response:
        query = request.query_params
        run_id = required("run_id", query.get("run_id", "") or query.get("run_uuid", ""))
        return await _send(request, Place(run_id, check_artifact_path(query.get("path", ""))))

    async def get_of_version(request: Request) -> Response:
        query = request.query_params
        number = version_number(required("version", query.get("version", "")))
        path = check_artifact_path(query.get("path", ""))
        name = required("name", query.get("name", ""))
        return await _send(request, Place("", path, (name, number)))

    async def _send(request: Request, place: Place) -> Response:
        file = await threads.run(find_file, backend, place)
        name = place.path.rpartition("/")[2]
        kind = guess_type(name)[0] or "application/octet-stream"
        return await send_blob(request, file.sha256, backend, threads, name=name, media_type=kind)

    async def delete(request: Request) -> Response:
        place = parse_place(request.path_params["path"])
        if place.version is not None:
            msg = "The files of a model version stay as it was registered. Delete the version."
            raise InvalidInputError(msg)
        what = ops.DeleteArtifacts(run_id=place.run_id, model_id=place.model_id, path=place.path)
        await threads.run(backend.call, what)
        return Response(b"{}", media_type=wire.JSON)

    async def listed(request: Request) -> Response:
        place = parse_place(request.query_params.get("path", ""))

        def ask() -> bytes:
            files = _below(backend, place)
            answers = [file_answer(file, file.path.rpartition("/")[2]) for file in files]
            return wire.encode({"files": answers} if answers else {}, wire.JSON)

        return Response(await threads.run(ask), media_type=wire.JSON)

    base = f"{prefix}/2.0/mlflow-artifacts/artifacts"
    pages = [] if prefix != "/api" else [
        # Where MLflow's pages, and people's links to them, read a file of a run or version.
        GuardedRoute("/get-artifact", get_of_run, methods=["GET"], permission="view"),
        GuardedRoute(
            "/model-versions/get-artifact", get_of_version, methods=["GET"], permission="view"
        ),
    ]  # fmt: skip
    return [
        *pages,
        # Where MLflow's pages and importers read a logged model's file.
        GuardedRoute(
            f"{prefix}/2.0/mlflow/logged-models/{{model_id}}/artifacts/files", get_of_model,
            methods=["GET"], permission="view",
        ),
        GuardedRoute(base, listed, methods=["GET"], permission="view"),
        GuardedRoute(f"{base}/{{path:path}}", get, methods=["GET"], permission="view"),
        GuardedRoute(f"{base}/{{path:path}}", put, methods=["PUT"], permission="edit"),
        GuardedRoute(f"{base}/{{path:path}}", delete, methods=["DELETE"], permission="edit"),
    ]  # fmt: skip


ARTIFACTS: list[Rule] = [asks("artifacts/list", ListFiles, _list)]
