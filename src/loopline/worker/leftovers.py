"""Leftovers: what a flow run's process journaled and could not send before it ended."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from loopline.backend.adopt import adopt
from loopline.errors import BackendUnavailableError, LooplineError, StorageFullError
from loopline.journal.journal import abandoned, read_meta

if TYPE_CHECKING:
    from pathlib import Path

    from loopline.backend.recorder import Recorder

__all__ = ["bring_in"]

log = logging.getLogger("loopline.worker")

#: How long another process that is bringing it in already is given.
_OTHERS_S = 30.0


def bring_in(recorder: Recorder, pid: int) -> None:
    """Bring the journals of a process that is gone to the store, before its end is judged.

    Raises:
        BackendUnavailableError: The store cannot take them now; try again.
        StorageFullError: Its disk is full; try again.
    """
    until = time.monotonic() + _OTHERS_S
    while left := _journals_of(recorder.home / "journal", pid):
        for folder in left:
            try:
                adopt(folder, recorder.address, recorder.backend)
            except (BackendUnavailableError, StorageFullError):
                raise
            except (LooplineError, OSError) as error:
                log.warning("The journal %s cannot be brought in: %s", folder, error)
                return
        if time.monotonic() > until:
            log.warning("The journals %s are still in somebody's hands", left)
            return
        if any(folder.exists() for folder in left):
            time.sleep(0.05)


def _journals_of(journals: Path, pid: int) -> list[Path]:
    found = []
    for folder in abandoned(journals, host=socket.gethostname()):
        with suppress(LooplineError):  # Somebody else has just brought it in.
            if read_meta(folder).pid == pid:
                found.append(folder)
    return found
