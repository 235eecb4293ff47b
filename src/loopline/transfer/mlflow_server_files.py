"""Files through an MLflow server: of runs, of logged models, and behind its artifact proxy."""

from __future__ import annotations

import posixpath
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from loopline.errors import InvalidInputError, NotFoundError
from loopline.transfer.places import Folder, is_local, local_path, place_of
from loopline.transfer.source import SourceFile, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.transfer.mlflow_rest import Rest
    from loopline.transfer.source import Place

__all__ = ["LoggedModelPlace", "RunPlace", "place_at"]

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


class _Listed:
    """Folders that a server lists one at a time."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def files(self) -> Iterator[SourceFile]:
        """List every file, folder by folder.

        Raises:
            UnreachableError: The server does not give them.
        """
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                items = list(self._list(folder))
            except NotFoundError:
                if folder:
                    raise
                return  # Nothing was ever written there.
            except InvalidInputError as error:
                msg = f"The server does not give them ({error})"
                raise UnreachableError(msg) from error
            for item in sorted(items, key=lambda item: str(item["path"])):
                path = self._below_root(folder, str(item["path"]))
                if item.get("is_dir"):
                    waiting.append(path)
                    continue
                size = item.get("file_size")
                yield SourceFile(
                    path=path,
                    size_bytes=None if size is None else int(size),
                    fetch=partial(self._fetch, path),
                )

    def _list(self, folder: str) -> Iterator[dict[str, Any]]:
        raise NotImplementedError

    def _fetch(self, path: str, target: Path) -> None:
        raise NotImplementedError

    def _below_root(self, folder: str, path: str) -> str:
        """Tell a listed path from the root: servers give it so."""
        del folder
        return path


class RunPlace(_Listed):
    """Files of a run, wherever the server has them."""

    def __init__(self, rest: Rest, run_id: str) -> None:
        super().__init__(rest)
        self._run_id = run_id

    def _list(self, folder: str) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            answer = self._rest.get(
                "artifacts/list", run_id=self._run_id, path=folder, page_token=token
            )
            yield from answer.get("files", [])
            token = answer.get("next_page_token") or ""
            if not token:
                return

    def _fetch(self, path: str, target: Path) -> None:
        self._rest.download("/get-artifact", target, run_uuid=self._run_id, path=path)


class LoggedModelPlace(_Listed):
    """Files of a logged model, wherever the server has them."""

    def __init__(self, rest: Rest, model_id: str) -> None:
        super().__init__(rest)
        self._model_id = model_id

    def _list(self, folder: str) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            answer = self._rest.get(
                f"logged-models/{self._model_id}/artifacts/directories",
                artifact_directory_path=folder,
                page_token=token,
            )
            yield from answer.get("files", [])
            token = answer.get("next_page_token") or ""
            if not token:
                return

    def _fetch(self, path: str, target: Path) -> None:
        self._rest.download(
            f"/ajax-api/2.0/mlflow/logged-models/{self._model_id}/artifacts/files",
            target,
            artifact_file_path=path,
        )


class ProxyPlace(_Listed):
    """A folder behind the server's artifact proxy."""

    def __init__(self, rest: Rest, root: str) -> None:
        super().__init__(rest)
        self._root = root

    def _list(self, folder: str) -> Iterator[dict[str, Any]]:
        path = posixpath.join(self._root, folder) if folder else self._root
        yield from self._rest.get(PROXY, path=path).get("files", [])

    def _fetch(self, path: str, target: Path) -> None:
        self._rest.download(f"{PROXY}/{posixpath.join(self._root, path)}", target)

    def _below_root(self, folder: str, path: str) -> str:
        """Tell a listed path from the root: the proxy gives it from the folder asked for."""
        return posixpath.join(folder, path) if folder else path


def place_at(rest: Rest, uri: str, through: Place | None, artifacts: Path | None) -> Place:
    """Find the place that an address of the server means.

    Args:
        rest: The server.
        uri: As the server gave it.
        through: How the server gives these files itself, when it does.
        artifacts: Folder that holds what lies at the artifact root.
    """
    if artifacts is not None:
        place = place_of(uri, moved_to=artifacts)
        if isinstance(place, Folder) and place.path.is_dir():
            return place
    parts = urlsplit(uri)
    if parts.scheme == "mlflow-artifacts":
        return ProxyPlace(rest, unquote(parts.path).strip("/"))
    if through is not None:
        return through
    if is_local(uri) and not local_path(uri).is_dir():
        return _OnServer(uri)
    return place_of(uri)


class _OnServer:
    """A folder of the server's machine that its interface gives no way to."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def files(self) -> Iterator[SourceFile]:
        """Say how to get them."""
        msg = (
            "They lie on the server's own disk. Import on that machine, from its folder or "
            "database, or copy its artifact root here and give --artifacts FOLDER."
        )
        raise UnreachableError(msg)
