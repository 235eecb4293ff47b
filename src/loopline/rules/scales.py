"""Scales: the round numbers of a chart's axis, and where a value lies between its ends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Scale", "can_show", "make_scale", "write_number"]

#: Beyond this, differences stop being numbers; a chart shows nothing larger.
LARGEST = 1e300
#: A log axis over fewer decades than this also shows 2 and 5.
FEW_DECADES = 2.5
#: A log axis never has more labels than this.
MOST_TICKS = 8


class Scale(NamedTuple):
    """One axis.

    Attributes:
        low: Value at the axis' start.
        high: Value at its end, above ``low``.
        ticks: Values that get a line and a label, rising.
        is_log: Whether equal lengths are equal ratios; then ``low`` is above 0.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def place(self, value: float) -> float:
        """Tell where a value lies: 0 at the start of the axis, 1 at its end."""
        if self.is_log:
            start = math.log(self.low)
            return (math.log(value) - start) / (math.log(self.high) - start)
        return (value - self.low) / (self.high - self.low)


def can_show(value: float, *, is_log: bool = False) -> bool:
    """Tell whether an axis has a place for a value: a number, not too huge, on a log axis > 0."""
    return abs(value) <= LARGEST and (not is_log or value >= 1 / LARGEST)


def make_scale(
    values: Iterable[float], *, count: int = 5, is_log: bool = False, from_zero: bool = False
) -> Scale:
    """Choose the ends and ticks of an axis so that all values fit.

    Args:
        values: What must fit, as far as ``can_show`` has a place for it.
        count: About how many ticks, at least 2.
        is_log: Ask for a log axis; without any value above 0 the axis is linear.
        from_zero: Let a linear axis begin (or end) at 0.
    """
    finite = [float(value) for value in values if can_show(value)]
    positive = [value for value in finite if can_show(value, is_log=True)]
    if is_log and positive:
        return _log_scale(min(positive), max(positive))
    if from_zero:
        finite.append(0.0)
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if low == high:
        low, high = _widen(low)
    step = _round_step(max((high - low) / (count - 1), abs(high) * 1e-12, abs(low) * 1e-12))
    first, last = math.floor(low / step), math.ceil(high / step)
    last = max(last, first + 1)
    ticks = tuple(index * step for index in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)


def write_number(value: float, *, step: float = 0.0) -> str:
    """Write a number for an axis or label: short, and exact to the step between ticks."""
    if not math.isfinite(value):
        return str(value)
    size = max(abs(value), abs(step))
    if size != 0 and not 1e-4 <= size < 1e6:  # noqa: PLR2004 - where zeros become hard to count
        return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    if step:
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return f"{value:,.{decimals}f}"
    return f"{value:,.4g}" if size < 1000 else f"{value:,.0f}"  # noqa: PLR2004 - 4 digits


def _widen(value: float) -> tuple[float, float]:
    """Make room around a value that stands alone."""
    if value == 0:
        return -1.0, 1.0
    room = abs(value) * 0.1
    return value - room, value + room


def _round_step(step: float) -> float:
    """Round to about the next of 1, 2, 2.5 and 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(max(step, 1 / LARGEST)))
    for factor in (1.0, 2.0, 2.5, 5.0):
        if step <= factor * power * 1.15:  # A sixth tick is better than only three.
            return factor * power
    return 10.0 * power


def _log_scale(low: float, high: float) -> Scale:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    # Logarithms are rounded: 9.99…e299 has 300.
    first -= 10.0**first > low
    last += 10.0**last < high
    last = max(last, first + 1)
    every = math.ceil((last - first) / MOST_TICKS)
    factors = (1.0, 2.0, 5.0) if last - first < FEW_DECADES else (1.0,)
    ticks = [factor * 10.0**power for power in range(first, last + 1, every) for factor in factors]
    start = max([tick for tick in ticks if tick <= low], default=low)
    end = min([tick for tick in ticks if tick >= high], default=high)
    if start == end:
        end = start * 10
    return Scale(start, end, tuple(tick for tick in ticks if start <= tick <= end), is_log=True)
