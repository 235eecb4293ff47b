"""Group commit: requests that are expected are waited for, and a client alone is not kept."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from typing import TYPE_CHECKING

from tests.server.story import run_id

from loopline.backend.local import LocalBackend
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.server.commits import Commits
from loopline.server.threads import Threads
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from loopline.errors import LooplineError

CLIENTS, REQUESTS = 8, 40


def point(step: int) -> f.MetricPoints:
    eight = step.to_bytes(8, "little")
    return f.MetricPoints(
        run_id=run_id(1), key="rmse", steps=eight, timestamps_ms=eight, values=eight
    )


def groups_of(backend: LocalBackend, clients: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let clients log one point after the other, each waiting for its answer."""
    sizes: list[int] = []
    write = backend.record_together

    def counted(calls: list[ops.RecordFacts]) -> list[LooplineError | None]:
        sizes.append(len(calls))
        return write(calls)

    monkeypatch.setattr(backend, "record_together", counted)

    async def client(commits: Commits, number: int) -> None:
        for step in range(REQUESTS):
            await commits.record([point(number * REQUESTS + step)])

    async def everybody() -> None:
        threads = Threads()
        commits = Commits(backend, threads)
        await asyncio.gather(*(client(commits, number) for number in range(clients)))
        threads.close()

    asyncio.run(everybody())
    return sizes


def test_clients_that_wait_for_their_answers_share_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(LocalBackend(Address("home", str(tmp_path / "home")))) as backend:
        backend.call(ops.RecordFacts(facts=[f.RunStarted(run_id=run_id(1), start_ms=1)]))
        sizes = groups_of(backend, CLIENTS, monkeypatch)
        assert sum(sizes) == CLIENTS * REQUESTS
        assert len(sizes) <= 2 * REQUESTS  # Of eight each: 40, and some at the start.
        history = backend.call(ops.GetMetricHistory(run_id=run_id(1), key="rmse"))
        assert history.total == CLIENTS * REQUESTS


def test_a_request_that_others_are_expected_with_waits_for_them(tmp_path: Path) -> None:
    with closing(LocalBackend(Address("home", str(tmp_path / "home")))) as backend:
        commits = Commits(backend, Threads())
        commits._patience_s = 20.0
        one = [object()]
        commits._queue.put(one)  # type: ignore[arg-type]
        commits._crowd = 1
        assert commits._next(None) == (one, False)  # Alone: not kept.

        commits._crowd = 3
        commits._queue.put(one)  # type: ignore[arg-type]
        later = threading.Timer(0.05, lambda: commits._queue.put([object()] * 2))  # type: ignore[list-item]
        later.start()
        taken, is_over = commits._next(None)
        later.join()
        assert (len(taken), is_over) == (3, False)

        commits._patience_s = 0.01
        commits._queue.put(one)  # type: ignore[arg-type]
        assert commits._next(None) == (one, False)  # The others do not come.
