"""The metrics of imported runs: what is missing is sent, and what arrived is compared."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.records.facts import MetricPoints
from loopline.records.operations import GetMetricColumns
from loopline.rules.points import Points
from loopline.transfer.plan import problem_with_key
from loopline.transfer.points import Known, known_of, parts_of, same, summed_up, without
from loopline.transfer.source import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loopline.backend.protocol import Backend
    from loopline.records.transfer import RunDescription
    from loopline.transfer.road import Road
    from loopline.transfer.source import Series
    from loopline.transfer.tally import Tally

__all__ = ["Looked", "SeriesImport"]

#: Largest finite number, which MLflow's databases hold in the place of infinity.
STAND_IN = 1.7976931348623157e308

REPEATED = "a point that stands there again, with equal step, time and value, is one point here"
INFINITE = (
    "MLflow's databases hold ±1.797e308 where infinity was logged; kept as its client shows it"
)
NOTHING = Points(array("q"), array("q"), array("d"))


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What is remembered of a series once its points are gone.

    Attributes:
        known: Its sum.
        missing: How many of its points were not here before.
        expected: How many points must be here afterwards, its own and others.
        problem: Why a store cannot hold it; empty when it can.
        repeated: How often the source has a point again.
        infinite: Points that stand for an infinity.
    """

    known: Known
    missing: int
    expected: int
    problem: str = ""
    repeated: int = 0
    infinite: int = 0


class SeriesImport:
    """Sends series, and counts them."""

    def __init__(
        self, backend: Backend, road: Road, tally: Tally, *, on_points: Callable[[int], None]
    ) -> None:
        """Send by a road.

        Args:
            backend: Asked for what is here.
            road: Takes the points.
            tally: Counts them.
            on_points: Told of each series' length when it has been looked at.
        """
        self._backend = backend
        self._on_points = on_points
        self._road = road
        self._tally = tally

    def look(
        self, series: Iterable[Series], before: dict[str, RunDescription], *, send: bool
    ) -> dict[tuple[str, str], Looked]:
        """Look at series, and ``send`` the points that are not here."""
        looked: dict[tuple[str, str], Looked] = {}
        for one in series:
            known, values = summed_up(one.points), one.points.values
            problem = problem_with_key("metric", one.key)
            missing, others = self._missing(one, known, before.get(one.run_id))
            looked[one.run_id, one.key] = Looked(
                known=known,
                missing=0 if problem else len(missing),
                expected=len(missing) + others,
                problem=problem,
                repeated=one.repeated,
                infinite=values.count(STAND_IN) + values.count(-STAND_IN),
            )
            if send and not problem:
                self._send(one, missing)
            self._on_points(known.total)
        return looked

    def count(
        self,
        looked: dict[tuple[str, str], Looked],
        before: dict[str, RunDescription],
        after: dict[str, RunDescription],
        *,
        complain: bool,
    ) -> None:
        """Count series on both sides."""
        for (run_id, key), seen in looked.items():
            self._tally.leave_out(Note("repeated metric points", seen.repeated, REPEATED))
            self._tally.leave_out(Note("infinities of the source", seen.infinite, INFINITE))
            here = self._here(run_id, key, seen, after.get(run_id))
            had = before.get(run_id)
            is_new = had is None or key not in had.run.metrics
            self._tally.count("metrics", 1, int(here == seen.known.total), int(is_new))
            self._tally.count("metric points", seen.known.total, here, seen.missing)
            if seen.problem:
                self._tally.differ(f"Run {run_id}: {seen.problem}")
            elif complain and here != seen.known.total:
                self._tally.differ(
                    f"Run {run_id}: {seen.known.total - here:,} points of metric {key!r} are not "
                    "here. Run the import again; it adds what is missing."
                )

    def _send(self, one: Series, points: Points) -> None:
        for part in parts_of(points):
            steps, timestamps_ms, values = part.to_columns()
            self._road.add(
                MetricPoints(
                    run_id=one.run_id,
                    key=one.key,
                    steps=steps,
                    timestamps_ms=timestamps_ms,
                    values=values,
                )
            )

    def _missing(
        self, one: Series, known: Known, before: RunDescription | None
    ) -> tuple[Points, int]:
        """Find the points that are not here, and how many points are; alike sums say none."""
        summary = before.run.metrics.get(one.key) if before else None
        if summary is None:
            return one.points, 0
        if same(known, known_of(summary)):
            return NOTHING, known.total
        history = self._history(one.run_id, one.key)
        return without(one.points, history), len(history)

    def _here(self, run_id: str, key: str, seen: Looked, after: RunDescription | None) -> int:
        """Count the source's points that are here."""
        summary = after.run.metrics.get(key) if after else None
        if summary is None:
            return 0
        if summary.count == seen.expected:
            # Nothing but the source's own points: then their sums must be alike, too.
            alone = seen.known.total == seen.expected
            if not alone or same(seen.known, known_of(summary)):
                return seen.known.total
        there = len(self._history(run_id, key))
        return max(0, seen.known.total - max(0, seen.expected - there))

    def _history(self, run_id: str, key: str) -> Points:
        history = self._backend.call(GetMetricColumns(run_id=run_id, key=key))
        return Points.from_columns(history.steps, history.timestamps_ms, history.values)
