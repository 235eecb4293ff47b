"""Whose request it is that the server works on, and a backend that asks that at every call.

The gate says who asks; routes call the backend without a word about it. A call with nobody's name
to it is a fault, not somebody who may do everything.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from loopline.backend.local import LocalBackend
from loopline.errors import NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.server.commits import Commits
from loopline.store.callers import act_for
from loopline.store.ingest import ingest
from loopline.store.operations import carry_out
from loopline.store.permits import IDENTITY, may_read_blob, may_write_facts, permit_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from loopline.backend.protocol import Backend
    from loopline.records.facts import Batch, Fact, Receipt
    from loopline.records.identity import Caller
    from loopline.records.operations import Operation
    from loopline.server.threads import Threads

__all__ = ["PermittedCommits", "ServedBackend", "caller_now", "is_called_by"]

R = TypeVar("R")

_caller: ContextVar[Caller] = ContextVar("loopline_caller")

#: Commands after which somebody may do other things than before.
CHANGING_ACCESS = IDENTITY.union((ops.RenameModel, ops.DeleteModel, ops.MoveRuns))

#: Facts that are of their run and of nothing else.
OF_ONE_RUN = (f.MetricPoints, f.ParamsLogged, f.TagsSet, f.TagRemoved, f.ArtifactLogged, f.RunEnded)
#: Seconds for which a look counts whether somebody may write to a run, and how many are kept.
FRESH_S, MOST_WRITABLE = 5.0, 10_000


def is_called_by(caller: Caller) -> None:
    """Say whose request the work from here on is for."""
    _caller.set(caller)


def caller_now() -> Caller:
    """Tell whose request this is.

    Raises:
        RuntimeError: Nobody said so, which is a fault of the server.
    """
    try:
        return _caller.get()
    except LookupError:
        msg = "A request has come past the gate."
        raise RuntimeError(msg) from None


class ServedBackend(LocalBackend):
    """A server's backend: does for each caller what they may do.

    Args:
        inner: The backend of the machine; it stays its owner's to close.
        on_change: Called when what somebody may do has changed.
    """

    def __init__(self, inner: LocalBackend, on_change: Callable[[], None] | None = None) -> None:
        self.__dict__.update(vars(inner))  # The same store and the same files, under other rules.
        self._on_change = on_change
        self._writable: dict[tuple[str, str, str], float] = {}

    def call(self, operation: Operation[R], *, key: str = "") -> R:
        """Ask or command as the caller; see ``Backend.call``."""
        answer = carry_out(self.store, operation, key=key, caller=caller_now())
        if type(operation) in CHANGING_ACCESS:
            self._writable.clear()
            if self._on_change is not None:
                self._on_change()
        return answer

    def send(self, batch: Batch) -> Receipt:
        """Ingest journaled facts of the caller; see ``Backend.send``."""
        self.permit_facts(batch.facts, batch.writer)
        return ingest(self.store, batch, caller=caller_now())

    def permit_facts(self, facts: list[Fact], writer: str = "") -> None:
        """Let facts of the caller through, of a writer's journal where there is one.

        Raises:
            ForbiddenError: The caller may not write them.
            NotFoundError: The caller may not view what they are of.
        """
        if self.are_permitted(facts):
            return
        caller = caller_now()
        with self.store.read(settles=False) as connection:
            act_for(connection, caller)
            permit_facts(connection, caller, facts, writer=writer)
        runs = _runs_of(facts)
        if len(self._writable) + len(runs) > MOST_WRITABLE:
            self._writable.clear()
        until = time.monotonic() + FRESH_S
        self._writable.update(
            dict.fromkeys(((caller.name, caller.how, run) for run in runs), until)
        )

    def are_permitted(self, facts: list[Fact], caller: Caller | None = None) -> bool:
        """Tell without a look into the store whether a caller may write facts.

        Who logs to one run asks the store once in a few seconds, and not for every point.
        """
        caller = caller or caller_now()
        if may_write_facts(caller):
            return True
        runs, now = _runs_of(facts), time.monotonic()
        return bool(runs) and all(
            self._writable.get((caller.name, caller.how, run), 0.0) > now for run in runs
        )

    def blob_size(self, sha256: str, *, keep: bool = False) -> int:
        """Tell a blob's length; see ``Backend.blob_size``."""
        self._permit_blob(sha256)
        return super().blob_size(sha256, keep=keep)

    def read_blob(self, sha256: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Stream a blob; see ``Backend.read_blob``."""
        self._permit_blob(sha256)
        return super().read_blob(sha256, start=start, end=end)

    def open_blob(self, sha256: str) -> BinaryIO:
        """Open a blob, checked; see ``Backend.open_blob``."""
        self._permit_blob(sha256)
        return super().open_blob(sha256)

    def _permit_blob(self, sha256: str) -> None:
        caller = caller_now()
        if caller.access is None:
            return
        with self.store.read(settles=False) as connection:
            if not may_read_blob(connection, caller, sha256):
                msg = (
                    f"No blob {sha256[:80]!r} that you may view. Ask for a run's file by its path."
                )
                raise NotFoundError(msg)


def _runs_of(facts: list[Fact]) -> set[str]:
    """Name the runs that facts are of; none where a fact says more than what its run is."""
    runs: set[str] = set()
    for fact in facts:
        if not isinstance(fact, OF_ONE_RUN):
            return set()
        runs.add(fact.run_id)
    return runs


class PermittedCommits(Commits):
    """Commits facts of requests together, once each request's caller may write them."""

    def __init__(self, backend: Backend, threads: Threads) -> None:
        """Write to a backend from one of these threads."""
        super().__init__(backend, threads)
        self._backend = backend
        self._permitting = threads

    def permits(self, facts: list[Fact], caller: Caller) -> bool:
        """Tell without a look into the store whether a caller may write facts."""
        backend = self._backend
        return not isinstance(backend, ServedBackend) or backend.are_permitted(facts, caller)

    async def record(self, facts: list[Fact]) -> None:
        """Take facts, all of them or none; see ``Commits.record``."""
        if isinstance(self._backend, ServedBackend) and not self._backend.are_permitted(facts):
            await self._permitting.run(self._backend.permit_facts, facts)
        await super().record(facts)
