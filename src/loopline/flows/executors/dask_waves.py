"""Dask's own local schedulers: what is ready together is one graph for them, wave by wave."""

from __future__ import annotations

import pickle
import queue
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from loopline.errors import MissingExtraError
from loopline.flows.executors.base import Pool
from loopline.flows.executors.isolated import cannot_send, pack_call
from loopline.flows.executors.messages import pack_outcome, unpack_outcome
from loopline.flows.running.attempt import Call, Outcome, run_attempt

if TYPE_CHECKING:
    from loopline.flows.executors.base import Events

__all__ = ["WavePool"]

#: Attempts in a wave for each worker, so that a wave is worth its while.
_EACH = 64


class WavePool(Pool):
    """Hands attempts to ``dask.get`` of one kind, from a thread that waits for it.

    Args:
        events: What to tell while attempts run.
        kind: ``"threads"``, ``"processes"`` or ``"synchronous"``.
        size: How many workers Dask is to use.
        address: Where tasks in other processes record to.

    Raises:
        MissingExtraError: Dask is not installed.
    """

    def __init__(self, events: Events, kind: str, size: int, *, address: str = "") -> None:
        try:
            import dask
        except ImportError:
            raise MissingExtraError(
                "dask", extra="dask", purpose="Running tasks with Dask's local schedulers"
            ) from None
        schedulers: Any = dask.base  # It has no types.
        self._get = schedulers.get_scheduler(scheduler=kind)
        self._events = events
        self._size = size
        self._is_apart = kind == "processes"
        self._address = address
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        self._unfinished = 0
        self._thread = threading.Thread(target=self._work, name="loopline dask waves", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        """Room for a wave."""
        return self._unfinished < self._size * _EACH

    def submit(self, call: Call) -> None:
        """Queue an attempt for the next wave."""
        self._unfinished += 1
        self._calls.put(call)

    def wait(self, timeout_s: float | None) -> Outcome | None:
        """Wait for an outcome."""
        try:
            outcome = self._outcomes.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self._unfinished -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def close(self, *, abandon: bool) -> None:
        """End the thread; without ``abandon`` nothing runs any more."""
        self._calls.put(None)
        if not abandon:
            self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            wave = [call]
            while not self._calls.empty() and (more := self._calls.get()) is not None:
                wave.append(more)
            try:
                self._run(wave)
            except BaseException as error:  # noqa: BLE001 - the flow's thread raises it
                self._outcomes.put(error)

    def _run(self, wave: list[Call]) -> None:
        if not self._is_apart:
            # Dask looks for keys in tuples, and a call is one: it must not see it.
            graph: dict[Any, Any] = {
                f"attempt-{number}": (partial(self._make, call),)
                for number, call in enumerate(wave)
            }
            self._get(graph, list(graph), num_workers=self._size)
            return
        packed: dict[str, Any] = {}
        sent: list[Call] = []
        for number, call in enumerate(wave):
            try:
                data = pack_call(call)
            except Exception as error:  # noqa: BLE001 - whatever pickling raises
                self._outcomes.put(cannot_send(call, error))
                continue
            packed[f"attempt-{number}"] = (
                partial(_make_apart, data, call.timeout_s, self._address),
            )
            sent.append(call)
            self._events.started(call)
        results = self._get(packed, list(packed), num_workers=self._size)
        for call, found in zip(sent, results, strict=True):
            lines, parts = pickle.loads(found)  # noqa: S301 - from our own child
            for level, message, shown in lines:
                self._events.logged(call, level, message, shown=shown)
            self._outcomes.put(unpack_outcome(call.where, parts))

    def _make(self, call: Call) -> None:
        self._events.started(call)
        self._outcomes.put(run_attempt(call, partial(self._events.logged, call)))


def _make_apart(data: bytes, timeout_s: float | None, address: str) -> bytes:
    """Make an attempt in one of Dask's processes."""
    from loopline.flows.executors.child import settle_records

    lines: list[tuple[int, str, bool]] = []

    def sink(level: int, message: str, *, shown: bool) -> None:
        lines.append((level, message, shown))

    call: Call = pickle.loads(data)  # noqa: S301 - from our own engine
    call = call._replace(timeout_s=timeout_s, where=call.where._replace(address=address))
    outcome = run_attempt(call, sink)
    settle_records()
    return pickle.dumps((lines, pack_outcome(outcome)))
