"""Sentences at the end of a demo run: when the alarm sounded, who was let in, who was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.demo.live import Served
    from loopline.demo.story import MonthLine

__all__ = ["say_alarm", "say_served"]


def say_alarm(months: list[MonthLine]) -> str:
    """Say when the model was found stale, and what became of the challengers since."""
    found = next((index for index, line in enumerate(months) if line.alarm), None)
    if found is None:
        return ""
    first = months[found]
    percent = f"{100 * (first.worse_by or 0):.0f} %"
    said = (
        f"The alarm sounded in {first.month}: {percent} worse than when it was promoted, and"
        f" {_and(first.drifted)} drifted."
    )
    if not first.promoted and first.challenger_version:
        said += f" v{first.challenger_version}, trained on months before that, was refused"
        winner = next((line for line in months[found + 1 :] if line.promoted), None)
        if winner is not None:
            said += f"; v{winner.version}, which had seen that month, won in {winner.month}"
        said += "."
    return said


def say_served(served: Served | None) -> str:
    """Say how many were answered while the versions changed."""
    if served is None:
        return ""
    failed = f"{served.failures:,}" if served.failures else "none"
    said = (
        f"Meanwhile {served.requests:,} requests were sent to the serving process, over "
        f"{served.swaps} swaps of its version: {failed} failed."
    )
    return said + (f" The first: {served.first_failure}." if served.first_failure else "")


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nothing"
