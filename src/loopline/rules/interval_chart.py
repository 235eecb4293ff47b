"""A chart of gains: one row each for all rows and for each slice, with intervals where known."""

from __future__ import annotations

import math
from html import escape as escape_html
from typing import TYPE_CHECKING, NamedTuple

from loopline.rules.charts import CHART_CSS

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.records.decisions import Decision

__all__ = ["gain_chart"]

WIDTH, ROW, TOP, BOTTOM = 640, 26, 58, 34
NAMES, NUMBERS = 190, 96
#: Rows that are drawn; a decision with more slices shows the worst.
MOST_ROWS = 24
#: Nothing is drawn further out than this: one slice that is ten times worse would hide the others.
WIDEST = 1.0


class _Row(NamedTuple):
    name: str
    gain: float
    low: float
    high: float
    note: str
    is_bad: bool


def gain_chart(decision: Decision, *, title: str = "") -> str:
    """Draw which part of the champion's error a challenger takes away, in all and by slice.

    Args:
        decision: With a comparison; without one the picture says that there is nothing to compare.
        title: Of the picture; says whose error is meant unless given.

    Returns:
        One ``<svg>`` element, which is also a whole ``.svg`` file.
    """
    rows = _rows(decision)
    if not title:
        title = f"Part of v{decision.champion}'s error that v{decision.challenger} takes away"
    height = TOP + ROW * max(1, len(rows)) + BOTTOM
    ends = [value for row in rows for value in (row.gain, row.low, row.high)]
    ends = [min(WIDEST, max(-WIDEST, value)) for value in ends if not math.isnan(value)]
    reach = max([0.05, *map(abs, ends)]) * 1.08
    left, right = NAMES, WIDTH - NUMBERS

    def across(gain: float) -> float:
        place = min(reach, max(-reach, gain))
        return left + (place + reach) / (2 * reach) * (right - left)

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ll-chart" role="img" '
            f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        ),
        f"<style>{CHART_CSS}</style><title>{escape_html(title)}</title>",
        f"<desc>{escape_html(_description(rows))}</desc>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="16" y="26">{escape_html(_short(title, 80))}</text>',
    ]
    bottom = height - BOTTOM
    if not rows:
        parts.append(f'<text x="16" y="{TOP + 16}">There was nothing to compare.</text>')
    else:
        parts += [
            (
                f'<line class="mark" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="{TOP - 12}" '
                f'y2="{bottom}"/>'
            ),
            f'<text x="{across(0) - 8:.1f}" y="{bottom + 20}" text-anchor="end">← worse</text>',
            f'<text x="{across(0) + 8:.1f}" y="{bottom + 20}">better →</text>',
        ]
    for index, row in enumerate(rows):
        parts += _draw(row, TOP + ROW * index + ROW / 2, across)
    parts.append("</svg>")
    return "".join(parts)


def _draw(row: _Row, y: float, across: Callable[[float], float]) -> list[str]:
    kind = 1 if row.is_bad else 0
    place = across(row.gain)
    drawn = [
        f'<text class="key" x="16" y="{y + 4:.1f}">{escape_html(_short(row.name, 26))}</text>',
        (
            f'<text class="value" x="{WIDTH - 12}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape_html(row.note)}</text>"
        ),
    ]
    if not math.isnan(row.low):
        drawn.append(
            f'<line class="line s{kind}" x1="{across(row.low):.1f}" '
            f'x2="{across(row.high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    if not math.isnan(row.gain):
        drawn.append(f'<circle class="p{kind}" cx="{place:.1f}" cy="{y:.1f}" r="4.5"/>')
    return drawn


def _rows(decision: Decision) -> list[_Row]:
    rows = []
    found = decision.comparison
    if found is not None:
        rows.append(
            _Row(
                f"all {found.rows:,} rows", found.gain, found.low, found.high,
                _percent(found.gain), is_bad=found.gain <= 0,
            )
        )  # fmt: skip
    for check in decision.checks:
        rows += [
            _Row(
                f"{each.value} ({each.rows:,})", each.gain, math.nan, math.nan,
                _percent(each.gain) if each.is_judged else "too few rows", is_bad=each.is_worse,
            )
            for each in check.slices
        ]  # fmt: skip
    return rows[:MOST_ROWS]


def _description(rows: list[_Row]) -> str:
    if not rows:
        return "There was nothing to compare."
    return "Part of the champion's error that is gone. " + " ".join(
        f"{row.name}: {row.note}." for row in rows
    )


def _percent(gain: float) -> str:
    if not math.isfinite(gain):
        return "-"
    return f"{gain * 100:+.1f} %".replace("-", "−")  # noqa: RUF001 - a minus


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
