"""``prefect.tasks.files.operations``; for buckets see ``loopline.tasks.CopyFiles``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from loopline.flows.defaults import defaults_from_attrs
from loopline.flows.task import Task

__all__ = ["Copy", "Glob", "Move", "Remove"]


class _TwoPaths(Task):
    """Base of what brings a file or folder from one path to another."""

    def __init__(
        self, source_path: str | Path = "", target_path: str | Path = "", **kwargs: Any
    ) -> None:
        self.source_path = source_path
        self.target_path = target_path
        super().__init__(**kwargs)


class Move(_TwoPaths):
    """Moves a file or folder.

    Args:
        source_path: What.
        target_path: Where to.
        **kwargs: As ``Task`` has them.
    """

    @defaults_from_attrs("source_path", "target_path")
    def run(self, source_path: str | Path = "", target_path: str | Path = "") -> Path:
        """Move it; return where it is.

        Raises:
            ValueError: A path is missing.
        """
        source, target = _both(source_path, target_path)
        return Path(shutil.move(str(source), str(target)))


class Copy(_TwoPaths):
    """Copies a file or folder.

    Args:
        source_path: What.
        target_path: Where to.
        **kwargs: As ``Task`` has them.
    """

    @defaults_from_attrs("source_path", "target_path")
    def run(self, source_path: str | Path = "", target_path: str | Path = "") -> Path:
        """Copy it; return where the copy is.

        Raises:
            ValueError: A path is missing.
        """
        source, target = _both(source_path, target_path)
        copy = shutil.copytree if source.is_dir() else shutil.copy
        return Path(copy(str(source), str(target)))


class Remove(Task):
    """Removes a file or folder.

    Args:
        path: What.
        **kwargs: As ``Task`` has them.
    """

    def __init__(self, path: str | Path = "", **kwargs: Any) -> None:
        self.path = path
        super().__init__(**kwargs)

    @defaults_from_attrs("path")
    def run(self, path: str | Path = "") -> None:
        """Remove it.

        Raises:
            ValueError: The path is missing.
        """
        if not path:
            msg = "Remove needs a path."
            raise ValueError(msg)
        place = Path(path)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()


class Glob(Task):
    """Lists the files of a folder that fit a pattern.

    Args:
        path: The folder.
        pattern: Such as ``"*.parquet"``; ``**`` goes into folders.
        **kwargs: As ``Task`` has them.
    """

    def __init__(self, path: str | Path = "", pattern: str = "*", **kwargs: Any) -> None:
        self.path = path
        self.pattern = pattern
        super().__init__(**kwargs)

    @defaults_from_attrs("path", "pattern")
    def run(self, path: str | Path = "", pattern: str = "*") -> list[Path]:
        """List them, in order.

        Raises:
            ValueError: The path is missing.
        """
        if not path:
            msg = "Glob needs a path."
            raise ValueError(msg)
        return sorted(Path(path).glob(pattern))


def _both(source: str | Path, target: str | Path) -> tuple[Path, Path]:
    for name, path in (("source_path", source), ("target_path", target)):
        if not path:
            msg = f"No {name} was given, when the task was made or when it was called."
            raise ValueError(msg)
    return Path(source), Path(target)
