"""A loop as a flow: its steps are tasks, so that each is retried, resumed and shown on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.flows.flow import Flow
from loopline.flows.parameter import Parameter
from loopline.flows.task import task
from loopline.lifecycle.policies import set_policy

if TYPE_CHECKING:
    from loopline.lifecycle.loop import Loop, Turn
    from loopline.lifecycle.scoring import Evaluation
    from loopline.records.decisions import KeptDecision
    from loopline.rules.windows import Span

__all__ = ["build_loop_flow"]


@task
def cut_windows(loop: Loop, until: str | None) -> tuple[Span, Span | None]:
    """Cut what is evaluated on, and what a challenger learns from."""
    set_policy(loop.policy)
    return loop.spans(until)


@task
def evaluate_production(loop: Loop, spans: tuple[Span, Span | None]) -> Evaluation | None:
    """Score the champion on the new rows."""
    return loop.evaluate_production(spans[0])


@task
def train_challenger(
    loop: Loop, spans: tuple[Span, Span | None], found: Evaluation | None
) -> int | None:
    """Train a version on the rows before them, if one is asked for."""
    return loop.train_challenger(*spans) if loop.must_train(found) else None


@task
def promote_if_better(
    loop: Loop, challenger: int | None, spans: tuple[Span, Span | None]
) -> KeptDecision | None:
    """Compare both on the new rows, decide, and carry it out."""
    return None if challenger is None else loop.compare(challenger, spans[0])


@task(log_stdout=True)
def tell(
    loop: Loop,
    spans: tuple[Span, Span | None],
    found: Evaluation | None,
    kept: KeptDecision | None,
) -> Turn:
    """Say what came of it."""
    return loop.tell(spans[0], found, kept)


def build_loop_flow(loop: Loop, name: str, **options: Any) -> Flow:  # noqa: ANN401 - of ``Flow``
    """Make the flow of a loop."""
    with Flow(name, **options) as flow:
        until = Parameter("until", default=None)
        spans = cut_windows(loop, until)
        found = evaluate_production(loop, spans)
        challenger = train_challenger(loop, spans, found)
        kept = promote_if_better(loop, challenger, spans)
        tell(loop, spans, found, kept)
    return flow
