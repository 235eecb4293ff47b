"""Group commit: requests that wait at the same time reach the disk with one sync.

Each request is acknowledged after the transaction that holds its facts is durable. While one is
written the next ones gather; the more there are, the less each of them costs. One thread writes.

Clients that wait for their answers come in two halves, one of which is written while the other is
answered, and each half pays for a sync. So the thread waits a little for as many requests as there
were inside lately: no longer than one more write would take, and not at all for a client alone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from loopline.backend.local import LocalBackend
from loopline.errors import LooplineError
from loopline.records.operations import RecordFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.backend.protocol import Backend
    from loopline.records.facts import Fact
    from loopline.server.threads import Threads

__all__ = ["Commits"]

log = logging.getLogger("loopline.server")

#: Past so many requests a transaction is large enough: the first of them waits for the last.
MOST_TOGETHER = 256
#: Points wait in the inbox for at most so long, and so many bytes of them.
SETTLE_S = 1.0
SETTLE_BYTES = 8 * 2**20


#: It waits at most so long for others, however slow the disk is.
MOST_PATIENCE_S = 0.002


#: Called in the event loop with why nothing was taken, or with None when all is durable.
Done = Callable[["Exception | None"], None]


class _Waiting(NamedTuple):
    call: RecordFacts
    done: Done


class Commits:
    """Records the facts of requests in one line, several at a time. For one event loop."""

    def __init__(self, backend: Backend, threads: Threads) -> None:
        """Write to a backend, in a thread that is over when these threads are closed."""
        self._backend = backend
        self._gathered: list[_Waiting] = []
        #: Requests that are not answered yet, and how many those were lately, at most.
        self._inside = 0
        self._crowd = 0
        #: How long the last write took.
        self._patience_s = 0.0
        self._queue: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        threads.at_close(self._close)

    def put(self, facts: list[Fact], done: Done) -> None:
        """Take facts, all of them or none, and call ``done`` when they are durable or refused."""
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(
                target=self._work, args=(self._loop,), name="loopline-commits", daemon=True
            )
            self._thread.start()
        assert self._loop is not None  # noqa: S101 - set with the thread
        if not self._gathered:
            # Those that came at the same moment go together, and wake the thread once.
            self._loop.call_soon(self._hand_over)
        self._gathered.append(_Waiting(RecordFacts(facts=facts), done))
        self._inside += 1

    def _hand_over(self) -> None:
        self._queue.put(self._gathered)
        self._gathered = []

    def _tell(self, taken: list[_Waiting], refusals: Sequence[Exception | None]) -> None:
        self._inside -= len(taken)
        for (_, done), refusal in zip(taken, refusals, strict=True):
            try:
                done(refusal)
            except Exception:  # The others are told all the same.
                log.exception("A request whose facts are kept could not be answered")

    async def record(self, facts: list[Fact]) -> None:
        """Take facts, all of them or none; on return they are durable.

        Raises:
            LooplineError: Why none was taken.
        """
        answer = asyncio.get_running_loop().create_future()
        self.put(facts, partial(_answer_with, answer))
        await answer

    def _close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    # --- in the thread that writes ---------------------------------------------------------

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write what waits until told to end; settle when it is time."""
        settle_at: float | None = None
        is_over = False
        while not is_over:
            taken, is_over = self._next(settle_at)
            if taken:
                began = time.monotonic()
                refusals = self._record([waiting.call for waiting in taken])
                self._patience_s = min(MOST_PATIENCE_S, time.monotonic() - began)
                self._crowd = max(self._inside, self._crowd - 1)
                loop.call_soon_threadsafe(self._tell, taken, refusals)
            settle_at = self._settle(settle_at, is_over=is_over)

    def _next(self, until: float | None) -> tuple[list[_Waiting], bool]:
        """Wait for requests, or until it is time to settle; tell also whether it is over."""
        taken: list[_Waiting] = []
        try:
            wait_s = None if until is None else max(0.0, until - time.monotonic())
            gathered = self._queue.get(timeout=wait_s)
            patient_until = time.monotonic() + self._patience_s
            while gathered is not None:
                taken += gathered
                if len(taken) >= MOST_TOGETHER:
                    return taken, False
                left_s = 0.0
                if len(taken) < self._crowd:
                    left_s = max(0.0, patient_until - time.monotonic())
                gathered = self._queue.get(block=left_s > 0, timeout=left_s or None)
        except Empty:
            return taken, False
        return taken, True

    def _record(self, calls: list[RecordFacts]) -> Sequence[Exception | None]:
        try:
            if isinstance(self._backend, LocalBackend):
                return self._backend.record_together(calls)
            return [_answer(self._backend, call) for call in calls]
        except Exception as error:  # noqa: BLE001 - each of them is told, and asks again
            return [error] * len(calls)

    def _settle(self, settle_at: float | None, *, is_over: bool) -> float | None:
        """Put points where they belong when it is time; tell when it will be."""
        backend = self._backend
        if not isinstance(backend, LocalBackend) or not (size := backend.waiting_bytes()):
            return None
        now = time.monotonic()
        if settle_at is None:
            settle_at = now + SETTLE_S
        if now < settle_at and size < SETTLE_BYTES and not is_over:
            return settle_at
        try:
            backend.settle()
        except LooplineError as error:
            # Locked or full: they are safe where they are, and whoever reads tries it, too.
            log.warning("Points wait to be put where they belong: %s", error)
        except Exception:
            log.exception("Points cannot be put where they belong; they are kept")
        return None


def _answer_with(answer: asyncio.Future[None], refusal: Exception | None) -> None:
    if answer.done():  # Its client has gone; the facts are kept.
        return
    if refusal is None:
        answer.set_result(None)
    else:
        answer.set_exception(refusal)


def _answer(backend: Backend, call: RecordFacts) -> LooplineError | None:
    try:
        backend.call(call)
    except LooplineError as error:
        return error
    return None
