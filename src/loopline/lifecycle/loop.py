"""The loop of a model: is it still good, would a newer one be better, and then what.

One ``Loop`` is a policy, rows and a function that trains. ``turn`` goes once around it, here;
``build_flow`` makes a flow of it that workers run by schedule or by event, and ``backtest``
goes around it over the past.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.lifecycle.notify import notify, tell
from loopline.lifecycle.policies import set_policy
from loopline.lifecycle.promotion import list_decisions, promote
from loopline.lifecycle.rows import rows_of
from loopline.lifecycle.scoring import compare, evaluate, in_stage
from loopline.records.base import Record
from loopline.records.decisions import DecisionStatus, KeptDecision
from loopline.records.policies import Slices
from loopline.records.registry import ModelVersion
from loopline.registry import list_versions
from loopline.rules.scores import error_of
from loopline.rules.windows import Span, cut

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from loopline.flows.flow import Flow
    from loopline.lifecycle.backtest import Backtest, BacktestLine
    from loopline.lifecycle.rows import Part, Rows
    from loopline.lifecycle.scoring import Evaluation
    from loopline.records.policies import Policy

__all__ = ["Loop", "Turn", "build_flow", "moment_of"]


class Turn(Record, frozen=True, kw_only=True):
    """What came of going around the loop once.

    Attributes:
        since: Begin of what was evaluated on.
        until: Its end.
        rows: How many rows that were.
        production: The champion's score on them; None: there was no champion.
        version: The champion after it; None: there is none.
        decision: What was decided; None: no challenger was trained.
        sentence: What happened, as a person would say it.
    """

    since: str
    until: str
    rows: int
    production: float | None = None
    version: int | None = None
    decision: KeptDecision | None = None
    sentence: str = ""


class Loop:
    """A policy, the rows it is about, and how a challenger is trained.

    Args:
        policy: What decides. It is set in the registry when the loop first turns.
        rows: A feed; a table with ``order_by``; or a function of two moments that gives the rows
            between them, for example from a warehouse.
        train: Takes a frame of rows, trains a model inside the run that is active, logs it with
            ``registered_model_name`` of the policy's model, and need not answer.
        order_by: Of a table: its column with a row's time.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        rows: Any,  # noqa: ANN401 - see ``rows_of``
        train: Callable[[pd.DataFrame], object],
        order_by: str = "",
    ) -> None:
        if not policy.model or not policy.target:
            msg = (
                "A loop needs the model and the column with what came true: "
                'Policy(model="taxifare_model", target="fare_amount", …).'
            )
            raise InvalidInputError(msg)
        self.policy = policy
        self.rows: Rows = rows_of(rows, order_by=order_by)
        self.train = train

    # --- the steps, in their order ---

    def spans(self, until: datetime | str | None = None) -> tuple[Span, Span | None]:
        """Cut what is evaluated on, and what a challenger learns from before that.

        Args:
            until: Rows before this moment are there; None: now, in UTC.
        """
        moment = moment_of(until) if until else datetime.now(UTC).replace(tzinfo=None)
        return cut(moment, self.policy.window, self.policy.train_window)

    def part(self, span: Span) -> Part:
        """Give the rows of a span of time."""
        return self.rows.window(span.since, span.until)

    def evaluate_production(self, span: Span) -> Evaluation | None:
        """Score the champion on rows that are new to it; None: there is none, or no row."""
        frame = self.part(span).to_pandas()
        if not len(frame):
            return None
        return evaluate(
            self.policy.model,
            self.features(frame),
            frame[self.policy.target],
            stage=self.policy.stage,
            metric=self.policy.metric,
        )

    def must_train(self, found: Evaluation | None) -> bool:
        """Tell whether a challenger is asked for: there is none yet, or the champion got worse."""
        by = self.policy.retrain_when_worse_by
        if by is None or found is None:
            return True
        promoted = list_decisions(
            self.policy.model, stage=self.policy.stage, status=DecisionStatus.PROMOTED
        )
        scores = [
            each.decision.score
            for each in promoted
            if each.decision.challenger == found.version and each.decision.score is not None
        ]
        if not scores:
            return True
        metric = self.policy.metric
        return error_of(metric, found.score) > (1 + by) * error_of(metric, scores[0])

    def train_challenger(self, new: Span, learnt: Span | None) -> int | None:
        """Train a version on the rows before a span; None: there are none yet."""
        from loopline.tracking import fluent

        since = learnt.since if learnt is not None else None
        part = self.rows.window(since, new.since)
        frame = part.to_pandas()
        if not len(frame):
            return None
        known = {version.version for version in _versions(self.policy.model)}
        until = new.since.isoformat(sep=" ", timespec="minutes")
        with fluent.start_run(run_name=f"challenger of {self.policy.model}, rows before {until}"):
            fluent.log_input(part.dataset(), context="training")
            made = self.train(frame)
        return self._version_of(made, known)

    def _version_of(self, made: object, known: set[int]) -> int:
        if isinstance(made, ModelVersion):
            return made.version
        if isinstance(made, int) and not isinstance(made, bool):
            return made
        fresh = [v.version for v in _versions(self.policy.model) if v.version not in known]
        if not fresh:
            msg = (
                f"train(rows) registered no version of {self.policy.model!r}. Log the model with "
                f'registered_model_name="{self.policy.model}".'
            )
            raise InvalidInputError(msg)
        return max(fresh)

    def compare(self, challenger: int, span: Span) -> KeptDecision:
        """Score both on the new rows, decide, and keep and carry out the decision."""
        part = self.part(span)
        frame = part.to_pandas()
        slices = {
            gate.by: frame[gate.by]
            for gate in self.policy.gates
            if isinstance(gate, Slices) and gate.by in frame
        }
        decision = compare(
            self.policy.model,
            challenger,
            self.features(frame),
            frame[self.policy.target],
            stage=self.policy.stage,
            policy=self.policy,
            slices=slices or None,
            data=part.dataset(),
        )
        return promote(self.policy.model, decision, stage=self.policy.stage)

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Take the columns that the model takes."""
        if self.policy.features:
            return frame[self.policy.features]
        return frame.drop(columns=[self.policy.target])

    # --- around it ---

    def turn(self, until: datetime | str | None = None, *, quietly: bool = False) -> Turn:
        """Go around once: evaluate, train, compare, promote, tell.

        Args:
            until: Rows before this moment are there; None: now, in UTC.
            quietly: Tell nobody.
        """
        set_policy(self.policy)
        new, learnt = self.spans(until)
        found = self.evaluate_production(new)
        challenger = kept = None
        if self.must_train(found):
            challenger = self.train_challenger(new, learnt)
        if challenger is not None:
            kept = self.compare(challenger, new)
        return self.tell(new, found, kept, quietly=quietly)

    def tell(
        self,
        new: Span,
        found: Evaluation | None,
        kept: KeptDecision | None,
        *,
        quietly: bool = False,
    ) -> Turn:
        """Say what came of it, to whom the policy names unless ``quietly``."""
        champion = in_stage(self.policy.model, self.policy.stage)
        if kept is not None:
            sentence = kept.decision.sentence
        elif found is not None:
            sentence = f"kept v{found.version}: it is as good as it was"
        else:
            sentence = "nothing to train on yet"
        rows = found.rows if found is not None else 0
        if not rows and kept is not None and kept.decision.comparison is not None:
            rows = kept.decision.comparison.rows
        message = f"{self.policy.model}, {new}: {sentence}"
        notify(message, run_id=champion.run_id if champion is not None else "")
        tell([] if quietly else self.policy.notify, message, decision=kept)
        return Turn(
            since=new.since.isoformat(),
            until=new.until.isoformat(),
            rows=rows,
            production=None if found is None else found.score,
            version=None if champion is None else champion.version,
            decision=kept,
            sentence=sentence,
        )

    def backtest(
        self,
        since: datetime | str,
        until: datetime | str,
        *,
        on_line: Callable[[BacktestLine], None] = lambda _line: None,
    ) -> Backtest:
        """Tell what the policy would have done over the past, cost and saved; see ``backtest``.

        Args:
            since: Begin of the first window that is evaluated on, such as ``"2022-01"``.
            until: The last window ends here or before.
            on_line: Told each window's line as it comes.
        """
        from loopline.lifecycle.backtest import backtest

        return backtest(self, since, until, on_line=on_line)

    def build_flow(self, name: str = "", **options: Any) -> Flow:  # noqa: ANN401 - of ``Flow``
        """Make a flow that goes around once: ``flow.run(until="2022-04-01")``.

        Args:
            name: Of the flow; after the model unless given.
            **options: As ``Flow`` has them, such as ``schedule``.
        """
        from loopline.lifecycle.loop_flow import build_loop_flow

        return build_loop_flow(self, name or f"{self.policy.model} loop", **options)


def build_flow(
    policy: Policy,
    *,
    rows: Any,  # noqa: ANN401 - see ``rows_of``
    train: Callable[[pd.DataFrame], object],
    order_by: str = "",
    **options: Any,  # noqa: ANN401 - of ``Flow``
) -> Flow:
    """Make the ready flow of a policy; see ``Loop``.

    Args:
        policy: What decides.
        rows: Where rows come from.
        train: Trains and registers a challenger.
        order_by: Of a table: its column with a row's time.
        **options: As ``Flow`` has them, such as ``schedule``.
    """
    return Loop(policy, rows=rows, train=train, order_by=order_by).build_flow(**options)


def moment_of(given: datetime | str) -> datetime:
    """Read a moment; without a zone, as the rows have it."""
    if isinstance(given, datetime):
        return given
    try:
        return datetime.fromisoformat(given if len(given) != 7 else f"{given}-01")  # noqa: PLR2004
    except ValueError:
        msg = f"No moment {given!r}. Write one as 2022-04, 2022-04-01 or 2022-04-01T12:00."
        raise InvalidInputError(msg) from None


def _versions(name: str) -> list[ModelVersion]:
    from loopline.errors import NotFoundError

    try:
        return list(list_versions(name))
    except NotFoundError:
        return []
