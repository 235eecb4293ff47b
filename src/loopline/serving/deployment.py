"""What is served under one name: the version that answers, and those on their way out."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from loopline.serving.answers import answer_to, refusal
from loopline.serving.arrow import FILE, STREAM
from loopline.serving.engine import Ask, Engine
from loopline.serving.errors import NotReadyError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from loopline.serving.answers import Answer
    from loopline.serving.engine import Limits
    from loopline.serving.meter import Meter
    from loopline.serving.model import ServedModel

__all__ = ["Deployment"]

log = logging.getLogger("loopline.serving")


class Deployment:
    """Answers for one name; everything here happens in the event loop.

    Attributes:
        name: What it is served as.
        address: Where its versions come from.
        engine: The version that answers; None until the first is loaded.
        problem: Why a newer version was not taken; empty when all is well.
        swaps: How often another version has taken over.
    """

    def __init__(
        self,
        name: str,
        address: str,
        *,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        meter: Meter,
    ) -> None:
        self.name = name
        self.address = address
        self.engine: Engine | None = None
        self.problem = ""
        self.swaps = 0
        self._limits = limits
        self._loop = loop
        self._meter = meter
        self._leaving: list[Engine] = []
        self._headers = b""

    def put(self, model: ServedModel) -> None:
        """Have a version answer from now on; what the one before has begun it finishes."""
        before = self.engine
        self.engine = Engine(model, limits=self._limits, loop=self._loop, meter=self._meter)
        self.problem = ""
        self._headers = b"x-loopline-model-version: %b\r\n" % (model.version or "0").encode()
        if before is not None:
            self.swaps += 1
            self._leaving.append(before)
            before.close(lambda: self._leaving.remove(before))
            log.info("%s now answers, in the place of %s", model, before.model)

    def fail(self, problem: str) -> None:
        """Remember why a newer version was not taken."""
        if problem != self.problem:
            log.error("%s: %s", self.name, problem)
            self._meter.count("loopline_swap_failures_total", (("model", self.name),))
        self.problem = problem

    def recover(self) -> None:
        """Forget a problem: the version that answers is the one that should."""
        self.problem = ""

    @property
    def engines(self) -> list[Engine]:
        """All versions that have something to do."""
        return [*self._leaving, *([self.engine] if self.engine is not None else [])]

    def ask(
        self, body: bytes, content_type: str, accept: str, done: Callable[[Answer], None]
    ) -> None:
        """Answer a request; ``done`` is called in the event loop, perhaps before this returns."""
        engine = self.engine
        if engine is None:
            done(refusal(NotReadyError(f"{self.name} is still loading. Ask again in a second.")))
            return
        headers, began = self._headers, time.perf_counter()
        labels = (("model", self.name), ("version", engine.model.version))
        in_arrow = STREAM in accept or (
            content_type.startswith((STREAM, FILE)) and "json" not in accept
        )

        def answered(found: Any, error: Exception | None) -> None:  # noqa: ANN401 - any answer
            answer = (
                answer_to(found, in_arrow=in_arrow, headers=headers)
                if error is None
                else refusal(error, headers)
            )
            meter = self._meter
            meter.count("loopline_requests_total", (*labels, ("status", str(answer.status))))
            meter.observe("loopline_request_seconds", labels, time.perf_counter() - began)
            done(answer)

        try:
            content = engine.model.read(body, content_type)
            engine.put(Ask(content, answered))
        except Exception as error:  # noqa: BLE001 - each has an answer
            answered(None, error)
