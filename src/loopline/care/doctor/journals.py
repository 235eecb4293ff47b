"""Looking at the journals: who writes, who is gone, and what cannot be read."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from loopline.care.doctor.findings import fine, note, problem, warning
from loopline.errors import IntegrityError
from loopline.journal.journal import STREAMS, abandoned, read_meta, try_lock
from loopline.journal.reader import Reader
from loopline.rules.words import count_words, distance_words, size_words
from loopline.settings import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.care.doctor.findings import Finding
    from loopline.journal.journal import Meta

__all__ = ["examine_journals"]

#: How far a journal may be ahead of the clock.
AHEAD_MS = 60_000


class _Journal(NamedTuple):
    folder: Path
    meta: Meta
    is_here: bool
    is_alive: bool
    damaged: str
    size: int


def examine_journals(home: Path) -> Iterator[Finding]:
    """Look at every journal of a home; nothing is sent and nothing locked for long."""
    journals = [_look(folder) for folder in abandoned(home / "journal")]
    alive = [each for each in journals if each.is_alive]
    orphans = [each for each in journals if not each.is_alive and each.is_here]
    if alive:
        yield fine(
            "journals.alive",
            f"{count_words(len(alive), 'process', 'processes')} record here now: "
            + ", ".join(f"pid {each.meta.pid}" for each in alive[:10])
            + ".",
        )
    if orphans:
        size = size_words(sum(each.size for each in orphans))
        oldest = min(each.meta.started_ms for each in orphans)
        yield warning(
            "journals.orphans",
            f"{count_words(len(orphans), 'journal')} of dead processes ({size}) wait to be sent, "
            f"the oldest begun {distance_words(oldest, _now_ms())}, for "
            f"{', '.join(sorted({str(parse_address(each.meta.address)) for each in orphans}))}.",
            "What they hold is safe here, but not in the store yet.",
            "Send them: `loopline sync`. If they stay, it says why.",
        )
    yield from _elsewhere(journals)
    yield from _damaged(journals)
    yield from _clock(journals)
    kept = [path for path in (home / "damaged").glob("*") if path.is_dir()]
    if kept:
        yield note(
            "journals.put_away",
            f"{count_words(len(kept), 'journal')} with records that cannot be read are kept in "
            f"{home / 'damaged'}.",
            "What stood before them was sent. A power cut leaves such.",
            f"Delete them when you miss nothing: rm -r {home / 'damaged'}",
        )
    if not journals and not kept:
        yield fine("journals.alive", "No journal waits: all that was recorded was sent.")


def _look(folder: Path) -> _Journal:
    meta = read_meta(folder)
    is_here = meta.host == socket.gethostname()
    handle = try_lock(folder)
    # A journal copied without its lock file has no owner on this machine either.
    is_alive = handle is None and (folder / "lock").exists()
    try:
        damaged = "" if is_alive else _why_unreadable(folder)
    finally:
        if handle is not None:
            os.close(handle)
    size = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    return _Journal(folder, meta, is_here, is_alive, damaged, size)


def _why_unreadable(folder: Path) -> str:
    for name in STREAMS:
        reader = Reader(folder / name)
        position = 0
        try:
            while (page := reader.read(position)).end != position:
                position = page.end
        except (IntegrityError, OSError, ValueError) as error:
            return str(error)
        if reader.is_damaged:
            return f"a record of its {name} has the wrong checksum"
    return ""


def _elsewhere(journals: list[_Journal]) -> Iterator[Finding]:
    others = [each for each in journals if not each.is_here and not each.is_alive]
    if others:
        hosts = ", ".join(sorted({each.meta.host for each in others}))
        yield note(
            "journals.elsewhere",
            f"{count_words(len(others), 'journal')} were written on other machines: {hosts}.",
            "From here nobody can tell whether their processes live, so they are left alone.",
            "If they are dead or copies: `loopline sync FOLDER`, else run it there.",
        )


def _damaged(journals: list[_Journal]) -> Iterator[Finding]:
    for each in journals:
        if each.damaged:
            yield problem(
                "journals.damaged",
                f"The journal {each.folder} cannot be read to its end: {each.damaged}.",
                "What stands after that place is lost or needs a newer Loopline.",
                "`loopline sync` sends what stands before and keeps the rest in damaged/.",
            )


def _clock(journals: list[_Journal]) -> Iterator[Finding]:
    ahead = [each for each in journals if each.meta.started_ms > _now_ms() + AHEAD_MS]
    if ahead:
        begun = distance_words(max(each.meta.started_ms for each in ahead), _now_ms())
        yield warning(
            "journals.clock",
            f"{count_words(len(ahead), 'journal')} began in the future ({begun}).",
            "A clock was wrong, or is now; the order of points is kept, their times are off.",
            "Compare: date -u. Set the clock by NTP.",
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
