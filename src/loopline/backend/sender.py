"""The sender: one journal of this process, and the two threads that look after it.

One thread brings the journal's records to the store and goes on trying while that is away. The
other gives signs of life and adopts what dead processes left; it is a thread of its own, so that
neither a large upload nor an orphan's hanging server makes a living process look dead.
"""

from __future__ import annotations

import threading
import time
import warnings
from typing import TYPE_CHECKING

from loopline.backend.young import Young
from loopline.errors import BackendUnavailableError, LooplineError, StorageFullError
from loopline.journal.drain import StreamDrain
from loopline.journal.journal import STREAMS, Journal
from loopline.settings import number

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopline.backend.protocol import Backend
    from loopline.journal.drain import Sink
    from loopline.settings import Address

__all__ = ["Sender"]

#: Seconds between two looks for something to send.
POLL_S = 0.1
#: Seconds between two signs of life; well below the 25 after which a writer counts as lost.
HEARTBEAT_S = 10.0
#: Longest wait between two tries while the store is away.
MAX_BACKOFF_S = 15.0
#: The same while its disk is full.
FULL_BACKOFF_S = 1.0
#: A flush gives up on a store that has failed this long, and not only after its whole time-out.
PATIENCE_S = 2.0
#: Reasons of refusals that are told; what is wrong a thousand times is wrong once.
MOST_TOLD = 20
#: At the end of the process, a store that has taken nothing for so long is asked whether it is
#: there at all, and has so long to say it.
SILENCE_S, SIGN_OF_LIFE_S = 10.0, 5.0


class Sender:
    """Empties a journal into a backend.

    Attributes:
        journal: The journal it empties.
        working: Held by the threads while they work, so that a fork can wait for them.
    """

    def __init__(
        self,
        home: Path,
        address: Address,
        open_backend: Callable[[], Backend],
        *,
        opened: Callable[[], Backend | None],
    ) -> None:
        """Make a journal in a home for facts meant for an address, and start the threads.

        Args:
            home: Where the journal lies.
            address: Where the facts go.
            open_backend: Gives the backend there, opening it at need.
            opened: Gives it if it is open.
        """
        self.journal = Journal(home / "journal", address.text)
        self.working = (threading.Lock(), threading.Lock())
        self._home = home
        self._address = address
        self._open_backend = open_backend
        is_home = address.kind == "home"
        self._young = Young(home, opened, open_backend) if is_home else None
        self._drains = {
            name: StreamDrain(self.journal.folder, name, self.journal.meta) for name in STREAMS
        }
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._progress = threading.Condition()
        self._problem: Exception | None = None
        self._warned = False
        self._told: set[str] = set()
        #: How far the journal holds nothing that hurries, and until when that may wait.
        self._unhurried: tuple[dict[str, int], float] = ({}, 0.0)
        self._held_until = 0.0
        self._thread = threading.Thread(target=self._send, name="loopline-drain", daemon=True)
        self._keeper = threading.Thread(target=self._keep, name="loopline-keeper", daemon=True)
        self._thread.start()
        self._keeper.start()

    # --- waiting ---

    def flush(self, timeout_s: float) -> None:
        """Wait until everything journaled so far is in the store.

        Raises:
            BackendUnavailableError: It did not get there in time; it is kept and tried on.
        """
        goals = self._tails()
        began = time.monotonic()
        with self._progress:
            while not self._reached(goals):
                self._unhurried = ({}, 0.0)
                self._held_until = 0.0
                waited = time.monotonic() - began
                is_hopeless = self._problem is not None and waited > PATIENCE_S
                if waited >= timeout_s or is_hopeless or not self._thread.is_alive():
                    raise self._not_flushed()
                self._wake.set()
                self._progress.wait(min(timeout_s - waited, 0.5))

    def is_unhurried(self) -> bool:
        """Whether nothing waits to be sent but what was let wait."""
        tails = self._tails()
        return tails == self._unhurried[0] or self._reached(tails)

    def let_wait(self, most_s: float) -> None:
        """Let what is journaled wait for more, so that one transaction takes it all.

        Anything recorded after it, and ``flush``, sends it at once.
        """
        until = time.monotonic() + most_s
        before, deadline = self._unhurried
        # What waits already waits no longer for having company.
        is_waiting = bool(before) and not self._reached(before)
        self._unhurried = (self._tails(), min(deadline, until) if is_waiting else until)

    def hold(self, most_s: float) -> None:
        """Send nothing for ``most_s`` seconds, but for ``flush``; 0 ends that."""
        self._held_until = time.monotonic() + most_s

    def _tails(self) -> dict[str, int]:
        return {"facts": self.journal.facts.tail, "logs": self.journal.logs.tail}

    def _reached(self, goals: dict[str, int]) -> bool:
        return all(self._drains[name].reached(goal) for name, goal in goals.items())

    def _not_flushed(self) -> LooplineError:
        if isinstance(self._problem, LooplineError):
            return self._problem
        return BackendUnavailableError(
            f"What was recorded has not all reached {self._address} yet. It is safe in "
            f"{self.journal.folder} and will be sent when the store answers."
        )

    # --- the threads ---

    def _send(self) -> None:
        backoff_s = 0.0
        while not self._stop.is_set():
            self._wake.wait(backoff_s or POLL_S)
            self._wake.clear()
            try:
                with self.working[0]:
                    self._send_all()
            except Exception as error:  # noqa: BLE001 - training goes on whatever the store does
                # Trying a disk that was full costs little, and tells when there is room again.
                most_s = FULL_BACKOFF_S if isinstance(error, StorageFullError) else MAX_BACKOFF_S
                backoff_s = min(max(0.5, backoff_s * 2), most_s)
                self._tell(error)
            else:
                backoff_s = 0.0
                self._problem = None
            with self._progress:
                self._progress.notify_all()

    def _send_all(self) -> None:
        if not self._is_urged():
            return
        # Both streams get their turn, however much the first has to send.
        while sum(drain.send_some(self._sink()) for drain in self._drains.values()):
            self._tell_refused()
            with self._progress:
                self._progress.notify_all()
            if self._stop.is_set() or not self._is_urged():
                return

    def _sink(self) -> Sink:
        if self._young is not None and self._young.lasts:
            return self._young
        return self._open_backend()

    def _is_urged(self) -> bool:
        """Whether there is something to send that may not wait."""
        if time.monotonic() < self._held_until:
            return False
        tails = self._tails()
        unhurried, until = self._unhurried
        return not self._reached(tails) and (tails != unhurried or time.monotonic() >= until)

    def _keep(self) -> None:
        """Give signs of life and adopt orphans; a short script imports nothing for that."""
        beat_at = adopt_at = time.monotonic()
        while not self._stop.wait(POLL_S):
            now = time.monotonic()
            # Not before the store has met this writer: a short script is done by then.
            if now < min(beat_at, adopt_at) or not self._is_known() or self._is_young():
                continue
            try:
                with self.working[1]:
                    backend = self._open_backend()
                    if now >= beat_at:
                        from loopline.records.operations import Heartbeat

                        beat_at = now + HEARTBEAT_S
                        meta = self.journal.meta
                        beat = Heartbeat(writer=meta.writer, host=meta.host, pid=meta.pid)
                        backend.call(beat)
                if now >= adopt_at:
                    from loopline.backend.adopt import adopt_orphans

                    adopt_at = now + number("LOOPLINE_ADOPT_EVERY_S", 10.0)
                    adopt_orphans(self._home, self._address, backend)
            except Exception:  # noqa: BLE001, S112 - the sending thread tells of a store that is away
                continue

    def _is_young(self) -> bool:
        return self._young is not None and self._young.lasts

    def _is_known(self) -> bool:
        return any(drain.acknowledged for drain in self._drains.values())

    def _tell(self, error: Exception) -> None:
        """Keep the error for ``flush`` and warn once, not once a try."""
        self._problem = error
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"Loopline cannot record to {self._address} now: {error} Work goes on; what is "
                f"logged is kept in {self.journal.folder} and sent later.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _tell_refused(self) -> None:
        """Warn of what the store will never take: once for each reason."""
        for drain in self._drains.values():
            for reason in drain.reasons:
                if reason not in self._told and len(self._told) < MOST_TOLD:
                    self._told.add(reason)
                    warnings.warn(
                        f"Something that was logged is refused: {reason} "
                        "`loopline runs show RUN_ID` lists what a run lacks.",
                        RuntimeWarning,
                        stacklevel=2,
                    )
            drain.reasons = []

    # --- the end ---

    def close(self, timeout_s: float) -> None:
        """Take nothing more, send what is left as far as the store takes it, and let go.

        What cannot be sent stays in the journal's folder.
        """
        self.journal.facts.close()
        self.journal.logs.close()
        if self._young is not None:
            self._young.ends()
        try:
            self._flush_at_the_end(timeout_s)
        except LooplineError as error:
            warnings.warn(
                f"Not everything recorded has reached {self._address} ({error}) It is kept in "
                f"{self.journal.folder}; `loopline sync` sends it.",
                RuntimeWarning,
                stacklevel=3,
            )
        self._stop.set()
        self._wake.set()
        for thread in (self._thread, self._keeper):
            thread.join(timeout=5.0)
        is_sent = self._reached(self._tails()) and not self._thread.is_alive()
        if is_sent and self._is_known():
            self._say_goodbye()
        if self._young is not None and not self._thread.is_alive():
            self._young.close()
        self.journal.close(remove=is_sent)

    def _flush_at_the_end(self, timeout_s: float) -> None:
        """Wait for a store that has much to take, and not for one that hangs."""
        began = time.monotonic()
        while True:
            left_s = timeout_s - (time.monotonic() - began)
            before = [drain.acknowledged for drain in self._drains.values()]
            try:
                self.flush(min(left_s, SILENCE_S))
            except LooplineError:
                is_silent = before == [drain.acknowledged for drain in self._drains.values()]
                if left_s <= SILENCE_S or self._problem is not None:
                    raise
                if is_silent and not self._open_backend().answers(SIGN_OF_LIFE_S):
                    raise
            else:
                return

    def _say_goodbye(self) -> None:
        """Tell the store that this writer is gone; a run that only it held open is over."""
        reason = "its process ended without ending the run"
        writer = self.journal.meta.writer
        if self._young is not None and self._young.say_goodbye(writer, reason):
            return
        from loopline.records.operations import CloseLostRuns

        try:
            self._open_backend().call(CloseLostRuns(writer=writer, reason=reason))
        except LooplineError:
            return  # The server's janitor finds out by the silence.

    def abandon(self) -> None:
        """Let go in a forked child, without touching what is the parent's."""
        self.journal.abandon()
        if self._young is not None:
            self._young.abandon()
