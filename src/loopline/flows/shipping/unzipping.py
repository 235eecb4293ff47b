"""Unzipping: a bundle of sources is written below one folder, whole or not at all.

Who may register a flow runs code here anyway; but what unpacks files must not be the way to write
others, nor to fill the disk, and a damaged bundle is said in a sentence.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from typing import TYPE_CHECKING

from loopline.errors import IntegrityError, InvalidInputError
from loopline.rules.names import check_artifact_path

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["unzip_sources"]

#: Decompressed size, and files, that no bundle of sources has.
MOST_BYTES, MOST_FILES = 200_000_000, 10_000
#: What a name is on Windows, wherever it stands and however it goes on.
_DEVICES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(1, 10)))
)
_STEP = "Register the flow again."


def unzip_sources(data: bytes, folder: Path) -> None:
    """Write a bundle's files below a folder that is new, or empty.

    Raises:
        IntegrityError: It is no bundle of sources; nothing was written unless it is damaged within.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            entries = bundle.infolist()
            _check(entries)
            for entry in entries:
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    file.write(bundle.read(entry))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        msg = f"The flow's bundle is no whole zip file: {error}. {_STEP}"
        raise IntegrityError(msg) from error
    except (FileExistsError, NotADirectoryError) as error:
        msg = f"The flow's bundle holds the same name twice. {_STEP}"
        raise IntegrityError(msg) from error


def _check(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_BYTES:
        msg = f"The flow's bundle is over {MOST_BYTES:,} bytes or {MOST_FILES:,} files. {_STEP}"
        raise IntegrityError(msg)
    seen = set()
    for entry in entries:
        name = entry.orig_filename  # The other is cut at a NUL.
        if name in seen or not _is_source(entry, name):
            msg = f"The flow's bundle holds {name[:200]!r}, or holds it twice. {_STEP}"
            raise IntegrityError(msg)
        seen.add(name)


def _is_source(entry: zipfile.ZipInfo, name: str) -> bool:
    try:
        clean = check_artifact_path(name)
    except InvalidInputError:
        return False
    mode = entry.external_attr >> 16
    is_file = not stat.S_IFMT(mode) or stat.S_ISREG(mode)
    stems = {part.split(".")[0].rstrip().lower() for part in clean.split("/")}
    return is_file and clean == name and name.endswith(".py") and not stems & _DEVICES
