"""Micro-batching: a model has one thread, and is asked for all that wait, as soon as it is free.

An idle model is asked at once. While it is busy, requests gather, and go together next; so batches
grow with the load and nobody waits for them. Where many ask at a time, a free model waits a moment
for those who are just reading its last answer: at most the window, and only for as many as came
together last.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.serving.errors import OverloadedError, PredictError, TooSlowError
from loopline.serving.meter import ROWS
from loopline.serving.model import SplitError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from loopline.serving.meter import Meter
    from loopline.serving.model import Content, ServedModel

__all__ = ["Ask", "Engine", "Limits"]

log = logging.getLogger("loopline.serving")


class Limits(NamedTuple):
    """How much a model takes at once, and for how long.

    Attributes:
        batch_rows: Rows of one ``predict``, at most, unless one request has more.
        window_s: Seconds that a free model waits for others, where many ask at a time.
        timeout_s: Seconds until a request is told that it takes too long.
        waiting: Requests that may wait for the model.
    """

    batch_rows: int = 256
    window_s: float = 0.002
    timeout_s: float = 60.0
    waiting: int = 1024


class Ask:
    """One request on its way through the model.

    Attributes:
        content: What is asked.
        done: Called in the event loop, once, with what the model gave or an error.
        began: When it came, by ``time.perf_counter``.
    """

    __slots__ = ("began", "content", "done", "is_over")

    def __init__(self, content: Content, done: Callable[[Any, Exception | None], None]) -> None:
        self.content = content
        self.done = done
        self.began = time.perf_counter()
        self.is_over = False

    def end(self, found: Any, error: Exception | None = None) -> None:  # noqa: ANN401 - any answer
        """Answer it, unless that was done."""
        if self.is_over:
            return
        self.is_over = True
        try:
            self.done(found, error)
        except Exception:  # What goes wrong with one must not befall those of the same batch.
            log.exception("An answer could not be given")


class Engine:
    """Asks one version of a model; all but the model's own thread is in the event loop."""

    def __init__(
        self,
        model: ServedModel,
        *,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        meter: Meter,
    ) -> None:
        self.model = model
        self._limits = limits
        self._loop = loop
        self._meter = meter
        self._labels = (("model", model.name), ("version", model.version))
        self._waiting: deque[Ask] = deque()
        self._in_hand: list[Ask] = []
        self._expected = 1.0
        self._timer: asyncio.TimerHandle | None = None
        self._per_request_s = 0.001
        self._closing: Callable[[], None] | None = None
        self._batches: SimpleQueue[list[Ask] | None] = SimpleQueue()
        threading.Thread(
            target=self._work, name=f"loopline-model-{model.version or model.name}", daemon=True
        ).start()

    @property
    def waiting(self) -> int:
        """Requests that have no answer yet."""
        return len(self._waiting) + len(self._in_hand)

    def put(self, ask: Ask) -> None:
        """Have a request answered.

        Raises:
            OverloadedError: Too many wait already.
        """
        waiting = len(self._waiting)
        if waiting >= self._limits.waiting:
            raise OverloadedError(waiting, max(1, round(waiting * self._per_request_s)))
        self._waiting.append(ask)
        if self._in_hand:
            return
        if waiting + 1 >= self._expected or not self._limits.window_s:
            self._start()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._limits.window_s, self._start)

    def check(self, now: float) -> None:
        """Tell those who have waited too long."""
        before = now - self._limits.timeout_s
        late = [ask for ask in self._in_hand if ask.began < before]
        while self._waiting and self._waiting[0].began < before:
            late.append(self._waiting.popleft())
        for ask in late:
            ask.end(None, TooSlowError(self._limits.timeout_s))

    def close(self, then: Callable[[], None]) -> None:
        """Answer those who are there, end the thread, and call ``then``."""
        self._closing = then
        if not self._in_hand and not self._waiting:
            self._end()

    def _end(self) -> None:
        then, self._closing = self._closing, None
        self._batches.put(None)
        if then is not None:
            then()

    def _start(self) -> None:
        """Give the model what goes together."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, model = self._waiting, self.model
        if self._in_hand or not waiting:
            return
        first = waiting.popleft()
        batch, rows = [first], first.content.size
        while waiting:
            following = waiting[0].content
            rows += following.size
            if rows > self._limits.batch_rows or not model.can_join(first.content, following):
                break
            batch.append(waiting.popleft())
        self._in_hand = batch
        self._batches.put(batch)

    def _finished(self, batch: list[Ask], found: list[Any], took_s: float) -> None:
        """Give the model the next batch, then answer this one."""
        size = len(batch)
        self._expected = size if size > self._expected else (self._expected + size) / 2
        self._per_request_s += 0.1 * (took_s / size - self._per_request_s)
        self._in_hand = []
        if self._waiting and (
            len(self._waiting) >= self._expected - 0.5 or not self._limits.window_s
        ):
            self._start()
        elif self._waiting and self._timer is None:
            self._timer = self._loop.call_later(self._limits.window_s, self._start)
        self._meter.observe("loopline_predict_seconds", self._labels, took_s)
        self._meter.observe(
            "loopline_batch_rows", self._labels, sum(ask.content.size for ask in batch), ROWS
        )
        for ask, part in zip(batch, found, strict=True):
            if isinstance(part, PredictError):
                ask.end(None, part)
            else:
                ask.end(part)
        if self._closing is not None and not self._in_hand and not self._waiting:
            self._end()

    def _work(self) -> None:
        """Ask the model for a batch after the other: all that its own thread does."""
        while (batch := self._batches.get()) is not None:
            began = time.perf_counter()
            found = self._ask([ask.content for ask in batch])
            took_s = time.perf_counter() - began
            try:
                self._loop.call_soon_threadsafe(self._finished, batch, found, took_s)
            except RuntimeError:  # The loop has ended: nobody waits any more.
                return

    def _ask(self, contents: list[Content]) -> list[Any]:
        try:
            return self.model.predict(contents)
        except SplitError:
            self.model.can_batch = False
        except PredictError as error:
            if len(contents) == 1:
                return [error]
        # What one of them does to the model must not befall the others.
        return [self._ask([content])[0] for content in contents]
