"""Charts: line charts as SVG text that follow light and dark mode and read well aloud."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape as escape_html
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from loopline.records.base import Record
from loopline.rules.scales import Scale, can_show, make_scale, write_number

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CHART_CSS", "Mark", "Series", "line_chart"]

#: Colours for lines on a light and on a dark ground; each has a contrast above 4 to its ground.
LIGHT = ("#1d5fd1", "#b8480b", "#157a3c", "#8434d6", "#b8175b", "#0b746c", "#8a6100", "#4b5a6b")
DARK = ("#6cb0ff", "#ff9b57", "#56d088", "#c99dff", "#ff86b5", "#4fd3c4", "#e2b53e", "#a9b6c6")
#: Lines differ in more than colour: the second eight are dashed, and points have shapes.
DASHES = ("", "7 4", "2 4")

#: The style of every chart, for a page that brings its own style sheet (see ``with_style``).
CHART_CSS = (
    ".ll-chart{--ground:#fff;--ink:#1c2430;--faint:#5b6675;--grid:#e3e7ec;"
    + "".join(f"--c{index}:{colour};" for index, colour in enumerate(LIGHT))
    + "font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}"
    "@media(prefers-color-scheme:dark){.ll-chart{--ground:#12171e;--ink:#e6ebf2;"
    "--faint:#98a4b3;--grid:#2a323d;"
    + "".join(f"--c{index}:{colour};" for index, colour in enumerate(DARK))
    + "}}"
    ".ll-chart .ground{fill:var(--ground)}.ll-chart text{fill:var(--faint)}"
    ".ll-chart .title{fill:var(--ink);font-size:15px;font-weight:600}"
    ".ll-chart .key,.ll-chart .value{fill:var(--ink)}.ll-chart .value{font-size:11px}"
    ".ll-chart .grid{stroke:var(--grid);stroke-width:1}"
    ".ll-chart .mark{stroke:var(--faint);stroke-dasharray:3 3}"
    ".ll-chart .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}"
    ".ll-chart .halo{paint-order:stroke;stroke:var(--ground);stroke-width:3px}"
    + "".join(
        f".ll-chart .s{index}{{stroke:var(--c{index})}}.ll-chart .p{index}{{fill:var(--c{index})}}"
        for index in range(len(LIGHT))
    )
)

#: Room around the drawing area, in pixels.
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 46, 50
KEY_ROW = 20
VALUE_ROOM = 10
MARK_ROOM = 18
#: About how wide a letter of the small text is, in pixels.
LETTER = 6.8
#: Above this many points a line has no dots of its own.
MOST_DOTS = 60


class Series(Record, frozen=True, kw_only=True):
    """One line of a chart.

    Attributes:
        label: Its name in the key.
        values: Heights; NaN (or an infinity) leaves a gap.
        xs: Where each value stands, rising; empty: at 0, 1, 2, …
    """

    label: str
    values: Sequence[float]
    xs: Sequence[float] = ()

    def points(self) -> Iterator[tuple[float, float]]:
        """Go through the points, gaps included as NaN."""
        return zip(self.xs or range(len(self.values)), self.values, strict=True)


class Mark(Record, frozen=True, kw_only=True):
    """A dashed upright line at ``x`` with a word on it, such as ``"v2 promoted"``."""

    x: float
    label: str


class _Area(NamedTuple):
    """The drawing area in pixels, and its two scales."""

    left: float
    top: float
    right: float
    bottom: float
    x: Scale
    y: Scale

    def across(self, x: float) -> float:
        return self.left + self.x.place(x) * (self.right - self.left)

    def down(self, y: float) -> float:
        return self.bottom - self.y.place(y) * (self.bottom - self.top)

    def shows(self, x: float, y: float) -> bool:
        return can_show(x) and can_show(y, is_log=self.y.is_log)


def line_chart(  # noqa: PLR0913 - all but the first are named at the call
    series: Sequence[Series],
    *,
    title: str,
    description: str = "",
    x_label: str = "",
    y_label: str = "",
    x_names: Sequence[str] = (),
    marks: Sequence[Mark] = (),
    log_y: bool = False,
    from_zero: bool = False,
    show_values: bool = False,
    width: int = 760,
    height: int = 400,
    with_style: bool = True,
) -> str:
    """Draw lines as an SVG picture.

    Args:
        series: The lines; the picture says so when there is no point in them.
        title: What one reads first, also aloud.
        description: What the picture shows, for those who do not see it; by default the range
            and the last value of each line.
        x_label: Name of the horizontal axis with its unit.
        y_label: Name of the vertical axis with its unit.
        x_names: Names of the places 0, 1, 2, … on the horizontal axis, instead of numbers.
        marks: Upright lines.
        log_y: Equal heights are equal ratios; values of 0 and below are gaps.
        from_zero: The vertical axis begins at 0.
        show_values: Write each value at its point: for a handful of points.
        width: In pixels; the picture shrinks with its page.
        height: In pixels.
        with_style: Bring the style along. Without, the page must have ``CHART_CSS``.

    Returns:
        One ``<svg>`` element, which is also a whole ``.svg`` file.
    """
    known = [(x, y) for line in series for x, y in line.points() if can_show(x) and can_show(y)]
    ys = [y for _, y in known]
    keys = list(_key_rows(series, width))
    area = _Area(
        LEFT,
        TOP + KEY_ROW * max(1, len(keys)) + VALUE_ROOM * show_values + MARK_ROOM * bool(marks),
        width - RIGHT,
        height - BOTTOM,
        _x_scale([x for x, _ in known], x_names, marks),
        make_scale(ys, is_log=log_y, from_zero=from_zero),
    )
    name = f"ll{crc32(repr((title, series)).encode()):08x}"
    start = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ll-chart" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" style="max-width:100%;height:auto" role="img" '
        f'aria-labelledby="{name}t {name}d">'
    )
    parts = [
        start,
        f'<title id="{name}t">{_escape(title)}</title>',
        f'<desc id="{name}d">{_escape(description or _describe(series))}</desc>',
        f"<style>{CHART_CSS}</style>" if with_style else "",
        f'<rect class="ground" width="{width}" height="{height}" rx="8"/>',
        f'<text class="title" x="{LEFT - 40}" y="28">{_escape(title)}</text>',
        *_draw_keys(keys),
        *_draw_axes(area, x_names, x_label, y_label),
        *(part for mark in marks for part in _draw_mark(area, mark, VALUE_ROOM * show_values)),
    ]
    if not known:
        middle = (area.left + area.right) / 2, (area.top + area.bottom) / 2
        parts.append(_text(*middle, "No points yet", "middle"))
    for index, line in enumerate(series):
        parts.extend(_draw_line(area, line, index))
    if show_values:
        parts.extend(_draw_values(area, series))
    parts.append("</svg>")
    return "\n".join(part for part in parts if part) + "\n"


def _x_scale(xs: list[float], names: Sequence[str], marks: Sequence[Mark]) -> Scale:
    if names:
        return Scale(-0.4, len(names) - 0.6, tuple(range(len(names))))
    return make_scale([*xs, *(mark.x for mark in marks)], count=7)


def _draw_axes(area: _Area, names: Sequence[str], x_label: str, y_label: str) -> Iterator[str]:
    step = 0.0 if area.y.is_log else area.y.ticks[1] - area.y.ticks[0]
    for tick in area.y.ticks:
        y = area.down(tick)
        yield f'<path class="grid" d="M{area.left:.1f} {y:.1f}H{area.right:.1f}"/>'
        yield _text(area.left - 8, y + 4, write_number(tick, step=step), "end")
    step = area.x.ticks[1] - area.x.ticks[0] if len(area.x.ticks) > 1 else 0.0
    # Leave names out when they would touch: every second, every third, …
    longest = max((len(name) for name in names), default=0) * LETTER + 12
    every = max(1, math.ceil(longest * len(names) / (area.right - area.left)))
    for index, tick in enumerate(area.x.ticks):
        if not names or index % every == 0:
            text = names[index] if names else write_number(tick, step=step)
            yield _text(area.across(tick), area.bottom + 18, text, "middle")
    if x_label:
        yield _text((area.left + area.right) / 2, area.bottom + 38, x_label, "middle")
    if y_label:
        middle = (area.top + area.bottom) / 2
        turn = f' transform="rotate(-90 16 {middle:.1f})"'
        yield _text(16, middle, y_label, "middle", extra=turn)


def _key_rows(series: Sequence[Series], width: int) -> Iterator[list[tuple[float, int, str]]]:
    """Set the key in rows of (x, index, label)."""
    row: list[tuple[float, int, str]] = []
    x = float(LEFT)
    for index, line in enumerate(series):
        room = 34 + len(line.label) * LETTER
        if row and x + room > width - RIGHT:
            yield row
            row, x = [], float(LEFT)
        row.append((x, index, line.label))
        x += room + 14
    if row:
        yield row


def _draw_keys(rows: list[list[tuple[float, int, str]]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        y = TOP + 4 + KEY_ROW * number
        for x, index, label in row:
            yield f'<path class="line s{index % len(LIGHT)}"{_dash(index)} d="M{x:.1f} {y}h22"/>'
            yield _dot(x + 11, y, index)
            yield _text(x + 28, y + 4, label, "start", style="key")


def _draw_line(area: _Area, line: Series, index: int) -> Iterator[str]:
    """Draw one line, broken at its gaps; a point between two gaps is always a dot."""
    stretches: list[list[tuple[float, float]]] = [[]]
    for x, y in line.points():
        if area.shows(x, y):
            stretches[-1].append((area.across(x), area.down(y)))
        elif stretches[-1]:
            stretches.append([])
    path = "".join(
        "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in stretch)
        for stretch in stretches
        if len(stretch) > 1
    )
    if path:
        yield f'<path class="line s{index % len(LIGHT)}"{_dash(index)} d="{path}"/>'
    few = sum(map(len, stretches)) <= MOST_DOTS
    for stretch in stretches:
        if few or len(stretch) == 1:
            yield from (_dot(x, y, index) for x, y in stretch)


def _draw_values(area: _Area, series: Sequence[Series]) -> Iterator[str]:
    """Write the values: the highest at each place above its dot, the lowest below."""
    places: dict[float, list[float]] = {}
    for line in series:
        for x, y in line.points():
            if area.shows(x, y):
                places.setdefault(x, []).append(y)
    for x, ys in places.items():
        for y in {max(ys), min(ys)}:
            lift = -9 if y == max(ys) else 18
            style = "value halo"
            yield _text(area.across(x), area.down(y) + lift, f"{y:.2f}", "middle", style=style)


def _draw_mark(area: _Area, mark: Mark, gap: float) -> Iterator[str]:
    """Draw an upright line with its word above the drawing area and the values' own ``gap``."""
    x, top = area.across(mark.x), area.top - gap - 4
    yield f'<path class="mark" d="M{x:.1f} {top:.1f}V{area.bottom:.1f}"/>'
    half = len(mark.label) * LETTER / 2
    middle = min(max(x, area.left + half), area.right - half)
    yield _text(middle, top - 4, mark.label, "middle", style="halo")


def _dot(x: float, y: float, index: int) -> str:
    """Draw a point in its line's shape: circle, square, diamond or triangle."""
    style = f'class="p{index % len(LIGHT)}"'
    match index % 4:
        case 0:
            return f'<circle {style} cx="{x:.1f}" cy="{y:.1f}" r="3.6"/>'
        case 1:
            return f'<path {style} d="M{x - 3.4:.1f} {y - 3.4:.1f}h6.8v6.8h-6.8z"/>'
        case 2:
            return f'<path {style} d="M{x:.1f} {y - 4.8:.1f}l4.8 4.8l-4.8 4.8l-4.8 -4.8z"/>'
        case _:
            return f'<path {style} d="M{x:.1f} {y - 4.6:.1f}l4.4 7.8h-8.8z"/>'


def _dash(index: int) -> str:
    dash = DASHES[index // len(LIGHT) % len(DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _text(x: float, y: float, text: str, anchor: str, *, style: str = "", extra: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return (
        f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{_escape(text)}</text>'
    )


def _escape(text: str) -> str:
    """Make any text fit for XML, which has no place for control characters and half surrogates."""
    return escape_html("".join(letter if letter.isprintable() else " " for letter in text))


def _describe(series: Sequence[Series]) -> str:
    """Say what a reader would see: the range and the last value of each line."""
    sentences = []
    for line in series:
        values = [value for value in line.values if math.isfinite(value)]
        if values:
            low, high, last = map(write_number, (min(values), max(values), values[-1]))
            sentences.append(f"{line.label}: {low} to {high}, last {last}.")
        else:
            sentences.append(f"{line.label}: no points.")
    return " ".join(sentences) or "No points yet."
