"""Looking at the home's folder and its disk."""

from __future__ import annotations

import mmap
import os
import shutil
import socket
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.care.doctor.findings import fine, note, problem, warning
from loopline.disk import has_room
from loopline.journal.journal import try_lock
from loopline.journal.segment import can_map, file_system
from loopline.rules.words import duration_words, size_words
from loopline.store.keyring import KEY_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.care.doctor.findings import Finding

__all__ = ["RESERVE", "examine_home", "examine_room"]

#: File systems of other machines, where neither locks nor the WAL of SQLite can be relied upon.
NETWORK = {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3"}
#: Share of the disk below which it is time to act, and bytes below which recording is at risk.
RESERVE, LEAST_BYTES = 0.05, 200_000_000
#: Difference between this machine's clock and the disk's that is worth a word.
SKEW_S = 5.0


def examine_home(home: Path) -> Iterator[Finding]:
    """Look at a home's folder: there, ours, on a disk that keeps its promises."""
    if not home.is_dir():
        yield problem(
            "home.exists",
            f"There is no home at {home}.",
            "Nothing has been recorded here yet, or the address is another one.",
            "Make it with `loopline init`, or say where it is: LOOPLINE_HOME or --uri.",
        )
        return
    trouble = _why_not_writable(home)
    if trouble:
        yield problem(
            "home.writable",
            f"The home {home} cannot be written to: {trouble}.",
            "Whatever records here fails at its first record.",
            f"Give yourself the right: chown -R $USER {home}; or use another home: LOOPLINE_HOME."
            if has_room(home)
            else "Delete something on that disk, then see what `loopline gc` can free.",
        )
        return
    yield fine("home.writable", f"The home {home} can be written to.")
    yield _file_system(home)
    yield _mapping(home)
    yield _clock(home)
    yield from _secret_key(home)
    yield examine_room("home.room", home)


def examine_room(check: str, folder: Path) -> Finding:
    """Look at the room that is left on a disk."""
    usage = shutil.disk_usage(folder)
    left = f"{size_words(usage.free)} of {size_words(usage.total)} are free at {folder}"
    if usage.free < LEAST_BYTES:
        return problem(
            check,
            f"Only {left}.",
            "When the disk is full, recording stops with StorageFullError; what was acknowledged "
            "stays safe.",
            "Free some space: `loopline gc`, or move the files elsewhere with LOOPLINE_BLOBS.",
        )
    if usage.free < RESERVE * usage.total:
        return warning(
            check,
            f"{left}: less than {RESERVE:.0%}.",
            "A training that logs models may fill it.",
            "Free some space: `loopline gc` shows what nothing needs.",
        )
    return fine(check, f"{left}.")


def _why_not_writable(home: Path) -> str:
    try:
        with tempfile.NamedTemporaryFile(dir=home, prefix=".doctor-") as file:
            file.write(b"fares")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    for name in ("loopline.db", "journal", "blobs"):
        path = home / name
        if path.exists() and not os.access(path, os.W_OK):
            return f"{path} belongs to another user"
    return ""


def _file_system(home: Path) -> Finding:
    kind = file_system(home)
    if kind in NETWORK:
        return warning(
            "home.file_system",
            f"The home is on a network file system ({kind}).",
            "SQLite's locks and shared memory need a local disk; with several machines writing, "
            "the database can be damaged.",
            "Put the home on a local disk and let other machines record over `loopline server`.",
        )
    with tempfile.TemporaryDirectory(dir=home, prefix=".doctor-") as folder:
        first = try_lock(Path(folder), create=True)
        second = try_lock(Path(folder), create=True)
        for handle in (first, second):
            if handle is not None:
                os.close(handle)
    if first is None or second is not None:
        return problem(
            "home.locks",
            f"The file system of the home ({kind or 'unknown'}) does not lock files.",
            "Whether the owner of a journal lives is told by its lock: live runs could be closed.",
            "Put the home on a local disk: LOOPLINE_HOME.",
        )
    return fine("home.file_system", f"The file system is {kind or 'unknown'}, and locks hold.")


def _mapping(home: Path) -> Finding:
    if not can_map(home):
        return note(
            "home.mapping",
            "Journals are written here with a system call each, and not mapped into memory.",
            "The promises are the same; a logged point costs some microseconds more.",
        )
    with tempfile.NamedTemporaryFile(dir=home, prefix=".doctor-") as file:
        os.posix_fallocate(file.fileno(), 0, mmap.PAGESIZE)
        with mmap.mmap(file.fileno(), mmap.PAGESIZE) as memory:
            memory[:5] = b"fares"
            seen = os.pread(file.fileno(), 5, 0)
    if seen != b"fares":
        return problem(
            "home.mapping",
            "What is written into a mapped file is not seen by those who read the file.",
            "Journals rely on it: points could be missing after a crash.",
            "Put the home on another disk (ext4, xfs): LOOPLINE_HOME.",
        )
    return fine("home.mapping", "Journals can be mapped into memory, and mapping works.")


def _clock(home: Path) -> Finding:
    with tempfile.NamedTemporaryFile(dir=home, prefix=".doctor-") as file:
        skew_s = Path(file.name).stat().st_mtime - time.time()
    if abs(skew_s) > SKEW_S:
        return warning(
            "home.clock",
            f"The disk's clock and {socket.gethostname()}'s differ by "
            f"{duration_words(abs(skew_s) * 1000)}.",
            "The age of files is told by the one and the time of runs by the other.",
            "Set both by NTP.",
        )
    return fine("home.clock", "This machine's clock and the disk's agree.")


def _secret_key(home: Path) -> Iterator[Finding]:
    path = home / KEY_FILE
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # None was needed yet, or it is elsewhere.
    if mode & 0o077:
        yield warning(
            "home.secret-key",
            f"Others may read {path}, which opens the secrets of this home.",
            "Whoever has it and the database has them.",
            f"Take it back: chmod 600 {path}; if others were there, set the secrets anew.",
        )
    else:
        yield fine("home.secret-key", "The key of secrets is for its owner alone.")
