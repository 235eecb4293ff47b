"""Files past this server: MLflow's multipart uploads and presigned downloads.

Where the files lie in a bucket, clients get addresses of the bucket itself for the parts of a
long file and for downloads. Where they cannot, a client is told so in MLflow's words, by which it
falls back to this server. What is uploaded is read and hashed before it counts.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from starlette.responses import Response

from loopline.backend.local import LocalBackend
from loopline.blobs.direct import direct_to
from loopline.errors import InvalidInputError, LooplineError
from loopline.rules.names import check_artifact_path
from loopline.server import wire
from loopline.server.guarded import GuardedRoute
from loopline.server.mlflow.artifacts import Place, check_owner, find_file, logged, parse_place
from loopline.server.mlflow.requests import Call, read_call, required
from loopline.server.uploads import staging_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.requests import Request

    from loopline.backend.protocol import Backend
    from loopline.blobs.direct import Direct
    from loopline.blobs.objects import Signed
    from loopline.server.commits import Commits
    from loopline.server.threads import Threads

__all__ = ["DirectFiles", "direct_routes"]

#: Seconds for which an address to download from is good, unless the client says.
DOWNLOAD_S = 300
#: The longest that the clouds allow.
MOST_S = 7 * 86_400
_LAST_PART = re.compile(r"[^/\\]*\Z")


class NotDirectError(LooplineError):
    """Clients cannot be sent to where the files lie."""

    status = 501
    code = "NOT_IMPLEMENTED"


class DirectFiles:
    """Whether clients can be sent to the bucket, found out when first asked."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._found: Direct | None = None
        self._is_known = os.environ.get("LOOPLINE_DIRECT_FILES") == "0"

    def find(self) -> Direct | None:
        """Answer what makes the addresses; None where all goes through this server."""
        if not self._is_known:
            if isinstance(self._backend, LocalBackend):
                self._found = direct_to(self._backend.blobs)
            self._is_known = True
        return self._found

    def need(self, what: str) -> Direct:
        """Answer what makes the addresses.

        Raises:
            NotDirectError: In the words by which MLflow's clients know to fall back.
        """
        found = self.find()
        if found is None:
            msg = (
                f"{what} is not supported for the current artifact repository: files go through "
                "this server."
            )
            raise NotDirectError(msg)
        return found


class _Begin(Call, frozen=True, kw_only=True):
    """Begin an upload of a file, named as on the client's disk."""

    path: str = ""
    num_parts: int = 1


class _Part(Call, frozen=True, kw_only=True):
    """A part that was sent."""

    part_number: int
    etag: str = ""


class _End(Call, frozen=True, kw_only=True):
    """Finish or abort an upload."""

    path: str = ""
    upload_id: str = ""
    parts: list[_Part] = []


class _Download(Call, frozen=True, kw_only=True):
    """Ask where a file can be downloaded."""

    run_id: str = ""
    path: str = ""
    expiration: int = DOWNLOAD_S


class _Upload(Call, frozen=True, kw_only=True):
    """Ask where a file can be uploaded to."""

    path: str = ""


def direct_routes(
    backend: Backend, threads: Threads, commits: Commits, files: DirectFiles, prefix: str
) -> list[GuardedRoute]:
    """Make the routes that give addresses of the bucket, and take what was sent there."""
    finishing = _Once()

    async def create(request: Request) -> Response:
        call = await read_call(request, _Begin)
        place, text = _target(request, call.path)
        direct = await threads.run(files.need, "Multipart upload")
        await threads.run(check_owner, backend, place)
        upload = await threads.run(direct.begin, text, call.num_parts)
        credentials = [
            {"url": part.url, "part_number": number, "headers": part.headers}
            for number, part in enumerate(upload.parts, 1)
        ]
        return _answer({"upload_id": upload.upload_id, "credentials": credentials})

    async def complete(request: Request) -> Response:
        call = await read_call(request, _End)
        place, text = _target(request, call.path)
        direct = await threads.run(files.need, "Multipart upload")

        async def finish() -> None:
            sha256, size = await threads.run(
                direct.finish,
                required("upload_id", call.upload_id),
                text,
                [part.part_number for part in call.parts],
                staging_of(backend),
            )
            await commits.record([logged(place, sha256, size)])

        await finishing.do((call.upload_id, text), finish)
        return _answer({})

    async def abort(request: Request) -> Response:
        call = await read_call(request, _End)
        _, text = _target(request, call.path)
        direct = await threads.run(files.need, "Multipart upload")
        await threads.run(direct.abort, required("upload_id", call.upload_id), text)
        return _answer({})

    async def presigned(request: Request) -> Response:
        place = parse_place(request.path_params["place"])
        direct = await threads.run(files.need, "Presigned download")
        signed, size = await threads.run(_address, backend, direct, place, DOWNLOAD_S)
        return _answer({"url": signed.url, "headers": signed.headers, "file_size": size})

    async def download_url(request: Request) -> Response:
        call = await read_call(request, _Download)
        place = Place(required("run_id", call.run_id), check_artifact_path(call.path))
        if not 1 <= call.expiration <= MOST_S:
            msg = f"expiration must be between 1 and {MOST_S} seconds (got {call.expiration})."
            raise InvalidInputError(msg)
        direct = await threads.run(files.find)
        if direct is None:
            _refuse("Presigned download is not supported for runs with proxied artifact storage")
        signed, size = await threads.run(_address, backend, direct, place, call.expiration)
        words = {"presigned_url": signed.url, "headers": signed.headers, "file_size": str(size)}
        return _answer(words)

    async def upload_url(request: Request) -> Response:
        await read_call(request, _Upload)
        # Nobody says when such an upload is whole, so that nothing could vouch for its bytes.
        _refuse("Presigned upload is not supported for proxied artifact storage")

    base = f"{prefix}/2.0/mlflow-artifacts"
    urls = f"{prefix}/2.0/mlflow/artifacts/presigned"
    return [
        GuardedRoute(f"{base}/mpu/create/{{place:path}}", create, methods=["POST"],
                     permission="edit"),
        GuardedRoute(f"{base}/mpu/complete/{{place:path}}", complete, methods=["POST"],
                     permission="edit"),
        GuardedRoute(f"{base}/mpu/abort/{{place:path}}", abort, methods=["POST"],
                     permission="edit"),
        GuardedRoute(f"{base}/presigned/{{place:path}}", presigned, methods=["GET"],
                     permission="view"),
        GuardedRoute(f"{urls}-download-url", download_url, methods=["POST"], permission="view"),
        GuardedRoute(f"{urls}-upload-url", upload_url, methods=["POST"], permission="edit"),
    ]  # fmt: skip


class _Once:
    """Does a thing once for all who ask for it while it is being done.

    A client whose patience is at its end asks again while the server is still at it.
    """

    def __init__(self) -> None:
        self._tasks: dict[object, asyncio.Task[None]] = {}

    async def do(self, key: object, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do ``work``, or wait for whoever does it; it goes on when the client has gone."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._forget(key, done))
        await asyncio.shield(task)

    def _forget(self, key: object, done: asyncio.Task[None]) -> None:
        del self._tasks[key]
        if not done.cancelled():
            done.exception()  # Whoever still waits is told; it may be that nobody does.


def _target(request: Request, local_path: str) -> tuple[Place, str]:
    """Tell where a file goes: the folder is in the address, its name is as on the client's disk."""
    found = _LAST_PART.search(required("path", local_path))
    name = found[0] if found else ""
    text = f"{request.path_params['place'].rstrip('/')}/{name}"
    place = parse_place(text)
    if not name or not place.path or place.version is not None:
        msg = (
            f"{local_path[:200]!r} names no file that can be kept. Files go below the artifacts of "
            "a run or logged model."
        )
        raise InvalidInputError(msg)
    return place, text.strip("/")


def _address(backend: Backend, direct: Direct, place: Place, expires_s: int) -> tuple[Signed, int]:
    file = find_file(backend, place)
    return direct.address_of(file.sha256, expires_s), file.size_bytes


def _refuse(what: str) -> NoReturn:
    msg = (
        f"{what} (artifact URI scheme: mlflow-artifacts). Use the addresses below "
        "mlflow-artifacts/ instead."
    )
    raise InvalidInputError(msg)


def _answer(words: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(words), media_type=wire.JSON)
