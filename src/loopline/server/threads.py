"""The threads in which the synchronous backend answers, bounded so that a rush waits in line."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["Threads"]

P = ParamSpec("P")
T = TypeVar("T")

#: Threads of a server. SQLite has one writer at a time anyway; readers come beside it.
THREADS = 16


class Threads:
    """A pool of threads for one server."""

    def __init__(self, size: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="loopline-server")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` in a thread and wait for its result without blocking the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

    async def stream(self, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Yield what a blocking iterator yields, each chunk made in a thread."""
        done = b""  # Chunks are never empty, so that an empty one can mean the end.
        while chunk := await self.run(next, chunks, done):
            yield chunk

    def close(self) -> None:
        """Wait for the work in hand and let the threads go."""
        self._pool.shutdown(wait=True, cancel_futures=True)
