"""Places: where a home's workers have ever started machines, so that strays are looked for there.

A place is noted, durably, before a machine is asked for.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path

import msgspec

from loopline.records.vm import Place

__all__ = ["note_place", "noted_places"]

_FOLDER = "vms"


def note_place(home: Path, place: Place) -> None:
    """Note a place; on return it is on disk."""
    data = msgspec.json.encode(place, order="sorted")
    path = home / _FOLDER / f"{sha256(data).hexdigest()[:16]}.json"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    Path(part).replace(path)


def noted_places(home: Path) -> list[Place]:
    """List the places that were noted."""
    return [
        msgspec.json.decode(path.read_bytes(), type=Place)
        for path in sorted((home / _FOLDER).glob("*.json"))
    ]
