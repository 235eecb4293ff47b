"""The whole examination of what an address means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loopline.care.databases import read_only
from loopline.care.doctor.blobs import examine_blobs
from loopline.care.doctor.database import examine_file, examine_store
from loopline.care.doctor.environment import examine_environment
from loopline.care.doctor.findings import Level, fine, problem
from loopline.care.doctor.home import examine_home
from loopline.care.doctor.journals import examine_journals
from loopline.care.doctor.server import examine_server
from loopline.care.progress import silent
from loopline.errors import LooplineError
from loopline.settings import HOME_FOLDER, blobs_address, find_home
from loopline.store.version import HEAD, VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from loopline.care.doctor.findings import Finding
    from loopline.care.progress import Progress
    from loopline.settings import Address

__all__ = ["examine"]


def examine(
    address: Address, *, thorough: bool = False, progress: Progress = silent
) -> Iterator[Finding]:
    """Look at everything behind an address, changing nothing.

    Args:
        address: A home, a database or a server.
        thorough: Read every blob and every index, rather than a sample.
        progress: Told how far it is.
    """
    yield from examine_environment()
    if address.kind == "http":
        yield from examine_server(address.text)
        yield from examine_journals(find_home())
    elif address.kind == "home":
        yield from _examine_folder(Path(address.text), thorough=thorough, progress=progress)
    else:
        yield from _examine_database(address, thorough=thorough, progress=progress)
        yield from examine_journals(find_home())


def _examine_folder(home: Path, *, thorough: bool, progress: Progress) -> Iterator[Finding]:
    has_home = True
    for finding in examine_home(home):
        has_home = has_home and finding.check != "home.exists"
        yield finding
    if not has_home:
        return
    database = home / "loopline.db"
    findings = list(examine_file(database, thorough=thorough))
    yield from findings
    is_usable = all(each.level is not Level.PROBLEM for each in findings)
    if is_usable and any(each.check == "database.integrity" for each in findings):
        with read_only(database) as connection:
            if _is_current(connection):
                yield from _examine_content(connection, home, thorough=thorough, progress=progress)
    yield from examine_journals(home)


def _examine_database(address: Address, *, thorough: bool, progress: Progress) -> Iterator[Finding]:
    from loopline.backend.local import LocalBackend

    try:
        backend = LocalBackend(address)
    except LooplineError as error:
        yield problem(
            "database.opens",
            f"The database {address} does not open: {error}",
            "Nothing can be recorded or read; what is logged waits in the journals.",
            "See the message; `loopline doctor` again when it is done.",
        )
        return
    try:
        yield fine("database.opens", f"The database {address} opens, with the schema {HEAD}.")
        with backend.store.read() as connection:
            home = Path.home() / HOME_FOLDER
            yield from _examine_content(connection, home, thorough=thorough, progress=progress)
    finally:
        backend.close()


def _examine_content(
    connection: Connection, home: Path, *, thorough: bool, progress: Progress
) -> Iterator[Finding]:
    yield from examine_store(connection)
    where = blobs_address(home)
    yield from examine_blobs(connection, where, thorough=thorough, progress=progress)


def _is_current(connection: Connection) -> bool:
    row = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").first()  # noqa: S608
    return row is not None and row[0] == HEAD
