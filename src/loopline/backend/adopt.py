"""Adoption: sending what dead processes left behind, and closing the runs they had open."""

from __future__ import annotations

import os
import shutil
import socket
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.backend.open import open_backend
from loopline.errors import LooplineError
from loopline.journal.drain import StreamDrain
from loopline.journal.journal import STREAMS, abandoned, read_meta, try_lock
from loopline.records.operations import CloseLostRuns
from loopline.settings import find_home, parse_address

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.journal.journal import Meta
    from loopline.settings import Address

__all__ = ["adopt", "adopt_orphans", "catch_up"]


#: Journals that could not be sent for a reason nobody foresaw; each is told once.
_told: set[Path] = set()


def adopt_orphans(
    home: Path, address: Address, backend: Backend, *, only_here: bool = False
) -> list[str]:
    """Send what dead processes of this machine left in a home; answer the runs closed.

    A journal meant for a store that cannot be reached stays for the next time.

    Args:
        home: The home whose ``journal/`` is looked at.
        address: Where ``backend`` records to.
        backend: Used for journals meant for ``address``; others get one of their own.
        only_here: Leave the others alone.
    """
    closed = []
    for folder in abandoned(home / "journal", host=socket.gethostname()):
        try:
            if only_here and parse_address(read_meta(folder).address) != address:
                continue
            closed += adopt(folder, address, backend)
        except (LooplineError, OSError):
            continue
        except Exception as error:  # noqa: BLE001 - one of them must not keep the others back
            if folder not in _told:
                _told.add(folder)
                warnings.warn(
                    f"The journal {folder} of a process that is gone cannot be sent "
                    f"({type(error).__name__}: {error}). It is kept; see `loopline doctor`.",
                    RuntimeWarning,
                    stacklevel=2,
                )
    return closed


def catch_up(address: Address, backend: Backend) -> None:
    """Before somebody reads: send what dead processes left that was meant for this store.

    Else a run whose process was killed would go on for ever, to all who only read.
    """
    home = Path(address.text) if address.kind == "home" else find_home()
    adopt_orphans(home, address, backend, only_here=True)


def adopt(
    folder: Path, address: Address, backend: Backend, *, everything: bool = False
) -> list[str]:
    """Send one journal if its owner is gone; answer the runs that were closed.

    Args:
        folder: The journal.
        address: Where ``backend`` records to.
        backend: Where to send it when it is meant for ``address`` (or ``everything``).
        everything: Send it to ``backend`` whatever address it was meant for: a journal
            copied from another machine.

    Raises:
        LooplineError: It cannot be sent now; it stays as it is.
    """
    handle = try_lock(folder, create=everything)
    if handle is None:
        return []
    try:
        meta = read_meta(folder)
        target = parse_address(meta.address)
        if everything or target == address:
            closed, damaged = _send(folder, meta, backend)
        else:
            other = open_backend(target)
            try:
                closed, damaged = _send(folder, meta, other)
            finally:
                other.close()
        _put_away(folder, damaged=damaged)
    finally:
        os.close(handle)
    return closed


def _send(folder: Path, meta: Meta, backend: Backend) -> tuple[list[str], bool]:
    """Send what can be read; tell the runs closed, and whether something could not be read."""
    damaged = False
    for name in STREAMS:
        drain = StreamDrain(folder, name, meta, adopted=True)
        while drain.send_some(backend):
            pass
        damaged = damaged or drain.is_damaged
    reason = f"process died (pid {meta.pid} on {meta.host})"
    return backend.call(CloseLostRuns(writer=meta.writer, reason=reason)), damaged


def _put_away(folder: Path, *, damaged: bool) -> None:
    """Delete a journal that was sent; keep one that holds more than could be read."""
    if not damaged:
        shutil.rmtree(folder, ignore_errors=True)
        return
    kept = folder.parent.parent / "damaged"
    kept.mkdir(exist_ok=True)
    target = folder.rename(kept / folder.name)
    warnings.warn(
        f"A journal holds records that cannot be read, as after a power cut. What stood before "
        f"them was sent; the rest is kept in {target}.",
        RuntimeWarning,
        stacklevel=2,
    )
