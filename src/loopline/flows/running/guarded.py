"""Guarded pools: attempts that begin only when their tags have a slot, and nobody said pause."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from loopline.errors import BackendUnavailableError
from loopline.flows.executors.base import Pool
from loopline.records.facts import TaskRunState
from loopline.records.flow_operations import GiveTaskSlots, ListTagLimits, TakeTaskSlots
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from loopline.flows.running.attempt import Call, Outcome
    from loopline.flows.running.recorder import Recorder
    from loopline.flows.task import Task

__all__ = ["GuardedPool", "HeldError", "guarded"]

#: Between two questions for a slot that was taken, and two looks whether to pause.
_AGAIN_S = 0.5
#: For how long it is remembered which tags have a limit.
_LIMITS_S = 5.0
#: Attempts that wait for a slot while others pass them by.
_MOST_WAITING = 1000


class HeldError(Exception):
    """Somebody paused the flow run, and nothing of it runs any more."""


def guarded(
    pool: Pool,
    recorder: Recorder,
    tasks: Iterable[Task],
    hold: threading.Event | None,
) -> Pool:
    """Guard a pool, if there is something to ask about."""
    if hold is None and not any(task.tags for task in tasks):
        return pool
    return GuardedPool(pool, recorder, hold)


class GuardedPool(Pool):
    """Lets attempts into another pool when they may begin.

    Args:
        pool: Where they run.
        recorder: Whom to ask for slots.
        hold: Set while nothing shall begin.
    """

    def __init__(self, pool: Pool, recorder: Recorder, hold: threading.Event | None) -> None:
        self.takes_references = pool.takes_references
        self._pool = pool
        self._recorder = recorder
        self._hold = hold
        self._waiting: list[Call] = []
        self._inside = 0
        self._with_slots: set[tuple[str, int]] = set()
        self._told: dict[tuple[str, int], str] = {}
        self._ask_at = 0.0
        self._limited: set[str] = set()
        self._limits_at = 0.0

    @property
    def has_room(self) -> bool:
        """Whether an attempt would begin soon; never while the run shall pause."""
        return not self._is_held() and self._pool.has_room and len(self._waiting) < _MOST_WAITING

    def submit(self, call: Call) -> None:
        """Take an attempt; it begins when it may."""
        self._waiting.append(call)
        if not call.task.tags:
            self._let_in()

    def wait(self, timeout_s: float | None) -> Outcome | None:
        """Wait for an outcome.

        Raises:
            HeldError: It shall pause, and all that had begun has ended.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            if self._is_held() and not self._inside:
                raise HeldError
            self._let_in()
            left = _AGAIN_S if until is None else min(until - time.monotonic(), _AGAIN_S)
            outcome = self._pool.wait(max(left, 0.0))
            if outcome is not None:
                self._inside -= 1
                self._give_back(outcome.where.task_slug, outcome.where.map_index, outcome)
                return outcome
            if until is not None and time.monotonic() >= until:
                return None

    def close(self, *, abandon: bool) -> None:
        """Close the pool inside."""
        self._waiting.clear()
        self._pool.close(abandon=abandon)

    def _is_held(self) -> bool:
        return self._hold is not None and self._hold.is_set()

    def _let_in(self) -> None:
        if not self._waiting or self._is_held():
            return
        may_ask = time.monotonic() >= self._ask_at
        left: list[Call] = []
        for call in self._waiting:
            if call.task.tags and not (may_ask and self._takes_slots(call)):
                left.append(call)
                continue
            self._inside += 1
            self._pool.submit(call)
        if may_ask:
            self._ask_at = time.monotonic() + (_AGAIN_S if left else 0.0)
        self._waiting = left

    def _takes_slots(self, call: Call) -> bool:
        where = call.where
        place = (where.task_slug, where.map_index)
        try:
            if not self._limits() & call.task.tags:
                return True
            why = self._recorder.call(
                TakeTaskSlots(
                    flow_run_id=where.flow_run_id,
                    task_slug=where.task_slug,
                    map_index=where.map_index,
                    token=where.token,
                    tags=sorted(call.task.tags),
                )
            )
        except BackendUnavailableError:
            # A worker's run waits for the store; who runs a flow by hand goes on without it.
            return where.token == 0
        if not why:
            self._with_slots.add(place)
            self._told.pop(place, None)
            return True
        if self._told.get(place) != why:
            self._told[place] = why
            self._recorder.record(
                TaskRunState(
                    flow_run_id=where.flow_run_id,
                    task_slug=where.task_slug,
                    map_index=where.map_index,
                    state=StateKind.QUEUED,
                    at_ms=time.time_ns() // 1_000_000,
                    message=why,
                    attempt=call.attempt,
                    token=where.token,
                )
            )
        return False

    def _limits(self) -> set[str]:
        """Tell which tags have a limit, as it was a few seconds ago."""
        if time.monotonic() >= self._limits_at:
            limits = self._recorder.backend.call(ListTagLimits())
            self._limited = {limit.tag for limit in limits}
            self._limits_at = time.monotonic() + _LIMITS_S
        return self._limited

    def _give_back(self, slug: str, map_index: int, outcome: Outcome) -> None:
        if (slug, map_index) not in self._with_slots:
            return
        self._with_slots.discard((slug, map_index))
        self._ask_at = 0.0
        where = outcome.where
        # With the store away they are free when the flow run is over.
        with suppress(BackendUnavailableError):
            self._recorder.backend.call(
                GiveTaskSlots(
                    flow_run_id=where.flow_run_id,
                    task_slug=slug,
                    map_index=map_index,
                    token=where.token,
                )
            )
