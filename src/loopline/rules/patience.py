"""Patience: how long to pause between two looks at something that is not there yet."""

from __future__ import annotations

from loopline.records.base import Record

__all__ = ["Patience"]

_GROWTH = 1.5


class Patience(Record, frozen=True, kw_only=True):
    """Pauses that grow by half, up to a longest one, and a limit for all of it.

    Attributes:
        first_s: Seconds after the first look, more than 0.
        longest_s: No pause is longer, in seconds.
        limit_s: Seconds after which to give up; None: never.
    """

    first_s: float = 1.0
    longest_s: float = 60.0
    limit_s: float | None = None

    def pause_s(self, looks: int) -> float:
        """Tell the seconds to pause after so many looks, 1 or more."""
        # A large exponent would overflow long after the longest pause is reached.
        return min(self.first_s * _GROWTH ** min(looks - 1, 100), self.longest_s)

    def paused_s(self, looks: int) -> float:
        """Tell the seconds of all pauses before look number ``looks``, counted from 1."""
        paused = 0.0
        for look in range(1, looks):
            pause = self.pause_s(look)
            if pause >= self.longest_s:
                return paused + pause * (looks - look)
            paused += pause
        return paused

    def next_s(self, looks: int, waited_s: float) -> float | None:
        """Tell the seconds until the next look, or None: it is time to give up.

        Args:
            looks: How many looks there were, 1 or more.
            waited_s: Seconds since the first.
        """
        pause = self.pause_s(looks)
        if self.limit_s is None:
            return pause
        left_s = self.limit_s - waited_s
        return min(pause, left_s) if left_s > 0 else None
