"""Group commit: requests that wait at the same time reach the disk with one sync.

Each request is acknowledged after the transaction that holds its facts is durable. While one is
written the next ones gather; the more there are, the less each of them costs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from loopline.backend.local import LocalBackend
from loopline.errors import LooplineError
from loopline.records.operations import RecordFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.backend.protocol import Backend
    from loopline.records.facts import Fact
    from loopline.server.threads import Threads

__all__ = ["Commits"]

#: Requests in one transaction: the first of them waits for the last.
MOST_TOGETHER = 256


class Commits:
    """Records the facts of requests in one line, several at a time. For one event loop."""

    def __init__(self, backend: Backend, threads: Threads) -> None:
        """Write to a backend from one of these threads."""
        self._record = (
            backend.record_together
            if isinstance(backend, LocalBackend)
            else lambda calls: [_answer(backend, call) for call in calls]
        )
        self._threads = threads
        self._waiting: list[tuple[RecordFacts, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def record(self, facts: list[Fact]) -> None:
        """Take facts, all of them or none; on return they are durable.

        Raises:
            LooplineError: Why none was taken.
        """
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append((RecordFacts(facts=facts), answer))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await answer

    async def _write(self) -> None:
        """Write until nobody waits any more."""
        try:
            while self._waiting:
                taken = self._waiting[:MOST_TOGETHER]
                del self._waiting[:MOST_TOGETHER]
                calls = [call for call, _ in taken]
                refusals: Sequence[Exception | None]
                try:
                    refusals = await self._threads.run(self._record, calls)
                except Exception as error:  # noqa: BLE001 - each of them is told, and asks again
                    refusals = [error] * len(taken)
                for (_, answer), refusal in zip(taken, refusals, strict=True):
                    if answer.cancelled():  # Its client has gone; the facts are kept.
                        continue
                    if refusal is None:
                        answer.set_result(None)
                    else:
                        answer.set_exception(refusal)
        finally:
            self._writer = None


def _answer(backend: Backend, call: RecordFacts) -> LooplineError | None:
    try:
        backend.call(call)
    except LooplineError as error:
        return error
    return None
