"""``prefect.tasks.files.compression``."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.flows.defaults import defaults_from_attrs
from loopline.flows.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Unzip", "Zip"]

_METHODS = {
    "deflate": zipfile.ZIP_DEFLATED,
    "store": zipfile.ZIP_STORED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}


class Unzip(Task):
    """Takes all files out of a zip archive; none ends up outside of the folder.

    Args:
        zip_path: The archive.
        extract_dir: Where to; the archive's own folder by default.
        **kwargs: As ``Task`` has them.
    """

    def __init__(
        self, zip_path: str | Path = "", extract_dir: str | Path = "", **kwargs: Any
    ) -> None:
        self.zip_path = zip_path
        self.extract_dir = extract_dir
        super().__init__(**kwargs)

    @defaults_from_attrs("zip_path", "extract_dir")
    def run(
        self,
        zip_path: str | Path = "",
        extract_dir: str | Path = "",
        password: bytes | str | None = None,
    ) -> Path:
        """Take them out; return the folder.

        Raises:
            ValueError: The archive's path is missing.
        """
        if not zip_path:
            msg = "Unzip needs a zip_path."
            raise ValueError(msg)
        folder = Path(extract_dir) if extract_dir else Path(zip_path).parent
        key = password.encode() if isinstance(password, str) else password
        with zipfile.ZipFile(zip_path) as archive:
            archive.extractall(folder, pwd=key)
        return folder


class Zip(Task):
    """Puts files or folders into a zip archive.

    Args:
        source_path: A path, or several.
        zip_path: The archive.
        compression_method: ``deflate``, ``store``, ``bzip2`` or ``lzma``.
        compression_level: From 0 to 9, where the method has levels.
        **kwargs: As ``Task`` has them.

    Raises:
        ValueError: There is no such method.
    """

    def __init__(
        self,
        source_path: str | Path | list[str] | list[Path] = "",
        zip_path: str | Path = "",
        compression_method: str = "deflate",
        compression_level: int | None = None,
        **kwargs: Any,
    ) -> None:
        if compression_method not in _METHODS:
            msg = f"There is no compression {compression_method!r}. Use one of {list(_METHODS)}."
            raise ValueError(msg)
        self.source_path = source_path
        self.zip_path = zip_path
        self.compression_method = compression_method
        self.compression_level = compression_level
        super().__init__(**kwargs)

    @defaults_from_attrs("source_path", "zip_path")
    def run(
        self,
        source_path: str | Path | list[str] | list[Path] = "",
        zip_path: str | Path = "",
    ) -> None:
        """Make the archive.

        Raises:
            ValueError: A path is missing.
        """
        if not source_path or not zip_path:
            msg = "Zip needs a source_path and a zip_path."
            raise ValueError(msg)
        sources = source_path if isinstance(source_path, list) else [source_path]
        with zipfile.ZipFile(
            zip_path,
            "w",
            compression=_METHODS[self.compression_method],
            compresslevel=self.compression_level,
        ) as archive:
            for file, name in (pair for source in sources for pair in _files(Path(source))):
                archive.write(file, name)


def _files(source: Path) -> Iterator[tuple[Path, str]]:
    """Give each file with its name in the archive: below the name of the folder that was given."""
    if not source.is_dir():
        yield source, source.name
        return
    for file in sorted(source.rglob("*")):
        if file.is_file():
            yield file, str(Path(source.name, file.relative_to(source)))
