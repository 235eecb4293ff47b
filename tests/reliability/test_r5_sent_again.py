"""R5: what is sent again, however often and from wherever, changes nothing."""

from __future__ import annotations

import struct
import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.server.running import running

from loopline.backend.http import HttpBackend
from loopline.backend.local import LocalBackend
from loopline.errors import ConflictError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.postgres import PostgresServer

    from loopline.backend.protocol import Backend

POINTS = 20
BATCHES = 6


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.deep)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    if request.param == "sqlite":
        return Address("home", str(tmp_path))
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.new()


@contextmanager
def opened(address: Address, folder: Path) -> Iterator[LocalBackend]:
    backend = LocalBackend(address, home=folder)
    yield backend
    backend.close()


def spool(run_id: str) -> list[list[f.Fact]]:
    """Make what a training journals, with everything that could be counted twice."""
    batches: list[list[f.Fact]] = []
    for number in range(BATCHES):
        steps = struct.pack(f"<{POINTS}q", *range(number * POINTS, (number + 1) * POINTS))
        batches.append(
            [
                f.RunStarted(run_id=run_id, experiment="wagoncab taxifare", start_ms=1000),
                f.ParamsLogged(run_id=run_id, params={f"p{number}": "gbm"}),
                f.MetricPoints(
                    run_id=run_id,
                    key="rmse",
                    steps=steps,
                    timestamps_ms=steps,
                    values=struct.pack(f"<{POINTS}d", *[3.9] * POINTS),  # Alike but for the step.
                ),
                f.TagsSet(run_id=run_id, tags={"night": str(number)}),
                f.ParamsLogged(run_id=run_id, params={f"p{number}": "refused"}),
            ]
        )
    return batches


def outcome(backend: Backend, run_id: str) -> tuple[object, ...]:
    run = backend.call(ops.GetRun(run_id=run_id))
    history = backend.call(ops.GetMetricHistory(run_id=run_id, key="rmse"))
    refused = backend.call(ops.ListRefused(run_id=run_id))
    return run.params, run.tags["night"], history.steps, run.metrics["rmse"].count, len(refused)


def expected(batches: list[list[f.Fact]]) -> tuple[object, ...]:
    count = len(batches)
    params = {f"p{number}": "gbm" for number in range(count)}
    return params, str(count - 1), list(range(count * POINTS)), count * POINTS, count


def test_any_suffix_sent_again_in_any_order_changes_nothing(
    address: Address, tmp_path: Path
) -> None:
    with opened(address, tmp_path) as backend:
        _send_again(backend)()


def _send_again(backend: LocalBackend) -> Callable[[], None]:
    @settings(max_examples=25)
    @given(tries=st.lists(st.tuples(st.integers(0, BATCHES - 1), st.integers(1, BATCHES))))
    def send(tries: list[tuple[int, int]]) -> None:
        run_id = uuid.uuid4().hex
        batches = spool(run_id)
        acknowledged = 0
        for start, length in [*tries, *((number, 1) for number in range(BATCHES))]:
            end = min(start + length, BATCHES)
            facts = [fact for batch in batches[start:end] for fact in batch]
            batch = f.Batch(writer=run_id, start=start, end=end, facts=facts)
            if start > acknowledged:
                with pytest.raises(ConflictError):
                    backend.send(batch)
                continue
            receipt = backend.send(batch)
            # A batch that reaches back is not taken in part: it is sent anew from here.
            acknowledged = end if start == acknowledged else acknowledged
            assert receipt.acknowledged == acknowledged
        while acknowledged < BATCHES:
            facts = batches[acknowledged]
            backend.send(
                f.Batch(writer=run_id, start=acknowledged, end=acknowledged + 1, facts=facts)
            )
            acknowledged += 1
        assert outcome(backend, run_id) == expected(batches)

    return send


@contextmanager
def served(address: Address, _folder: Path) -> Iterator[HttpBackend]:
    with running(address) as url:
        backend = HttpBackend(Address("http", url))
        yield backend
        backend.close()


@pytest.mark.parametrize("through", [opened, served])
def test_a_hundred_identical_posts_at_once_are_one(
    through: Callable[[Address, Path], AbstractContextManager[Backend]],
    address: Address,
    tmp_path: Path,
) -> None:
    run_id = "1" * 32
    facts = spool(run_id)[0]
    batch = f.Batch(writer="w", start=0, end=1, facts=facts)
    receipts = []
    with through(address, tmp_path) as backend:
        barrier = threading.Barrier(100)

        def post() -> None:
            barrier.wait()
            receipts.append(backend.send(batch))

        threads = [threading.Thread(target=post) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [receipt.acknowledged for receipt in receipts] == [1] * 100
        assert sorted(receipt.refused for receipt in receipts) == [*[0] * 99, 1]
        assert outcome(backend, run_id) == expected([facts])
