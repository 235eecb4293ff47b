"""Charts show every point, leave gaps where there is none, and read well aloud."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loopline.rules.charts import CHART_CSS, DARK, LIGHT, Mark, Series, line_chart
from loopline.rules.scales import make_scale, write_number
from loopline.rules.text_charts import text_chart

SVG = "{http://www.w3.org/2000/svg}"
MONTHS = ["2022-02", "2022-03", "2023-01", "2023-02"]
PRODUCTION = Series(label="Production model", values=[math.nan, 3.85, 5.92, 5.89])
CHALLENGER = Series(label="Challenger", values=[3.81, 3.76, 5.68, 4.48])

finite = st.floats(-1e300, 1e300)
anything = st.floats()


@given(values=st.lists(finite, max_size=20), from_zero=st.booleans())
def test_a_scale_holds_all_its_values_between_rising_ticks(
    values: list[float], *, from_zero: bool
) -> None:
    scale = make_scale(values, from_zero=from_zero)
    assert scale.low < scale.high
    assert list(scale.ticks) == sorted(set(scale.ticks))
    assert 2 <= len(scale.ticks) <= 12
    for value in values:
        assert -1e-6 <= scale.place(value) <= 1 + 1e-6


@given(values=st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=20))
@example([9.999999999999346e299])
def test_a_log_scale_holds_all_its_values_too(values: list[float]) -> None:
    scale = make_scale(values, is_log=True)
    assert scale.is_log
    assert len(scale.ticks) <= 12
    for value in values:
        assert -1e-6 <= scale.place(value) <= 1 + 1e-6


def test_ticks_are_round_numbers() -> None:
    assert make_scale([3.76, 5.92]).ticks == (3.5, 4.0, 4.5, 5.0, 5.5, 6.0)
    assert make_scale([0.01, 2.0], is_log=True).ticks == (0.01, 0.1, 1.0, 10.0)


def test_labels_are_exact_to_the_step_and_short() -> None:
    assert [write_number(tick, step=0.5) for tick in (3.5, 4.0)] == ["3.5", "4.0"]
    assert write_number(62_495.0) == "62,495"
    assert write_number(1_400_000.0) == "1.4e6"
    assert write_number(0.00002) == "2e-5"


def test_a_chart_says_aloud_what_it_shows() -> None:
    svg = _parse(line_chart([PRODUCTION, CHALLENGER], title="Fare error", x_names=MONTHS))
    assert svg.get("role") == "img"
    named = {element.get("id"): element.text for element in svg.iter() if element.get("id")}
    said = [named[name] for name in str(svg.get("aria-labelledby")).split()]
    assert said == [
        "Fare error",
        "Production model: 3.85 to 5.92, last 5.89. Challenger: 3.76 to 5.68, last 4.48.",
    ]


def test_every_value_has_its_dot_and_a_gap_has_none() -> None:
    svg = line_chart([PRODUCTION, CHALLENGER], title="Fare error", show_values=True)
    for value in ("3.85", "5.92", "5.89", "3.81", "3.76", "5.68", "4.48"):
        assert f">{value}</text>" in svg
    assert svg.count("<circle") == 3 + 1  # And one in the key.
    assert "nan" not in svg.lower()


def test_a_line_is_broken_at_a_gap_and_a_lone_point_stays_visible() -> None:
    values = [1.0, 2.0, math.nan, 3.0, math.nan, *([2.0] * 100)]
    svg = _parse(line_chart([Series(label="loss", values=values)], title="loss"))
    (path,) = [str(p.get("d")) for p in svg.iter(f"{SVG}path") if "L" in str(p.get("d"))]
    assert path.count("M") == 2
    assert len(list(svg.iter(f"{SVG}circle"))) == 1 + 1  # The lone one, and the key's.


def test_values_of_zero_are_gaps_on_a_log_axis() -> None:
    svg = line_chart([Series(label="loss", values=[1.0, 0.0, -1.0, 0.1])], title="l", log_y=True)
    assert svg.count("<circle") == 2 + 1


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, -math.inf]])
def test_a_chart_without_points_says_so(values: list[float]) -> None:
    assert "No points yet" in line_chart([Series(label="loss", values=values)], title="loss")
    assert text_chart([Series(label="loss", values=values)]) == "No points yet"


def test_marks_stand_where_they_belong() -> None:
    svg = line_chart(
        [PRODUCTION], title="Fare error", x_names=MONTHS, marks=[Mark(x=3, label="v4 promoted")]
    )
    assert ">v4 promoted</text>" in svg


def test_dark_mode_follows_the_reader_and_a_page_may_bring_the_style() -> None:
    assert "prefers-color-scheme:dark" in line_chart([PRODUCTION], title="t")
    assert CHART_CSS not in line_chart([PRODUCTION], title="t", with_style=False)


@pytest.mark.parametrize(("colours", "ground"), [(LIGHT, "#ffffff"), (DARK, "#12171e")])
def test_every_line_stands_out_from_its_ground(colours: tuple[str, ...], ground: str) -> None:
    for colour in colours:
        dark, light = sorted([_luminance(colour), _luminance(ground)])
        assert (light + 0.05) / (dark + 0.05) >= 4.5


@given(
    lines=st.lists(
        st.builds(Series, label=st.text(max_size=20), values=st.lists(anything, max_size=12)),
        max_size=10,
    ),
    title=st.text(max_size=30),
    log_y=st.booleans(),
)
def test_any_labels_and_values_give_a_well_formed_picture(
    lines: list[Series], title: str, *, log_y: bool
) -> None:
    _parse(line_chart(lines, title=title, log_y=log_y, show_values=True))
    assert text_chart(lines)


def test_the_terminal_gets_the_same_lines_in_letters() -> None:
    text = text_chart([PRODUCTION, CHALLENGER], x_names=MONTHS, width=60)
    rows = text.splitlines()
    assert all(len(row) <= 61 for row in rows)
    drawing = "\n".join(rows[:-3])
    assert (drawing.count("●"), drawing.count("○")) == (3, 4)
    assert rows[-2].split() == MONTHS
    assert rows[-1].split("   ")[-1] == "○ Challenger"


def test_a_plain_terminal_gets_plain_letters() -> None:
    assert text_chart([PRODUCTION, CHALLENGER], x_names=MONTHS, only_ascii=True).isascii()


def _parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own text


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it, of ``#rrggbb``."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
