"""Backtest: what a policy would have done over the past, and what it would have cost and saved.

The same loop turns in a home of its own, month by month, as if each had just come; nothing of the
real registry is read or moved. The first champion is scored on every window as well: what would
have been without the loop.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec.structs import replace

from loopline.backend.recorder import recording_to
from loopline.lifecycle.loop import Loop, moment_of
from loopline.records.base import Record
from loopline.records.policies import Approval
from loopline.rules.charts import Mark, Series, line_chart
from loopline.rules.scores import error_of, scored
from loopline.rules.windows import spans_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from loopline.rules.windows import Span

__all__ = ["Backtest", "BacktestLine", "backtest"]


class BacktestLine(Record, frozen=True, kw_only=True):
    """What would have happened in one window.

    Attributes:
        since: Begin of the window.
        until: Its end.
        rows: How many rows came.
        production: Score of the champion that the policy had made; None: there was none yet.
        without: Score of the first champion, had nobody ever changed it.
        challenger: Score of the version that was trained; None: none was.
        status: What became of the decision, such as ``"promoted"``; empty: there was none.
        sentence: Why.
        seconds: What the window took, training included.
    """

    since: str
    until: str
    rows: int
    production: float | None = None
    without: float | None = None
    challenger: float | None = None
    status: str = ""
    sentence: str = ""
    seconds: float = 0.0


class Backtest(Record, frozen=True, kw_only=True):
    """A policy over the past.

    Attributes:
        model: Name of the registered model.
        metric: By which it was decided.
        lines: One a window, in order.
        trained: Versions that were trained.
        promoted: Versions that took the place.
        seconds: What all took.
        saved: Part of the first champion's error that would have been gone, over all rows that
            both scored; NaN: there are none.
    """

    model: str
    metric: str
    lines: list[BacktestLine]
    trained: int
    promoted: int
    seconds: float
    saved: float

    @property
    def sentence(self) -> str:
        """The outcome as a person would say it."""
        cost = f"{self.trained} trainings, {self.promoted} promotions, {self.seconds:.1f} s"
        if math.isnan(self.saved):
            return f"Nothing could be compared yet ({cost})."
        if self.saved >= 0:
            return f"The policy would have taken away {self.saved:.1%} of the error ({cost})."
        return f"The policy would have added {-self.saved:.1%} to the error ({cost})."

    def picture(self) -> str:
        """Draw the scores over time as SVG: with the policy, and without it."""

        def heights(values: Iterator[float | None]) -> list[float]:
            return [math.nan if value is None else value for value in values]

        return line_chart(
            [
                Series(
                    label="with the policy", values=heights(line.production for line in self.lines)
                ),
                Series(
                    label="first version for good",
                    values=heights(line.without for line in self.lines),
                ),
            ],
            title=f"{self.metric} of {self.model}, with its policy and without",
            description=self.sentence,
            x_label="window",
            y_label=self.metric,
            x_names=[line.since[:10] for line in self.lines],
            marks=[
                Mark(x=index, label="promoted")
                for index, line in enumerate(self.lines)
                if line.status == "promoted"
            ],
        )


def backtest(
    loop: Loop,
    since: datetime | str,
    until: datetime | str,
    *,
    on_line: Callable[[BacktestLine], None] = lambda _line: None,
) -> Backtest:
    """Turn a loop over the past.

    Args:
        loop: Its policy, rows and training are what they will be; a person's yes is taken as given.
        since: Begin of the first window that is evaluated on.
        until: The last window ends here or before.
        on_line: Told each window's line as it comes.

    Raises:
        InvalidInputError: There is no whole window in that time.
    """
    spans = spans_between(moment_of(since), moment_of(until), loop.policy.window)
    gates = [gate for gate in loop.policy.gates if not isinstance(gate, Approval)]
    policy = replace(loop.policy, gates=gates)
    loop = Loop(policy, rows=loop.rows, train=loop.train)
    lines: list[BacktestLine] = []
    began = time.monotonic()
    with TemporaryDirectory(prefix="loopline-backtest-") as folder, recording_to(folder):
        first: int | None = None
        for span in spans:
            line, first = _turn(loop, span, first)
            lines.append(line)
            on_line(line)
    return Backtest(
        model=loop.policy.model,
        metric=loop.policy.metric,
        lines=lines,
        trained=sum(line.challenger is not None for line in lines),
        promoted=sum(line.status == "promoted" for line in lines),
        seconds=round(time.monotonic() - began, 1),
        saved=_saved(lines, loop.policy.metric),
    )


def _turn(loop: Loop, span: Span, first: int | None) -> tuple[BacktestLine, int | None]:
    """Go around once; tell also which version was the first champion."""
    began = time.monotonic()
    # What each training says would drown what the backtest does.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        turn = loop.turn(span.until, quietly=True)
    kept = turn.decision
    if first is None and kept is not None and kept.is_promoted:
        first = kept.decision.challenger
    without = None
    if first is not None and turn.production is not None:
        without = _score_of(loop, first, span)
    return (
        BacktestLine(
            since=turn.since,
            until=turn.until,
            rows=turn.rows,
            production=turn.production,
            without=without,
            challenger=None if kept is None else kept.decision.score,
            status="" if kept is None else kept.status.value,
            sentence=turn.sentence,
            seconds=round(time.monotonic() - began, 2),
        ),
        first,
    )


def _score_of(loop: Loop, version: int, span: Span) -> float:
    from loopline.models.pyfunc import load_model

    frame = loop.part(span).to_pandas()
    model = load_model(f"models:/{loop.policy.model}/{version}")
    said = model.predict(loop.features(frame))
    return scored(loop.policy.metric, frame[loop.policy.target], said).score


def _saved(lines: list[BacktestLine], metric: str) -> float:
    """Compare the errors over all rows that both scored, weighed by rows."""
    with_it = without = 0.0
    for line in lines:
        if line.production is None or line.without is None:
            continue
        power = 2 if metric == "rmse" else 1  # Squares add up, their roots do not.
        with_it += line.rows * error_of(metric, line.production) ** power
        without += line.rows * error_of(metric, line.without) ** power
    if not without:
        return math.nan
    ratio = with_it / without
    return 1 - (math.sqrt(ratio) if metric == "rmse" else ratio)
