"""Attempts in flight on a Dask cluster.

They are sent in batches, their outcomes fetched in batches: one at a time, each would cost more
than Dask itself does. Large results stay on the workers.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections import deque
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakSet

from loopline.errors import FlowError
from loopline.flows.executors.base import Pool
from loopline.flows.executors.dask_worker import (
    Attempt,
    LargeResult,
    home_mark,
    run_on_worker,
    stop_attempts,
)
from loopline.flows.executors.isolated import cannot_send
from loopline.flows.executors.messages import unpack_outcome
from loopline.flows.executors.remote import RemoteResult, take_out_remote
from loopline.flows.running.attempt import Outcome
from loopline.flows.running.results import Result, dump
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import BinaryIO

    from loopline.flows.executors.base import Events
    from loopline.flows.running.attempt import Call

__all__ = ["DaskPool"]

#: How often an attempt is sent when its worker dies before it has begun: Dask blames each task
#: that a dead worker held, also those that only waited there.
_SEND_AGAIN = 4
#: Attempts in flight, at least, and for each thread of the cluster.
_LEAST, _EACH = 256, 4
#: Bytes that go to the scheduler together.
_TOGETHER_BYTES = 4 << 20
#: Seconds between two looks at what is in flight: while much happens, and at most.
_LOOK_S, _LONGEST_LOOK_S = 0.005, 0.02
#: Seconds for which outcomes are gathered, while there are so many attempts left for each thread.
_TOGETHER_S, _PLENTY = 0.25, 16
#: Seconds after which a cluster without workers is told of.
_NO_WORKER_S = 10.0


class _Flight:
    """An attempt on its way."""

    __slots__ = ("attempt", "call", "future", "has_started", "large", "remote", "sent")

    def __init__(self, call: Call, attempt: Attempt, remote: list[RemoteResult]) -> None:
        self.call = call
        self.attempt = attempt
        self.remote = remote
        self.sent = 1
        self.future: Any = None
        self.has_started = False
        #: Of a large result: the packed outcome, and its reference.
        self.large: tuple[Any, str] | None = None


class DaskPool(Pool):
    """Attempts in flight.

    Args:
        events: What to tell while they run.
        client: Dask's.
        opened: Closes the client and what was made for it.
        address: Where tasks record to.
    """

    takes_references = True

    def __init__(self, events: Events, client: Any, opened: ExitStack, address: str) -> None:  # noqa: ANN401 - Dask's
        self._events = events
        self._client = client
        self._opened = opened
        self._address = address
        self._mark = home_mark(address)
        self._topic = f"loopline-{uuid4().hex}"
        self._flights: dict[str, _Flight] = {}
        self._fresh: list[_Flight] = []
        self._outcomes: deque[Outcome] = deque()
        self._heard = threading.Event()
        self._tasks: dict[int, tuple[Any, str, bytes]] = {}
        self._kept: WeakSet[RemoteResult] = WeakSet()
        threads: int = sum(client.nthreads().values())
        self._most = max(_LEAST, _EACH * threads)
        self._plenty = _PLENTY * threads
        self._collected_at = 0.0
        self._has_workers = threads > 0
        self._opened_at = time.monotonic()
        client.subscribe_topic(self._topic, self._hear)

    @property
    def has_room(self) -> bool:
        """Room for all threads of the cluster, and for a batch on its way to them."""
        return len(self._flights) + len(self._fresh) < self._most

    def submit(self, call: Call) -> None:
        """Take an attempt; it is sent together with others, at the next ``wait``."""
        remote: list[RemoteResult] = []
        try:
            arguments = take_out_remote(call.arguments, remote)
            task_id, task = self._packed_task(call)
            attempt = Attempt(
                key=f"{call.where.task_slug}-{uuid4().hex}",
                topic=self._topic,
                task_id=task_id,
                task=task,
                arguments=_packed(arguments),
                where=(call.where,),
                attempt=call.attempt,
                timeout_s=call.timeout_s,
                address=self._address,
                mark=self._mark,
            )
        except Exception as error:  # noqa: BLE001 - whatever pickling raises
            self._outcomes.append(cannot_send(call, error))
            return
        self._fresh.append(_Flight(call, attempt, remote))

    def wait(self, timeout_s: float | None) -> Outcome | None:
        """Send what waits, and wait for an outcome."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        pause_s = _LOOK_S
        while not self._outcomes:
            self._send_fresh()
            if self._collect():
                continue
            if not self._has_workers:
                self._look_for_workers()
            rest_s = pause_s if until is None else min(pause_s, until - time.monotonic())
            if rest_s <= 0:
                return None
            self._heard.wait(rest_s)
            self._heard.clear()
            pause_s = min(2 * pause_s, _LONGEST_LOOK_S)
        return self._outcomes.popleft()

    def close(self, *, abandon: bool) -> None:
        """Let go of the cluster; ``abandon`` tells what still runs to stop."""
        if abandon:
            with suppress(Exception):  # The cluster may be what is gone.
                self._client.run(stop_attempts, self._topic, on_error="ignore")
            with suppress(Exception):
                futures = [flight.future for flight in self._flights.values()]
                self._client.cancel(futures, force=True)
        self._flights.clear()
        if not abandon:
            for result in list(self._kept):
                with suppress(Exception):  # It is told when somebody asks for the value.
                    result.let_go()
        with suppress(Exception):
            self._client.unsubscribe_topic(self._topic)
        self._opened.close()

    # --- sending ---------------------------------------------------------------------------

    def _packed_task(self, call: Call) -> tuple[str, bytes]:
        """Pickle a task once for all of its attempts."""
        known = self._tasks.get(id(call.task))
        if known is None or known[0] is not call.task:
            data = _packed((call.task, call.values))
            known = self._tasks[id(call.task)] = (call.task, sha256(data).hexdigest(), data)
        return known[1], known[2]

    def _send_fresh(self) -> None:
        fresh, self._fresh = self._fresh, []
        batch: list[_Flight] = []
        size = 0
        for flight in fresh:
            self._flights[flight.attempt.key] = flight
            if flight.remote:
                self._send_one(flight)
                continue
            batch.append(flight)
            size += len(flight.attempt.task) + len(flight.attempt.arguments)
            if size > _TOGETHER_BYTES:
                self._send(batch)
                batch, size = [], 0
        if batch:
            self._send(batch)

    def _send(self, flights: list[_Flight]) -> None:
        futures = self._client.map(
            run_on_worker,
            [pickle.dumps(flight.attempt, protocol=5) for flight in flights],
            key=[flight.attempt.key for flight in flights],
            pure=False, retries=0,
        )  # fmt: skip
        for flight, future in zip(flights, futures, strict=True):
            flight.future = future

    def _send_one(self, flight: _Flight) -> None:
        """Send an attempt that takes results which are on the cluster."""
        futures = [each.future for each in flight.remote]
        if flight.attempt.references or None in futures:
            futures = []
        flight.future = self._client.submit(
            run_on_worker, pickle.dumps(flight.attempt, protocol=5), futures,
            key=flight.attempt.key, pure=False, retries=0,
        )  # fmt: skip

    def _send_again(self, flight: _Flight) -> None:
        """Send an attempt whose worker died, to another; what the dead one had is read anew."""
        changes: dict[str, Any] = {
            "key": f"{flight.call.where.task_slug}-{uuid4().hex}",
            "must_tell": True,
        }
        if flight.remote:
            if all(each.reference for each in flight.remote):
                changes["references"] = tuple(each.reference for each in flight.remote)
            else:
                taken: list[RemoteResult] = []
                arguments = take_out_remote(flight.call.arguments, taken)
                from loopline.flows.executors.remote import put_in_places

                values = [each.value for each in taken]
                changes["arguments"] = _packed(put_in_places(arguments, values))
                flight.remote = []
        flight.attempt = flight.attempt._replace(**changes)
        flight.sent += 1
        self._fresh.append(flight)

    # --- what comes back -------------------------------------------------------------------

    def _collect(self) -> bool:
        """Take what has ended; tell whether there was anything."""
        ended = [flight for flight in self._flights.values() if flight.future.status != "pending"]
        is_busy = len(self._flights) - len(ended) > self._plenty
        now = time.monotonic()
        if not ended or (is_busy and now - self._collected_at < _TOGETHER_S):
            return False
        self._collected_at = now
        self._has_workers = True
        good = [
            flight
            for flight in ended
            if flight.large is None and flight.future.status == "finished"
        ]
        results: list[Any] = []
        with suppress(Exception):  # A worker died just now: each is asked for itself.
            results = self._client.gather([flight.future for flight in good])
        for flight in ended:
            del self._flights[flight.attempt.key]
        found = dict(zip((flight.attempt.key for flight in good), results, strict=False))
        for flight in ended:
            self._land(flight, found.get(flight.attempt.key))
        return True

    def _land(self, flight: _Flight, found: Any) -> None:  # noqa: ANN401 - packed outcome
        future, call = flight.future, flight.call
        try:
            if flight.large is None or future.status != "finished":
                found = future.result() if found is None else found
                if isinstance(found, LargeResult):
                    flight.large = found.parts, found.reference
            if flight.large is None:
                parts, told = found
                for message in told:
                    self._take(flight, message)
                self._outcomes.append(unpack_outcome(call.where, parts))
                future.release()
                return
            parts, reference = flight.large
            result = RemoteResult(future, reference, self._open_blob)
            self._kept.add(result)
            self._outcomes.append(unpack_outcome(call.where, parts)._replace(result=result))
        except Exception as error:  # noqa: BLE001 - the cluster failed, not the task
            future.release()
            flight.large = None
            self._judge(flight, error)

    def _judge(self, flight: _Flight, error: Exception) -> None:
        """Tell a task that lost its worker from one that only waited there to begin."""
        call = flight.call
        message = f"The Dask cluster could not run it: {type(error).__name__}: {error}"
        if flight.sent < _SEND_AGAIN and not flight.has_started:
            self._send_again(flight)
            return
        if type(error).__name__ == "KilledWorker":
            worker = getattr(getattr(error, "last_worker", None), "address", "")
            message = f"Its Dask worker {worker} died."
        result = Result(FlowError(message))
        outcome = Outcome(call.where, call.attempt, StateKind.FAILED, message, result)
        self._outcomes.append(outcome)

    def _open_blob(self, digest: str) -> BinaryIO:
        from loopline.backend.recorder import get_recorder

        return get_recorder(self._address or None).backend.open_blob(digest)

    def _hear(self, event: tuple[Any, Any]) -> None:
        """Take what a worker tells while it runs an attempt."""
        for message in event[1]:
            flight = self._flights.get(message[0])
            if flight is not None:
                self._take(flight, message)
        self._heard.set()

    def _take(self, flight: _Flight, message: tuple[Any, ...]) -> None:
        _, *rest = message
        if len(rest) == len(("parts", "reference")):
            flight.large = tuple(rest[0]), rest[1]
        elif rest:
            level, line, shown = rest
            self._events.logged(flight.call, level, line, shown=shown)
        elif not flight.has_started:
            flight.has_started = True
            self._events.started(flight.call)

    def _look_for_workers(self) -> None:
        """Say it when there is nobody to run anything."""
        waited_s = time.monotonic() - self._opened_at
        flight = next(iter(self._flights.values()), None)
        if waited_s < _NO_WORKER_S or flight is None:
            return
        self._has_workers = True
        if not self._client.nthreads():
            message = (
                f"The Dask cluster has had no worker for {waited_s:.0f} s. Start some with "
                "`dask worker ADDRESS`; the flow run waits for them."
            )
            self._events.logged(flight.call, 30, message, shown=False)


def _packed(value: object) -> bytes:
    try:
        data = pickle.dumps(value, protocol=5)
    except Exception:  # noqa: BLE001 - what a script defined needs cloudpickle
        return dump(value)
    # Found by name in a module that the workers do not have.
    return dump(value) if b"__main__" in data else data
