"""Text charts: the same lines in letters, for a terminal."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from loopline.rules.scales import can_show, make_scale, write_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.rules.charts import Series

__all__ = ["text_chart"]

#: A letter for each line's points, and what the axes are made of.
UNICODE = ("●○◆◇▲△", "┤", "│", "└", "─", "·")
ASCII = ("*o#x+%", "+", "|", "+", "-", ".")


def text_chart(
    series: Sequence[Series],
    *,
    x_names: Sequence[str] = (),
    width: int = 76,
    height: int = 9,
    only_ascii: bool = False,
) -> str:
    """Draw lines with letters.

    Args:
        series: The lines; a value that is not finite leaves a gap.
        x_names: Names of the places 0, 1, 2, … on the horizontal axis.
        width: Letters across, the axis included; at least 20.
        height: About how many rows the drawing area has.
        only_ascii: For a terminal that knows no other letters.

    Returns:
        The drawing, the axis, its names and a key, without a newline at the end.
    """
    dots, tick, side, corner, floor, trail = ASCII if only_ascii else UNICODE
    points = [[(x, y) for x, y in line.points() if can_show(x) and can_show(y)] for line in series]
    known = [point for line in points for point in line]
    if not known:
        return "No points yet"
    scale = make_scale([y for _, y in known], count=min(5, height))
    step = scale.ticks[1] - scale.ticks[0]
    between = len(scale.ticks) - 1
    height = between * max(1, round((height - 1) / between)) + 1  # Equal steps, equal rows.
    labels = {
        round(scale.place(value) * (height - 1)): write_number(value, step=step)
        for value in scale.ticks
    }
    margin = max(map(len, labels.values())) + 1
    room = max(10, width - margin - 1)
    xs = [*range(len(x_names))] or [x for x, _ in known]
    low, high = float(min(xs)), float(max(xs))

    def column(x: float) -> int:
        # A name is centred on its place, so places keep away from both ends.
        edge = max((len(name) for name in x_names), default=1) // 2 + 1
        part = (x - low) / (high - low) if high > low else 0.5
        return edge + round(part * (room - 2 * edge - 1))

    cells = [[" "] * room for _ in range(height)]
    for line in points:
        for (x1, y1), (x2, y2) in itertools.pairwise(line):
            first, last = column(x1), column(x2)
            for at in range(first + 1, last):
                y = y1 + (y2 - y1) * (at - first) / (last - first)
                cells[round(scale.place(y) * (height - 1))][at] = trail
    taken: dict[tuple[int, int], int] = {}
    for index, line in enumerate(points):
        for x, y in line:
            row, at = round(scale.place(y) * (height - 1)), column(x)
            while taken.get((row, at), index) != index and at + 1 < room:
                at += 1  # Points of two lines in one cell stand side by side.
            taken[row, at] = index
            cells[row][at] = dots[index % len(dots)]

    rows = []
    for row in reversed(range(height)):
        axis = f"{labels[row]:>{margin}}{tick}" if row in labels else " " * margin + side
        rows.append(f"{axis}{''.join(cells[row])}".rstrip())
    rows.append(" " * margin + corner + floor * room)
    names = x_names or [write_number(x) for x in (low, high)]
    places = [column(x) for x in (range(len(x_names)) if x_names else (low, high))]
    rows.append(" " * (margin + 1) + _write_names(names, places, room))
    key = "   ".join(f"{dots[i % len(dots)]} {line.label}" for i, line in enumerate(series))
    rows.append(" " * (margin + 1) + key)
    return "\n".join(rows)


def _write_names(names: Sequence[str], places: Sequence[int], room: int) -> str:
    """Set each name centred under its place, leaving out those that would touch."""
    text = [" "] * room
    free = 0
    for name, place in zip(names, places, strict=True):
        start = min(max(0, place - len(name) // 2), room - len(name))
        if start >= free:
            text[start : start + len(name)] = name
            free = start + len(name) + 1
    return "".join(text).rstrip()
