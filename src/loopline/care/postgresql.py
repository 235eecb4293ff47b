"""PostgreSQL's own programs: pg_dump and pg_restore, on the state a transaction sees."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from loopline.errors import BackendUnavailableError, UnsupportedError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

__all__ = ["dump", "restore_dump"]


def dump(connection: Connection, url: URL, target: Path) -> None:
    """Dump the database as ``connection`` sees it, in pg_dump's compressed format.

    Raises:
        UnsupportedError: pg_dump is not installed.
        BackendUnavailableError: It failed; the message has its words.
    """
    snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar()
    _run(
        url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges",
        f"--snapshot={snapshot}", f"--file={target}",
    )  # fmt: skip


def restore_dump(url: URL, dumped: Path) -> None:
    """Bring a dump into an empty database, whole or not at all.

    Raises:
        UnsupportedError: pg_restore is not installed.
        BackendUnavailableError: It failed; the message has its words, nothing was changed.
    """
    _run(
        url, "pg_restore", "--single-transaction", "--exit-on-error", "--no-owner",
        "--no-privileges", str(dumped),
    )  # fmt: skip


def _run(url: URL, program: str, *arguments: str) -> None:
    path = _find(program)
    # The password goes by the environment: everybody may read a program's arguments.
    environment = dict(os.environ)
    if url.password:
        environment["PGPASSWORD"] = url.password
    plain = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL's, no shell
        [path, f"--dbname={plain}", "--no-password", *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        msg = (
            f"{program} failed: {said}. Its version must not be older than the server's; "
            f"{path} is the one that was used."
        )
        raise BackendUnavailableError(msg)


def _find(program: str) -> str:
    on_path = shutil.which(program)
    if on_path:
        return on_path
    # Debian keeps the newest ones here, off PATH when only the server is installed.
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    if found:
        return str(found[-1])
    msg = (
        f"A store on PostgreSQL is copied with {program}, which is not on PATH. Install "
        "PostgreSQL's client programs, on Debian: apt-get install postgresql-client"
    )
    raise UnsupportedError(msg)
