"""Gates: whether a challenger takes the champion's place, and the sentence that says why.

The two models are scored on the same rows, which neither has seen. Every gate is asked, so that the
record tells all that speaks for and against; the first that refuses gives the sentence.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from loopline.errors import InvalidInputError
from loopline.records.decisions import Check, Comparison, Decision, DecisionStatus, SliceCheck
from loopline.records.policies import Approval, Bound, Gain, Latency, Size, Slices
from loopline.rules.paired import Gained, check_gain, gain_of, gained
from loopline.rules.scores import error_of, metric_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from loopline.records.policies import Gate
    from loopline.rules.scores import Scored

__all__ = ["Evidence", "ask_people", "check_gates", "decide", "decide_nothing", "say"]

#: Parts of the rows that one column may make.
MOST_SLICES = 1_000
MB = 1_000_000


class Evidence(NamedTuple):
    """What is known of champion and challenger.

    Attributes:
        challenger: Scored on n rows.
        champion: Scored on the same rows; None: there is none.
        slices: Values of the columns that make parts of the rows, each of shape (n,), as text.
        latency_ms: The challenger's time for one row.
        size_bytes: Of the challenger's files.
    """

    challenger: Scored
    champion: Scored | None = None
    slices: Mapping[str, NDArray[np.generic]] = {}
    latency_ms: float | None = None
    size_bytes: int | None = None


class _Refusal(NamedTuple):
    """Which gate refused first, and how that is said of the two versions."""

    rule: str
    words: str


def check_gates(gates: Sequence[Gate], metric: str) -> None:
    """Refuse gates that cannot be.

    Raises:
        InvalidInputError: With what would be right.
    """
    metric_named(metric)
    for gate in gates:
        if isinstance(gate, Gain):
            check_gain(gate, metric)
        elif isinstance(gate, Bound) and gate.at_most is None and gate.at_least is None:
            msg = "A bound needs at_most or at_least, such as Bound(at_most=5.0)."
            raise InvalidInputError(msg)
        elif isinstance(gate, Slices):
            if not 0 <= gate.at_most_worse < math.inf or not 0 < gate.confidence < 1:
                msg = (
                    "A gate for slices needs at_most_worse of 0 or more (0.05 is 5 %) and a "
                    "confidence between 0 and 1."
                )
                raise InvalidInputError(msg)
            if not gate.by:
                msg = 'A gate for slices needs the column: Slices(by="borough").'
                raise InvalidInputError(msg)
        elif isinstance(gate, Latency | Size):
            limit = gate.at_most_ms if isinstance(gate, Latency) else gate.at_most_mb
            if not limit > 0:
                msg = f"A limit is more than 0, not {limit:g}."
                raise InvalidInputError(msg)


def decide(
    gates: Sequence[Gate], evidence: Evidence, *, champion: int | None, challenger: int
) -> Decision:
    """Decide by gates.

    Args:
        gates: All must let the challenger through. Those that compare it with a champion do so
            when there is none.
        evidence: What they look at.
        champion: Version of the champion; None: there is none.
        challenger: Version of the challenger.

    Raises:
        InvalidInputError: A gate cannot be, or what it needs was not measured.
    """
    metric = evidence.challenger.metric
    check_gates(gates, metric)
    score = evidence.challenger.score
    if not math.isfinite(score) and evidence.champion is None:
        return decide_nothing(challenger, f"v{challenger} predicts what is not a number")
    comparison = None
    if evidence.champion is not None:
        wanted = next((gate for gate in gates if isinstance(gate, Gain)), Gain())
        comparison = _compare(evidence.champion, evidence.challenger, wanted)
    checks, refusals = [], []
    for gate in gates:
        if isinstance(gate, Approval):
            continue
        found = _ask(gate, evidence, comparison, champion, challenger)
        if found is None:
            continue
        check, refusal = found
        checks.append(check)
        if refusal is not None:
            refusals.append(refusal)
    decision = Decision(
        promote=not refusals,
        rule=refusals[0].rule if refusals else ("first" if comparison is None else "better"),
        sentence="",
        champion=champion,
        challenger=challenger,
        metric=metric,
        score=score,
        comparison=comparison,
        checks=checks,
    )
    if refusals:
        return replace(decision, sentence=_say_no(refusals[0], comparison, champion, challenger))
    asked = [gate for gate in gates if isinstance(gate, Approval)]
    if asked:
        return ask_people(decision, sorted({name for gate in asked for name in gate.by}))
    return replace(decision, sentence=say(decision, DecisionStatus.PROMOTED))


def ask_people(decision: Decision, approvers: list[str]) -> Decision:
    """Let a decision wait for one of these people's yes; of nobody's: for anybody's."""
    asks = replace(decision, needs_approval=True, approvers=approvers)
    return replace(asks, sentence=say(asks, DecisionStatus.WAITING))


def say(decision: Decision, status: DecisionStatus, *, who: str = "") -> str:
    """Say what became of a decision to promote, as a person would.

    Args:
        decision: One that promotes; of any other the sentence is what it was.
        status: What became of it.
        who: The person who answered, if one did.
    """
    if not decision.promote or decision.rule not in {"first", "better"}:
        return decision.sentence
    new, old = f"v{decision.challenger}", f"v{decision.champion}"
    place = "be the first" if decision.champion is None else f"take {old}'s place"
    how = _how(decision.comparison)
    over = new if decision.champion is None else f"{new} over {old}"
    match status:
        case DecisionStatus.WAITING:
            return f"{new} may {place}, {how}: it waits for a person to say yes"
        case DecisionStatus.OVERTAKEN:
            return f"{new} did not {place}, {how}: another version came before it"
        case DecisionStatus.DRY_RUN:
            return f"would have promoted {over}: {how}"
        case DecisionStatus.REFUSED:
            return f"{_stays(decision.champion)}: {who or 'somebody'} said no to {new}, {how}"
        case _:
            return f"promoted {over}: {how}" + (f"; {who} said yes" if who else "")


def decide_nothing(
    challenger: int, reason: str, *, champion: int | None = None, rule: str = "no score"
) -> Decision:
    """Decide when there is nothing to compare on: everything stays as it is.

    Args:
        challenger: Its version.
        reason: Why, such as ``"no rows that neither has seen"``.
        champion: Version of the champion, or None when there is none.
        rule: In one word.
    """
    return Decision(
        promote=False,
        rule=rule,
        sentence=f"{_stays(champion)}: {reason}",
        champion=champion,
        challenger=challenger,
    )


# --- the gates --------------------------------------------------------------------------------


def _ask(
    gate: Gate,
    evidence: Evidence,
    comparison: Comparison | None,
    champion: int | None,
    challenger: int,
) -> tuple[Check, _Refusal | None] | None:
    """Ask one gate; None: it has nothing to say."""
    match gate:
        case Gain():
            if comparison is None or champion is None:
                return None
            refusal = _refuse_gain(gate, comparison, champion, challenger)
            words = refusal.words if refusal else f"better by {_percent(comparison.gain)}"
            check = Check(
                gate="gain", passed=refusal is None, sentence=words,
                measured=comparison.gain, limit=gate.at_least,
            )  # fmt: skip
            return check, refusal
        case Slices():
            return None if evidence.champion is None else _slices(gate, evidence, challenger)
        case Bound():
            return _bound(gate, evidence, challenger)
        case Latency():
            return _limit(
                "latency", evidence.latency_ms, gate.at_most_ms, "ms a row", f"v{challenger} takes"
            )
        case Size():
            size = evidence.size_bytes
            return _limit(
                "size", None if size is None else size / MB, gate.at_most_mb, "MB",
                f"v{challenger} takes",
            )  # fmt: skip
        case Approval():
            return None


def _compare(champion: Scored, challenger: Scored, gate: Gain) -> Comparison:
    found: Gained = gained(champion, challenger, gate)
    return Comparison(
        metric=champion.metric,
        rows=len(champion.losses),
        champion=champion.score,
        challenger=challenger.score,
        gain=found.gain,
        low=found.low,
        high=found.high,
        p=found.p,
        confidence=gate.confidence,
    )


def _refuse_gain(
    gate: Gain, comparison: Comparison, champion: int, challenger: int
) -> _Refusal | None:
    old, new, gain = f"v{champion}", f"v{challenger}", comparison.gain
    by = _percent(gain)
    if math.isnan(gain):
        culprit = new if not math.isfinite(comparison.challenger) else old
        words = f"{culprit} predicts what is not a number"
        if culprit == old:
            words += f", so {new} cannot be compared with it; move it by hand if it is good"
        return _Refusal("no score", words)
    if comparison.rows < gate.min_rows:
        words = f"too few rows to compare {new} on ({comparison.rows}, of the {gate.min_rows} "
        return _Refusal("too few", words + "asked for)")
    if gain <= 0:
        words = f"{new} is worse by {by}"
        if by == _percent(0):
            words = f"{new} is no better"
        elif math.isinf(gain):
            words = "it makes no error at all on these rows"
        return _Refusal("not better", words)
    if comparison.low <= 0:
        words = (
            f"{new} is better by {by}, within noise (p = {comparison.p:.2g}, {_span(comparison)})"
        )
        return _Refusal("unsure", words)
    if gain < gate.at_least:
        words = f"{new} is better by {by}, below the {gate.at_least * 100:.3g} % asked for"
        return _Refusal("too little", words)
    return None


def _bound(gate: Bound, evidence: Evidence, challenger: int) -> tuple[Check, _Refusal | None]:
    score, metric = evidence.challenger.score, evidence.challenger.metric
    above = gate.at_most is not None and not score <= gate.at_most
    below = gate.at_least is not None and not score >= gate.at_least
    limit = gate.at_most if above or gate.at_least is None else gate.at_least
    assert limit is not None  # noqa: S101 - checked with the gates
    sentence = f"{metric} of v{challenger} is {score:.4g}"
    if above or below:
        sentence += f", {'above' if above else 'below'} the {limit:.4g} asked for"
    check = Check(
        gate="bound", passed=not (above or below), sentence=sentence, measured=score, limit=limit
    )
    return check, _Refusal("bound", sentence) if above or below else None


def _limit(
    rule: str, measured: float | None, limit: float, unit: str, who: str
) -> tuple[Check, _Refusal | None]:
    if measured is None:
        msg = f"The gate for {rule} needs its number, and nobody measured it."
        raise InvalidInputError(msg)
    sentence = f"{who} {measured:.3g} {unit}"
    passed = measured <= limit
    if not passed:
        sentence += f", above the {limit:.3g} {unit} allowed"
    check = Check(gate=rule, passed=passed, sentence=sentence, measured=measured, limit=limit)
    return check, None if passed else _Refusal(rule, sentence)


def _slices(gate: Slices, evidence: Evidence, challenger: int) -> tuple[Check, _Refusal | None]:
    """Look for parts on which the challenger is surely worse.

    The more parts there are, the likelier one of them looks bad by luck: Holm's step-down (1979)
    keeps the chance that any is named wrongly below ``1 - confidence``.
    """
    import numpy as np

    assert evidence.champion is not None  # noqa: S101 - asked only with one
    if gate.by not in evidence.slices:
        msg = f"The gate looks at slices by {gate.by!r}, and the rows have no such column."
        raise InvalidInputError(msg)
    column = evidence.slices[gate.by]
    values, place = np.unique(column, return_inverse=True)
    if len(values) > MOST_SLICES:
        msg = (
            f"{gate.by} makes {len(values):,} slices; at most {MOST_SLICES:,} can be judged. Give "
            "a column with fewer values, such as one of ranges."
        )
        raise InvalidInputError(msg)
    # So many resamples that the smallest chance they can show is small enough for Holm.
    resamples = max(1000, math.ceil(2 * len(values) / (1 - gate.confidence)))
    found: list[tuple[float, SliceCheck]] = []
    for index, value in enumerate(values):
        which = place.reshape(column.shape) == index
        old, new = evidence.champion.part(which), evidence.challenger.part(which)
        rows = int(np.count_nonzero(which))
        is_judged = rows >= gate.min_rows
        gain = gain_of(error_of(old.metric, old.score), error_of(new.metric, new.score))
        p_worse = 1.0  # No resamples are drawn to learn how surely it is worse when it is not.
        if is_judged and not gain >= -gate.at_most_worse:
            wanted = Gain(confidence=gate.confidence, resamples=resamples)
            p_worse = gained(old, new, wanted, allowed=gate.at_most_worse).p_worse
        check = SliceCheck(
            value=str(value), rows=rows, champion=old.score, challenger=new.score,
            gain=gain, is_judged=is_judged,
        )  # fmt: skip
        found.append((p_worse if is_judged else math.nan, check))
    judged = sorted((p, index) for index, (p, _) in enumerate(found) if not math.isnan(p))
    worse: set[int] = set()
    for rank, (p, index) in enumerate(judged):
        if p > (1 - gate.confidence) / (len(judged) - rank):
            break
        if found[index][1].gain < -gate.at_most_worse:
            worse.add(index)
    checks = [replace(each, is_worse=n in worse) for n, (_, each) in enumerate(found)]
    checks.sort(key=lambda check: (not check.is_worse, check.gain))
    sentence = f"no worse on any of {len(judged)} slices by {gate.by}"
    if not worse:
        return Check(gate="slices", passed=True, sentence=sentence, slices=checks), None
    first = checks[0]
    sentence = f"v{challenger} is worse by {_percent(first.gain)} where {gate.by} is {first.value}"
    if len(worse) > 1:
        others = len(worse) - 1
        sentence += f", and on {others} other slice{'' if others == 1 else 's'}"
    refused = Check(gate="slices", passed=False, sentence=sentence, slices=checks)
    return refused, _Refusal("slices", sentence)


# --- the words ----------------------------------------------------------------------------------


def _say_no(
    first: _Refusal, comparison: Comparison | None, champion: int | None, challenger: int
) -> str:
    words = first.words
    if comparison is not None and first.rule not in _OF_GAIN and comparison.gain > 0:
        words = words.removeprefix(f"v{challenger} is ").removeprefix(f"v{challenger} ")
        words = f"v{challenger} is better by {_percent(comparison.gain)}, but {words}"
    return f"{_stays(champion)}: {words}"


def _how(comparison: Comparison | None) -> str:
    """Say how much better a version is that all gates let through."""
    if comparison is None:
        return "there was no champion to compare with"
    if comparison.gain <= 0:  # No gate asks for a gain.
        return f"worse by {_percent(comparison.gain)}, which its gates allow"
    return f"better by {_percent(comparison.gain)} ({_span(comparison)})"


_OF_GAIN = frozenset({"no score", "too few", "not better", "unsure", "too little"})


def _stays(champion: int | None) -> str:
    return "promoted nothing" if champion is None else f"kept v{champion}"


def _percent(part: float) -> str:
    return f"{abs(part) * 100:.1f} %"


def _span(comparison: Comparison) -> str:
    to = "–" if comparison.low >= 0 else " to "  # noqa: RUF001 - a range
    return (
        f"{comparison.confidence * 100:.3g} % interval "
        f"{comparison.low * 100:.1f}{to}{comparison.high * 100:.1f} %"
    )
