"""The home folder: made here, because the journal is the first thing that needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.disk import make_folder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_home"]


def make_home(home: Path) -> None:
    """Make a home folder; git is told to leave it alone."""
    make_folder(home)
    ignore = home / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
