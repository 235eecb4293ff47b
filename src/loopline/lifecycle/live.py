"""A champion judged by what really happened, and taken back by rule.

What was served with ``--record`` is joined with the truth that ``loopline truth add`` brings; the
policy's ``Rollback`` says how much worse, for how long, and on how many rows.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.lifecycle.promotion import list_decisions, roll_back
from loopline.lifecycle.scoring import in_stage
from loopline.records.base import Record
from loopline.records.decisions import DecisionStatus
from loopline.registry import history
from loopline.rules.champions import champion_before
from loopline.rules.rollback import Live, judge_live
from loopline.tracking.predictions import predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from loopline.records.policies import Policy

__all__ = ["LiveCheck", "check_live"]


class LiveCheck(Record, frozen=True, kw_only=True):
    """What came of a look at a champion.

    Attributes:
        version: The champion that was looked at; None: there was none.
        rolled_back_to: The version that has its place now; None: it stays.
        sentence: Why, as a person would say it.
        now: Its live score; None: too little is known.
        before: What it was held against; None: likewise.
        rows: Predictions whose truth is known, in the time that counts.
    """

    version: int | None = None
    rolled_back_to: int | None = None
    sentence: str = ""
    now: float | None = None
    before: float | None = None
    rows: int = 0


def check_live(policy: Policy, *, until_s: float | None = None, dry_run: bool = False) -> LiveCheck:
    """Look whether the champion's live error calls for the version before it, and take it back.

    Args:
        policy: With a ``rollback``.
        until_s: Now, Unix time; left out, the clock's.
        dry_run: Say what would be done.

    Raises:
        InvalidInputError: The policy has no rollback.
    """
    if policy.rollback is None:
        msg = f"The policy of {policy.model!r} has no rollback. Give it one: Rollback(...)."
        raise InvalidInputError(msg)
    champion = in_stage(policy.model, policy.stage)
    if champion is None:
        return LiveCheck(sentence=f"no version of {policy.model} is in {policy.stage}")
    held = _held(policy)
    before = champion_before(champion.version, [version for _, version in held])
    if before is None:
        why = f"kept v{champion.version}: there is none to go back to"
        return LiveCheck(version=champion.version, sentence=why)
    try:
        table = predictions(policy.model)
    except NotFoundError as error:
        return LiveCheck(version=champion.version, sentence=f"kept v{champion.version}: {error}")
    now_s = time.time() if until_s is None else until_s
    since = max(at for at, version in held if version == champion.version)
    known = _live(table, before)
    old: Live | float = known
    if not len(known.at_s):
        score = _score_when_compared(policy, champion.version)
        if score is None:
            why = f"kept v{champion.version}: nothing is known of v{before} to hold it against"
            return LiveCheck(version=champion.version, sentence=why)
        old = score
    live = _since(_live(table, champion.version), since)
    verdict = judge_live(policy.rollback, policy.metric, live, old, until_s=now_s)
    if not verdict.roll_back:
        return LiveCheck(
            version=champion.version,
            sentence=f"kept v{champion.version}: {verdict.sentence}",
            now=_known(verdict.now),
            before=_known(verdict.before),
            rows=verdict.rows,
        )
    moved: int | None = before
    if not dry_run:
        try:
            roll_back(
                policy.model,
                stage=policy.stage,
                to=before,
                only_from=champion.version,
                reason=verdict.sentence,
            )
        except ConflictError as error:  # Somebody else moved it meanwhile.
            return LiveCheck(version=champion.version, sentence=f"nothing was moved: {error}")
    word = "would have rolled back" if dry_run else "rolled back"
    if dry_run:
        moved = None
    return LiveCheck(
        version=champion.version,
        rolled_back_to=moved,
        sentence=f"{word} from v{champion.version} to v{before}: {verdict.sentence}",
        now=_known(verdict.now),
        before=_known(verdict.before),
        rows=verdict.rows,
    )


def _held(policy: Policy) -> list[tuple[float, int]]:
    """List when which version came to the stage, in order; Unix times."""
    events = [
        event
        for event in history(policy.model)
        if event.kind == "stage" and event.after == policy.stage
    ]
    return [(event.at_ms / 1000, event.version) for event in reversed(events)]


def _live(table: Any, version: int) -> Live:  # noqa: ANN401 - a pyarrow.Table
    """Take what a version answered, where the truth is known."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if "truth" not in table.column_names or "prediction" not in table.column_names:
        return Live(np.empty(0), np.empty(0), np.empty(0))
    which = pc.and_(
        pc.equal(table["version"].cast(pa.string()), str(version)), pc.is_valid(table["truth"])
    )
    rows = table.filter(which).sort_by("time")
    at_s = rows["time"].cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_numpy() / 1000
    return Live(
        at_s.astype(np.float64),
        rows["prediction"].to_numpy(zero_copy_only=False),
        rows["truth"].to_numpy(zero_copy_only=False),
    )


def _since(live: Live, at_s: float) -> Live:
    which: NDArray[np.bool_] = live.at_s >= at_s
    return Live(live.at_s[which], live.said[which], live.truth[which])


def _score_when_compared(policy: Policy, champion: int) -> float | None:
    """Find the score of the version before, on the rows by which the champion beat it."""
    for each in list_decisions(
        policy.model, stage=policy.stage, status=DecisionStatus.PROMOTED, limit=1000
    ):
        if each.decision.challenger == champion and each.decision.comparison is not None:
            return each.decision.comparison.champion
    return None


def _known(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 - NaN
