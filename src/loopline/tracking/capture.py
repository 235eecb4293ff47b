"""Capture: the environment of every run is recorded beside it, on a thread of its own.

``start_run`` only leaves a note for the thread. What the thread gathers is shared by the runs
that start within a few seconds; git is asked anew after that, since a process may outlive a
commit. At exit the thread is waited for, so that a short run has its environment too.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import warnings
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.backend.recorder import before_closing
from loopline.records.facts import ArtifactLogged, TagsSet
from loopline.tracking.environment.seeds import random_state

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from loopline.backend.recorder import Recorder
    from loopline.journal.journal import Journal
    from loopline.tracking.environment.snapshot import Snapshot
    from loopline.tracking.run import ActiveRun

__all__ = ["capture_into", "soon", "wait_for_captures"]

#: Runs that start within these seconds after a snapshot share it.
FRESH_S = 5.0
#: The thread lets the caller go on for so long before it competes for the interpreter.
HOLD_S = 0.02
#: A thread with nothing to do ends after these seconds.
IDLE_S = 2.0
#: The end of the process waits for what is being gathered, but no longer than this.
EXIT_WAIT_S = 10.0


class _Note(NamedTuple):
    """What is to be recorded: the environment of a run that began, or the cells of a notebook."""

    run: ActiveRun
    recorder: Recorder
    #: Tags that the user has set, which stay.
    given: frozenset[str] = frozenset()
    #: Which of this process's runs it is, counted from 1, and with which random numbers it began.
    number: int = 0
    random: str = ""
    #: The cells run so far; None outside notebooks.
    cells: list[str] | None = None
    only_cells: bool = False


class _Capturer:
    """The notes, and the thread that works them off; one a process."""

    def __init__(self) -> None:
        self._notes: deque[_Note] = deque()
        self._chores: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_busy = False
        self._waiting = 0
        self._is_over = False
        self._snapshot: Snapshot | None = None
        self._taken_at = 0.0
        #: Per journal, hash and size of the snapshot's files that it has already.
        self._staged: weakref.WeakKeyDictionary[Journal, dict[str, tuple[str, int]]]
        self._staged = weakref.WeakKeyDictionary()
        self._begun = 0
        self._followed: list[_Note] = []
        self._is_following = False

    def next_number(self) -> int:
        """Count the runs that this process begins."""
        with self._changed:
            self._begun += 1
            return self._begun

    def put(self, note: _Note) -> None:
        """Leave a note for the thread, starting it when there is none."""
        with self._changed:
            if not self._is_over:
                self._notes.append(note)
                self._rouse()

    def put_chore(self, chore: Callable[[], None]) -> None:
        """Have something quick done by the thread, before the notes."""
        with self._changed:
            if not self._is_over:
                self._chores.append(chore)
                self._rouse()

    def _rouse(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="loopline-capture", daemon=True)
            self._thread.start()
        elif len(self._notes) + len(self._chores) == 1:
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait until every note is worked off; tell whether that was in time."""
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(
                    lambda: not self._notes and not self._is_busy, timeout_s
                )
            finally:
                self._waiting -= 1

    def finish(self, timeout_s: float) -> None:
        """Wait as ``wait`` does, and take no more: the recorders are about to close."""
        self.wait(timeout_s)
        with self._changed:
            self._is_over = True
            self._notes.clear()

    def _work(self) -> None:
        try:
            self._work_off()
        finally:  # Also when warnings are errors: the next note gets another thread.
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _work_off(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: bool(self._notes or self._chores), IDLE_S):
                    self._thread = None  # Under the lock: who leaves a note now starts another.
                    return
                self._changed.wait_for(lambda: self._waiting > 0 or self._is_over, HOLD_S)
                notes, chores = list(self._notes), list(self._chores)
                self._notes.clear()
                self._chores.clear()
                self._is_busy = True
            try:
                for chore in chores:
                    chore()
                for note in notes:
                    self._try_capture(note)
            finally:
                with self._changed:
                    self._is_busy = False
                    self._changed.notify_all()

    def _try_capture(self, note: _Note) -> None:
        try:
            self._capture(note)
        except Exception as error:  # noqa: BLE001 - a run is worth more than its surroundings
            warnings.warn(
                f"The environment of run {note.run.run_id} could not be recorded: "
                f"{type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=2,
            )

    def _capture(self, note: _Note) -> None:
        if not note.only_cells:
            snapshot = self._fresh()
            told = {
                **snapshot.tags,
                "loopline.run_number": str(note.number),
                "loopline.random_state": note.random,
            }
            tags = {key: text for key, text in told.items() if text and key not in note.given}
            self._record(note, TagsSet(run_id=note.run.run_id, tags=tags))
            staged = self._staged.setdefault(note.recorder.journal, {})
            for path, data in snapshot.files.items():
                if path not in staged:
                    staged[path] = note.recorder.stage_bytes(data)
                self._record_file(note, path, *staged[path])
        self._capture_cells(note)

    def _fresh(self) -> Snapshot:
        """Take a snapshot, unless the last one is young enough."""
        from loopline.tracking.environment.snapshot import take

        if self._snapshot is None or time.monotonic() - self._taken_at > FRESH_S:
            self._snapshot = take()
            self._taken_at = time.monotonic()
            self._staged.clear()
        return self._snapshot

    # --- notebooks ---

    def _capture_cells(self, note: _Note) -> None:
        """Keep the cells that were run when the note was left."""
        from loopline.tracking.environment import notebook
        from loopline.tracking.environment.snapshot import redactor

        if note.cells is None:
            return
        text = redactor().text(notebook.as_script(note.cells), is_code=True)
        self._record_file(note, notebook.CELLS, *note.recorder.stage_bytes(text.encode()))

    def follow(self, note: _Note) -> None:
        """Keep the cells also after each further one, until the run has ended."""
        from loopline.tracking.environment import notebook

        self._followed.append(note)
        if not self._is_following:
            self._is_following = True
            notebook.follow(notebook.shell(), self._after_cell)

    def _after_cell(self) -> None:
        from loopline.tracking.environment.notebook import cells_so_far

        cells = cells_so_far()
        for note in self._followed:
            self.put(note._replace(cells=cells, only_cells=True))
        self._followed = [note for note in self._followed if not note.run.status.is_terminal]

    # --- recording ---

    def _record_file(self, note: _Note, path: str, digest: str, size: int) -> None:
        self._record(
            note,
            ArtifactLogged(
                run_id=note.run.run_id,
                path=path,
                sha256=digest,
                size_bytes=size,
                at_ms=time.time_ns() // 1_000_000,
            ),
        )

    def _record(self, note: _Note, fact: Any) -> None:  # noqa: ANN401 - one of the facts
        if not self._is_over:  # Or it would open a journal in a process that is ending.
            note.recorder.record(fact)


_capturer = _Capturer()


def capture_into(run: ActiveRun, recorder: Recorder, *, given: Collection[str] = ()) -> None:
    """Have the environment of a run recorded, in the background.

    Args:
        run: A run that has just begun.
        recorder: Where it is recorded to.
        given: Tags that are set by the user and stay as they are.
    """
    if os.environ.get("LOOPLINE_NO_CAPTURE") == "1":
        return
    note = _Note(run, recorder, frozenset(given), _capturer.next_number(), _random_state())
    if "IPython" in sys.modules:
        from loopline.tracking.environment.notebook import cells_so_far

        note = note._replace(cells=cells_so_far())
    _capturer.put(note)
    if note.cells is not None:
        _capturer.follow(note)
    _finish_with_child()


def _random_state() -> str:
    """Sum up the generators; a run begins also where another library's cannot tell its state."""
    try:
        return random_state()
    except Exception:  # noqa: BLE001 - whatever stands in for a generator
        return ""


def soon(chore: Callable[[], None]) -> None:
    """Have something quick done a moment later, off the calling thread.

    To start a thread takes until that thread has drawn its first breath, milliseconds on a busy
    machine; ``start_run`` pays that once, for this one.
    """
    _capturer.put_chore(chore)


def wait_for_captures(timeout_s: float = EXIT_WAIT_S) -> bool:
    """Wait until the environments of all runs begun so far are recorded."""
    return _capturer.wait(timeout_s)


def _finish() -> None:
    _capturer.finish(EXIT_WAIT_S)


_children: set[int] = set()


def _finish_with_child() -> None:
    """Have a ``multiprocessing`` child wait too: it ends without what ``atexit`` was told."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is None or processes.parent_process() is None or os.getpid() in _children:
        return
    from multiprocessing.util import Finalize

    _children.add(os.getpid())
    Finalize(None, wait_for_captures, exitpriority=100)


def _begin_anew() -> None:
    global _capturer  # noqa: PLW0603 - the thread and its lock are the parent's
    _capturer = _Capturer()


before_closing(wait_for_captures)
atexit.register(_finish)
os.register_at_fork(after_in_child=_begin_anew)
