"""The threads in which the synchronous backend answers, bounded so that a rush waits in line."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

__all__ = ["Threads"]

P = ParamSpec("P")
T = TypeVar("T")

#: Threads of a server. SQLite has one writer at a time anyway; readers come beside it.
THREADS = 16
#: Reads at work at once. More of them fight for the interpreter's one lock, at every row that
#: SQLite gives: sixteen take three times as much CPU for the same.
AT_ONCE = 2
#: A read that has waited so long for its turn goes on without one: others may be long.
PATIENCE_S = 0.05


class Threads:
    """A pool of threads for one server."""

    def __init__(self, size: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="loopline-server")
        self._closers: list[Callable[[], None]] = []
        self._turns = threading.Semaphore(AT_ONCE)

    def at_close(self, end: Callable[[], None]) -> None:
        """End another thread together with these."""
        self._closers.append(end)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` in a thread and wait for its result without blocking the event loop."""
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()  # Whose request it is goes along into the thread.
        return await loop.run_in_executor(self._pool, lambda: context.run(work, *args, **kwargs))

    async def read(self, work: Callable[[], T]) -> T:
        """Run ``work`` that only reads in a thread, a few at a time."""

        def in_turn() -> T:
            has_turn = self._turns.acquire(timeout=PATIENCE_S)
            try:
                return work()
            finally:
                if has_turn:
                    self._turns.release()

        return await self.run(in_turn)

    async def stream(self, chunks: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
        """Yield what a blocking generator yields, each chunk made in a thread.

        The generator is closed at the end, also when the client has gone away before it.
        """
        lock = threading.Lock()  # A cancelled request may leave `next` running in its thread.

        def following() -> bytes:
            with lock:
                return next(chunks, b"")  # Chunks are never empty: an empty one is the end.

        def close() -> None:
            with lock:
                chunks.close()

        try:
            while chunk := await self.run(following):
                yield chunk
        finally:
            self._pool.submit(close)

    def close(self) -> None:
        """Wait for the work in hand and let the threads go."""
        for end in self._closers:
            end()
        self._pool.shutdown(wait=True, cancel_futures=True)
