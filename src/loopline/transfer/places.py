"""Where files of a source lie: folders of this machine, buckets, or out of reach."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from loopline.transfer.source import SourceFile, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loopline.transfer.source import Place

__all__ = ["Bucket", "Folder", "Nowhere", "is_local", "local_path", "place_of"]

#: Schemes that `obstore` opens.
BUCKETS = {"s3", "s3a", "gs", "az", "adl", "abfs", "abfss"}
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]+):(?!\\)")


class Folder:
    """A folder of this machine; one that is missing has no files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self) -> Iterator[SourceFile]:
        """List every file below it; links are followed only when they stay inside."""
        root = self.path.resolve()
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                path = Path(folder) / name
                if path.is_symlink() and not path.resolve().is_relative_to(root):
                    msg = (
                        f"{path} is a link that leads out of {root}, where anything may lie. "
                        "Put the file itself there, or take the link away."
                    )
                    raise UnreachableError(msg)
                about = path.stat()
                yield SourceFile(
                    path=path.relative_to(root).as_posix(),
                    size_bytes=about.st_size,
                    at_ms=about.st_mtime_ns // 1_000_000,
                    local=path,
                )


class Bucket:
    """A prefix in a bucket, read with `obstore`, which takes keys from the environment."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def files(self) -> Iterator[SourceFile]:
        """List every object below the prefix."""
        store, listing = self._list()
        for item in sorted(listing, key=lambda item: str(item["path"])):
            yield SourceFile(
                path=item["path"],
                size_bytes=item["size"],
                at_ms=round(item["last_modified"].timestamp() * 1000),
                fetch=_Fetch(store, item["path"]),
            )

    def _list(self) -> tuple[Any, list[Any]]:
        import obstore
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        try:
            store = from_url(self.uri)
            return store, [item for chunk in obstore.list(store) for item in chunk]
        except (BaseError, OSError) as error:
            msg = (
                f"Files at {_root(self.uri)} could not be read ({type(error).__name__}). Set the "
                "provider's keys in the environment and run the import again."
            )
            raise UnreachableError(msg) from error


class _Fetch:
    """Downloads one object."""

    def __init__(self, store: Any, path: str) -> None:  # noqa: ANN401 - obstore's
        self._store = store
        self._path = path

    def __call__(self, target: Path) -> None:
        import obstore

        with target.open("wb") as file:
            for chunk in obstore.get(self._store, self._path).stream():
                file.write(chunk)


class Nowhere:
    """Files that cannot be read from here, and why."""

    def __init__(self, why: str) -> None:
        self.why = why

    def files(self) -> Iterator[SourceFile]:
        """Say why not."""
        raise UnreachableError(self.why)


def scheme_of(uri: str) -> str:
    """Tell an address's scheme in lower case; empty for a path."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else ""


def is_local(uri: str) -> bool:
    """Whether an address means a path on the machine that wrote it."""
    return scheme_of(uri) in {"", "file"}


def local_path(uri: str) -> Path:
    """Turn a path or a ``file:`` address into a path."""
    if scheme_of(uri) == "file":
        return Path(unquote(urlsplit(uri).path))
    return Path(uri)


def place_of(uri: str, *, bases: Iterable[Path] = (), moved_to: Path | None = None) -> Place:
    """Find the place that an artifact address means.

    Args:
        uri: As the source has it.
        bases: Folders that a relative path may start from, the likeliest first.
        moved_to: Folder that now holds what lay at the artifact root.
    """
    if moved_to is not None:
        found = _moved(uri, moved_to)
        if found is not None:
            return Folder(found)
    scheme = scheme_of(uri)
    if is_local(uri):
        path = local_path(uri)
        for base in () if path.is_absolute() else bases:
            if (base / path).is_dir():
                return Folder(base / path)
        return Folder(path)
    if scheme in BUCKETS:
        if find_spec("obstore") is not None:
            return Bucket(uri)
        return Nowhere(
            f"They lie at {_root(uri)}. Install the reader for buckets with "
            "`pip install 'loopline[buckets]'` and run the import again, or copy the files and "
            "give --artifacts FOLDER."
        )
    if scheme == "mlflow-artifacts":
        return Nowhere(
            "They lie behind an MLflow server (mlflow-artifacts:). Import from the server, with "
            "`loopline import mlflow http://…`, or give its artifact root with --artifacts FOLDER."
        )
    return Nowhere(
        f"They lie at {_root(uri)}, which cannot be read from here. Copy them to this machine and "
        "give --artifacts FOLDER."
    )


def _moved(uri: str, root: Path) -> Path | None:
    """Find a folder by the end of the address it had: the longest end that exists."""
    path = str(local_path(uri)) if is_local(uri) else unquote(urlsplit(uri).path)
    parts = [part for part in path.split("/") if part]
    for start in range(len(parts) - 1):
        tail = parts[start:]
        if ".." not in tail and root.joinpath(*tail).is_dir():
            return root.joinpath(*tail)
    return None


def _root(uri: str) -> str:
    """Tell where a bucket is, without what lies in it: alike ones are counted together."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.hostname or ''}"
