"""Which run is active here: a stack for each thread and asyncio task."""

from __future__ import annotations

import atexit
import os
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.tracking.run import ActiveRun

__all__ = ["active_run", "enter", "last_active_run", "leave"]

_stack: ContextVar[tuple[ActiveRun, ...]] = ContextVar("loopline_active_runs", default=())
_last: list[ActiveRun] = []
#: Runs begun here and not ended; a thread that left one open may be long gone.
_open: set[ActiveRun] = set()


def active_run() -> ActiveRun | None:
    """Get the run that ``log_*`` calls go to here; None when there is none."""
    stack = _stack.get()
    return stack[-1] if stack else None


def last_active_run() -> ActiveRun | None:
    """Get the run that is active here, or else the one this process started last."""
    return active_run() or (_last[-1] if _last else None)


def enter(run: ActiveRun) -> None:
    """Make a run the active one."""
    _stack.set((*_stack.get(), run))
    _last[:] = [run]
    _open.add(run)


def leave(run: ActiveRun) -> None:
    """Take a run, and what was started inside it, off the stack."""
    stack = _stack.get()
    if run in stack:
        _stack.set(stack[: stack.index(run)])
    _open.discard(run)


def _end_open_runs() -> None:
    """End the runs that the program left open, as it ends itself."""
    from loopline.tracking.run import ending

    error = getattr(sys, "last_value", None)
    status, reason = ending(type(error) if error is not None else None, error)
    for run in list(_open):
        run.end(status, reason)


# Registered after the recorder's own (imported by whoever makes a run), so it runs before it.
atexit.register(_end_open_runs)
# A forked child's exit is not the end of its parent's runs.
os.register_at_fork(after_in_child=_open.clear)
