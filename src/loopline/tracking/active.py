"""Which run is active here: a stack for each thread and asyncio task.

A context variable holds the stack, so an asyncio task (and ``asyncio.to_thread``) begins with
the runs of whoever started it, and what it starts itself is nobody else's. A plain thread begins
with none. There, as long as it has started none of its own, what is logged goes to the run that
is active in the main thread: helpers of a training loop log to its run. Where the main thread
has several runs open side by side (asyncio tasks), it is the one that they have in common.

A forked child goes on with the runs of its parent and writes to them through a journal of its
own; it does not end them, neither by leaving their ``with`` block nor by its exit.

In a notebook the cells are one program: a run started in a cell stays active in the next ones.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopline.tracking.run import ActiveRun

__all__ = [
    "active_run",
    "active_stack",
    "enter",
    "last_active_run",
    "leave",
    "open_run_ids",
    "own_run",
    "using",
]

_stack: ContextVar[tuple[ActiveRun, ...]] = ContextVar("loopline_active_runs", default=())
#: The runs that are active in this thread or task, the innermost last; ended ones among them.
active_stack = _stack.get
_last: list[ActiveRun] = []
#: Runs begun here and not ended; a thread that left one open may be long gone.
_open: set[ActiveRun] = set()
#: For the runs entered in the main thread: the whole stack then, the run itself on top.
_main_stacks: dict[ActiveRun, tuple[ActiveRun, ...]] = {}


def active_run() -> ActiveRun | None:
    """Get the run that ``log_*`` calls go to here; None when there is none."""
    stack = _stack.get()
    if stack and not stack[-1].is_ended:
        return stack[-1]
    return own_run() or (None if _is_main() else _run_in_common())


def own_run() -> ActiveRun | None:
    """Get the run that was started in this thread or task, or by who started the task."""
    for run in reversed(_stack.get()):
        if not run.is_ended:  # Another task may have ended it.
            return run
    # A cell with an await runs in a task of its own, whose context goes with it.
    return _run_in_common() if _is_main() and _in_a_notebook() else None


def last_active_run() -> ActiveRun | None:
    """Get the run that is active here, or else the one this process started last."""
    return active_run() or (_last[-1] if _last else None)


def enter(run: ActiveRun) -> None:
    """Make a run that was started here the active one."""
    stack = (*(other for other in _stack.get() if not other.is_ended), run)
    _stack.set(stack)
    if _is_main():
        _main_stacks[run] = stack
    _last[:] = [run]
    _open.add(run)


def leave(run: ActiveRun) -> None:
    """Take a run, and what was started inside it, off the stack."""
    stack = _stack.get()
    if run in stack:
        _stack.set(stack[: stack.index(run)])
    _open.discard(run)
    _main_stacks.pop(run, None)


@contextmanager
def using(run: ActiveRun) -> Iterator[None]:
    """Make a run the active one for a block, whoever started it; the block does not end it."""
    stack, main_stack = _stack.get(), _main_stacks.get(run)
    in_main = _is_main()
    _stack.set((*stack, run))
    if in_main:
        _main_stacks[run] = (*stack, run)
    try:
        yield
    finally:
        _stack.set(stack)
        if in_main and main_stack is not None and not run.is_ended:
            _main_stacks[run] = main_stack
        elif in_main:
            _main_stacks.pop(run, None)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _in_a_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


def _run_in_common() -> ActiveRun | None:
    """Find the innermost run that all open stacks of the main thread have in common."""
    # A copy: the main thread goes on meanwhile.
    open_stacks = [stack for run, stack in list(_main_stacks.items()) if not run.is_ended]
    inner = {other for stack in open_stacks for other in stack[:-1]}
    tops = [stack for stack in open_stacks if stack[-1] not in inner]
    if not tops:
        return None
    common: ActiveRun | None = None
    for level in zip(*tops, strict=False):
        if len(set(level)) > 1:
            break
        if not level[0].is_ended:
            common = level[0]
    return common


def open_run_ids() -> set[str]:
    """Tell the ids of the runs that are being recorded here."""
    return {run.run_id for run in list(_open)}


def _end_open_runs() -> None:
    """End the runs that the program left open, as it ends itself."""
    from loopline.tracking.run import ending

    error = getattr(sys, "last_value", None)
    status, reason = ending(type(error) if error is not None else None, error)
    for run in list(_open):
        run.end(status, reason)


def _after_fork() -> None:
    """Keep the parent's runs active in the child, and leave their end to the parent."""
    _open.clear()
    _main_stacks.clear()
    stack = _stack.get()
    for index, run in enumerate(stack):
        _main_stacks[run] = stack[: index + 1]


# Registered after the recorder's own (imported by whoever makes a run), so it runs before it.
atexit.register(_end_open_runs)
os.register_at_fork(after_in_child=_after_fork)
