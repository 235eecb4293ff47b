"""Receiving bytes into a file: hashed and written in a thread while the next ones come."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Iterable
    from typing import BinaryIO

    from loopline.server.threads import Threads

__all__ = ["Receiver"]

#: Bytes written and hashed at a time, and as many may wait meanwhile.
BATCH_BYTES = 1 << 20
#: Bytes after which the disk is told to begin with what was written, so that the wait at the end
#: is short.
SYNC_BYTES = 64 << 20


class Receiver:
    """Appends chunks to a file and hashes them, at most two megabytes behind.

    Args:
        file: Open for writing, at its end.
        hashers: Are fed every byte, in this order.
        threads: Where the work is done.
    """

    def __init__(self, file: BinaryIO, hashers: Iterable[hashlib._Hash], threads: Threads) -> None:
        self._file = file
        self._hashers = list(hashers)
        self._threads = threads
        self._chunks: list[bytes] = []
        self._waiting = 0
        self._unsynced = 0
        self._job: asyncio.Future[None] | None = None
        self._sync: asyncio.Future[None] | None = None

    async def take(self, chunk: bytes) -> None:
        """Take the next bytes; returns at once unless too many wait.

        Raises:
            OSError: What came before could not be written.
        """
        self._chunks.append(chunk)
        self._waiting += len(chunk)
        if self._waiting >= BATCH_BYTES:
            await self._start()

    async def finish(self) -> None:
        """Return when everything taken is hashed and safely on the disk.

        Raises:
            OSError: It could not be written.
        """
        await self._start()
        await self.settle()
        await self._threads.run(os.fsync, self._file.fileno())

    async def settle(self) -> None:
        """Wait for what is being written, so that the file may be closed."""
        for job in (self._job, self._sync):
            if job is not None:
                await asyncio.shield(job)

    async def _start(self) -> None:
        if self._job is not None:
            await asyncio.shield(self._job)
        chunks, self._chunks = self._chunks, []
        self._unsynced += self._waiting
        self._waiting = 0
        self._job = asyncio.ensure_future(self._threads.run(self._write, chunks))
        is_idle = self._sync is None or self._sync.done()
        if self._unsynced >= SYNC_BYTES and is_idle:
            if self._sync is not None:
                self._sync.result()  # An error of the disk is one of this upload.
            self._unsynced = 0
            sync = self._threads.run(os.fsync, self._file.fileno())
            self._sync = asyncio.ensure_future(sync)

    def _write(self, chunks: list[bytes]) -> None:
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        for hasher in self._hashers:
            hasher.update(data)
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
