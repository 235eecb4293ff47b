"""Keeps a store as this release makes it, which all later ones must open: run once a release.

    PYTHONPATH=. .venv/bin/python tests/releases/keep.py

Beside it lies then, in a folder named like the release: a backup of a home, one of a PostgreSQL
store, and for both what they hold. A folder is never changed once its release is out.
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.postgres import PostgresServer
from tests.releases.content import content_of, fill

from loopline.backend.local import LocalBackend
from loopline.care.backup import back_up
from loopline.settings import Address

__all__ = ["CONTENT", "FOLDER", "KINDS", "SECRET_KEY", "keep"]

FOLDER = Path(__file__).parent
KINDS = ("home", "postgresql")
CONTENT = "{kind}.json.gz"
#: What secrets in the kept stores are sealed with, and open with for ever; nobody else's.
SECRET_KEY = "bG9vcGxpbmUncyBrZXB0IHN0b3JlcywgZm9yIHRlc3Q="  # noqa: S105 - as it says


def keep(target: Path, kind: str, address: Address, folder: Path) -> None:
    """Fill a store and keep a backup of it, and what it holds."""
    target.mkdir(exist_ok=True)
    backend = LocalBackend(address, home=folder / "home")
    fill(backend, folder)
    back_up(backend, target / f"{kind}.tar.gz", replace=True)
    content = json.dumps(content_of(backend), indent=1).encode()
    (target / CONTENT.format(kind=kind)).write_bytes(gzip.compress(content, mtime=0))
    backend.close()


def main() -> None:
    """Keep both kinds of store."""
    os.environ["LOOPLINE_SECRET_KEY"] = SECRET_KEY
    target = FOLDER / version("loopline")
    server = PostgresServer()
    try:
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                address = Address("home", f"{folder}/home")
                if kind == "postgresql":
                    address = server.new()
                keep(target, kind, address, Path(folder))
    finally:
        server.close()
    for path in sorted(target.iterdir()):
        print(f"{path.stat().st_size:>9,} bytes  {path}")


if __name__ == "__main__":
    main()
