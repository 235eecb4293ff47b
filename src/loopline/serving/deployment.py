"""What is served under one name: the version that answers, a challenger, those on their way out."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import LooplineError
from loopline.models.signature import is_array
from loopline.serving.answers import answer_to, refusal
from loopline.serving.arrow import FILE, STREAM
from loopline.serving.engine import Ask, Engine
from loopline.serving.errors import BadDataError, NotReadyError, OverloadedError
from loopline.serving.ids import leaves_out, take_ids
from loopline.serving.meter import DIFFERENCES

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from loopline.serving.answers import Answer
    from loopline.serving.engine import Limits
    from loopline.serving.meter import Meter
    from loopline.serving.model import ServedModel
    from loopline.serving.recording import Recording

__all__ = ["Challenge", "Deployment", "Question"]

log = logging.getLogger("loopline.serving")

#: Requests that may wait for a challenger that is only asked beside; more are left out.
MOST_SHADOWS = 256

CHAMPION, CHALLENGER, SHADOW = "champion", "challenger", "shadow"


class Question(NamedTuple):
    """A scoring request as it came.

    Attributes:
        body: All of it.
        content_type: Header of that name.
        accept: Header of that name.
        prediction_id: Id that the caller gives it; empty: none.
        ids: That the caller gives its rows; empty: none.
        is_trial: Somebody tries the model by hand; that is no record.
    """

    body: bytes
    content_type: str
    accept: str = ""
    prediction_id: str = ""
    ids: tuple[str, ...] = ()
    is_trial: bool = False


class Challenge(NamedTuple):
    """Another model beside the one that answers.

    Attributes:
        deployment: The challenger, which follows its own address.
        share: Of the requests that it answers; None: it is asked beside for all, and answers none.
    """

    deployment: Deployment
    share: float | None


class Deployment:
    """Answers for one name; everything here happens in the event loop.

    Attributes:
        name: What it is served as.
        address: Where its versions come from.
        engine: The version that answers; None until the first is loaded.
        problem: Why a newer version was not taken; empty when all is well.
        since_ms: Unix time in milliseconds since which that version answers.
        swaps: How often another version has taken over.
        challenge: Another model beside this one.
        recording: What keeps the predictions.
        id_column: Column of the rows that names their predictions; empty: none.
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
        self.since_ms = 0
        self.swaps = 0
        self.challenge: Challenge | None = None
        self.recording: Recording | None = None
        self.id_column = ""
        self._limits = limits
        self._loop = loop
        self._meter = meter
        self._leaving: list[Engine] = []

    def put(self, model: ServedModel) -> None:
        """Have a version answer from now on; what the one before has begun it finishes."""
        before = self.engine
        self.engine = Engine(model, limits=self._limits, loop=self._loop, meter=self._meter)
        self.problem = ""
        self.since_ms = time.time_ns() // 1_000_000
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
        found = [*self._leaving, *([self.engine] if self.engine is not None else [])]
        return found + (self.challenge.deployment.engines if self.challenge else [])

    def ask(self, question: Question, done: Callable[[Answer], None]) -> None:
        """Answer a request; ``done`` is called in the event loop, perhaps before this returns."""
        engine, role = self._choose()
        if engine is None:
            done(refusal(NotReadyError(f"{self.name} is still loading. Ask again in a second.")))
            return
        if self.id_column and not question.is_trial:
            try:
                question = self._named(question)
            except LooplineError as error:
                done(refusal(error))
                return
        request = _Request(self, engine, role, question, done, self._meter)
        request.put()
        challenger = None if self.challenge is None else self.challenge.deployment.engine
        if challenger is None or self.challenge is None or self.challenge.share is not None:
            return
        if challenger.waiting < MOST_SHADOWS:
            _Shadow(self, challenger, question, request, self._meter).put()
        else:
            self._meter.count("loopline_shadows_left_out_total", (("model", self.name),))

    def _named(self, question: Question) -> Question:
        """Take the caller's ids out of a request.

        Raises:
            BadDataError: Its rows have none.
        """
        asked = [engine.model for engine in self.engines]
        out = not all(leaves_out(model) for model in asked)
        ids, body = take_ids(question.body, question.content_type, self.id_column, out=out)
        return question._replace(body=body, ids=ids)

    def _choose(self) -> tuple[Engine | None, str]:
        """Choose who answers."""
        challenge = self.challenge
        if challenge is None or challenge.share is None:
            return self.engine, CHAMPION
        challenger = challenge.deployment.engine
        if challenger is not None and random.random() < challenge.share:  # noqa: S311 - a sample
            return challenger, CHALLENGER
        return self.engine, CHAMPION


class _Request:
    """One request on its way to its answer."""

    __slots__ = (
        "_began", "_deployment", "_done", "_engine", "_labels", "_meter", "_question", "_role",
        "content", "found", "is_kept", "partner", "prediction_id",
    )  # fmt: skip

    def __init__(
        self,
        deployment: Deployment,
        engine: Engine,
        role: str,
        question: Question,
        done: Callable[[Answer], None],
        meter: Meter,
    ) -> None:
        self._began = time.perf_counter()
        self._deployment = deployment
        self._engine = engine
        self._role = role
        self._question = question
        self._done = done
        self._meter = meter
        self._labels = (
            ("model", deployment.name), ("version", engine.model.version), ("role", role),
        )  # fmt: skip
        recording = deployment.recording
        is_sampled = recording is not None and recording.sample()
        self.is_kept = is_sampled and not question.is_trial
        self.prediction_id = question.prediction_id
        if question.ids:
            self.prediction_id = ""  # They are the caller's own, and may be many.
        elif recording is not None and self.is_kept and not self.prediction_id:
            self.prediction_id = recording.new_id()
        self.found: Any = None
        self.partner: _Shadow | None = None

    def put(self) -> None:
        """Have it answered."""
        try:
            self.content = self._engine.model.read(self._question.body, self._question.content_type)
            ids = self._question.ids
            if ids and len(ids) != self.content.size:
                msg = f"There are {len(ids)} ids for {self.content.size} rows. Send one for each."
                raise BadDataError(msg, field=self._deployment.id_column)  # noqa: TRY301
            self._engine.put(Ask(self.content, self._answered))
        except Exception as error:  # noqa: BLE001 - each has an answer
            self._answered(None, error)

    def _answered(self, found: Any, error: Exception | None) -> None:  # noqa: ANN401 - any answer
        model, question = self._engine.model, self._question
        headers = b"x-loopline-model-version: %b\r\n" % (model.version or "0").encode()
        if self.prediction_id:
            headers += b"x-loopline-prediction-id: %b\r\n" % self.prediction_id.encode("latin-1")
        if error is None:
            in_arrow = STREAM in question.accept or (
                question.content_type.startswith((STREAM, FILE)) and "json" not in question.accept
            )
            answer = answer_to(found, in_arrow=in_arrow, headers=headers)
        else:
            answer = refusal(error, headers)
        took_s = time.perf_counter() - self._began
        meter = self._meter
        meter.count("loopline_requests_total", (*self._labels, ("status", str(answer.status))))
        meter.observe("loopline_request_seconds", self._labels, took_s)
        self._done(answer)
        if error is None:
            self.found = found
            recording = self._deployment.recording
            if recording is not None and self.is_kept:
                recording.keep(
                    model, self.content, found,
                    ids=self._question.ids or self.prediction_id, latency_s=took_s, role=self._role,
                )  # fmt: skip
            if self.partner is not None:
                self.partner.compare()


class _Shadow:
    """The same request for a challenger whose answer nobody gets."""

    __slots__ = ("_began", "_content", "_deployment", "_engine", "_found", "_meter", "_question",
                 "_request")  # fmt: skip

    def __init__(
        self,
        deployment: Deployment,
        engine: Engine,
        question: Question,
        request: _Request,
        meter: Meter,
    ) -> None:
        self._began = time.perf_counter()
        self._deployment = deployment
        self._engine = engine
        self._question = question
        self._request = request
        self._meter = meter
        self._found: Any = None
        request.partner = self

    def put(self) -> None:
        """Ask the challenger; whatever comes of it, the request goes on."""
        try:
            self._content = self._engine.model.read(
                self._question.body, self._question.content_type
            )
            self._engine.put(Ask(self._content, self._answered))
        except (LooplineError, OverloadedError) as error:
            self._answered(None, error)

    def _answered(self, found: Any, error: Exception | None) -> None:  # noqa: ANN401 - any answer
        model, request = self._engine.model, self._request
        labels = (
            ("model", self._deployment.name), ("version", model.version), ("role", SHADOW),
        )  # fmt: skip
        status = "200" if error is None else str(getattr(error, "status", 500))
        took_s = time.perf_counter() - self._began
        self._meter.count("loopline_requests_total", (*labels, ("status", status)))
        self._meter.observe("loopline_request_seconds", labels, took_s)
        if error is not None:
            return
        self._found = found
        recording = self._deployment.recording
        if recording is not None and request.is_kept:
            recording.keep(
                model, self._content, found,
                ids=self._question.ids or request.prediction_id, latency_s=took_s, role=SHADOW,
            )  # fmt: skip
        self.compare()

    def compare(self) -> None:
        """Once both have answered: how far apart are they, row by row?"""
        ours, theirs = self._request.found, self._found
        if ours is None or theirs is None:
            return
        labels = (("model", self._deployment.name), ("version", self._engine.model.version))
        if not (is_array(ours) and is_array(theirs) and ours.shape == theirs.shape):
            return
        if ours.dtype.kind in "fiu" and theirs.dtype.kind in "fiu":
            for difference in abs(ours - theirs).ravel().tolist():
                self._meter.observe("loopline_shadow_difference", labels, difference, DIFFERENCES)
        else:
            same = (ours == theirs).ravel().tolist()
            self._meter.count("loopline_shadow_same_total", labels, sum(same))
            self._meter.count("loopline_shadow_other_total", labels, len(same) - sum(same))
