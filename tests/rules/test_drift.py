"""Drift: distances are what the textbooks say, and only what is sure and matters is named."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from loopline.records.drift import DriftReport
from loopline.rules.drift import Numbers, Thresholds, Values, compare_columns
from loopline.rules.drift_report import report_page

RANDOM = np.random.default_rng(20230401)


def numbers(values: np.ndarray, missing: int = 0) -> Numbers:
    return Numbers(len(values) + missing, missing, np.sort(values))


def only(before: Numbers | Values, now: Numbers | Values):  # type: ignore[no-untyped-def] # noqa: ANN201
    (column,) = compare_columns({"fare": before}, {"fare": now})
    return column


def test_the_distances_of_numbers_are_those_of_scipy() -> None:
    before, now = RANDOM.gamma(2, 3, size=4000), RANDOM.gamma(2, 4, size=3000)
    found = only(numbers(before), numbers(now))
    reference = stats.ks_2samp(before, now, method="asymp")
    assert found.distance == pytest.approx(reference.statistic)
    assert found.shift == pytest.approx(stats.wasserstein_distance(before, now), rel=0.01)
    assert found.is_drifted
    assert found.words.startswith("its median went from")


@pytest.mark.parametrize("size", [50, 400, 5000])
def test_chances_of_numbers_are_about_those_of_scipy(size: int) -> None:
    before = RANDOM.normal(size=size)
    now = RANDOM.normal(size=size) + 2 / math.sqrt(size)
    found = only(numbers(before), numbers(now))
    exact = stats.ks_2samp(before, now).pvalue
    assert found.p == pytest.approx(min(1, 2 * exact), rel=0.35, abs=0.002)


@pytest.mark.parametrize(
    ("before", "now"),
    [((300, 500, 200), (280, 540, 180)), ((9000, 900, 100), (8800, 1000, 200)), ((5, 5), (4, 6))],
)
def test_chances_of_values_are_those_of_scipy(
    before: tuple[int, ...], now: tuple[int, ...]
) -> None:
    def column(counts: tuple[int, ...]) -> Values:
        return Values(sum(counts), 0, {f"v{n}": count for n, count in enumerate(counts)})

    found = only(column(before), column(now))
    exact = stats.chi2_contingency([before, now], correction=False).pvalue
    assert found.p == pytest.approx(min(1, 2 * exact), rel=1e-6)


def test_the_index_is_the_sum_that_its_users_know() -> None:
    found = only(Values(100, 0, {"a": 50, "b": 50}), Values(100, 0, {"a": 80, "b": 20}))
    by_hand = (0.8 - 0.5) * math.log(0.8 / 0.5) + (0.2 - 0.5) * math.log(0.2 / 0.5)
    assert found.psi == pytest.approx(by_hand)
    assert found.distance == pytest.approx(0.3)
    assert found.words == "a went from 50.0% to 80.0%"


def test_a_hundred_columns_of_the_same_city_drift_about_as_seldom_as_promised() -> None:
    def city() -> dict[str, Numbers | Values]:
        return {f"c{n}": numbers(RANDOM.normal(size=300)) for n in range(100)}

    limits = Thresholds(psi=0.0, distance=0.0)  # Let the chances alone decide.
    drifted = [
        sum(c.is_drifted for c in compare_columns(city(), city(), limits)) for _ in range(10)
    ]
    assert sum(count > 0 for count in drifted) <= 2  # 1 % of 10 is none; 3 would be once in 9,000.


def test_what_is_sure_and_does_not_matter_is_not_named() -> None:
    before = RANDOM.normal(size=100_000)
    found = only(numbers(before), numbers(before + 0.03))
    assert found.p < 1e-6
    assert not found.is_drifted
    assert found.words == ""


def test_missing_and_never_seen_values_are_named() -> None:
    same = RANDOM.normal(size=1000)
    found = only(numbers(same), numbers(same, missing=200))
    assert found.is_drifted
    assert found.words == "missing in 16.7% of the rows, before in 0.0%"
    zones = only(Values(1000, 0, {"Bronx": 1000}), Values(1000, 0, {"Bronx": 950, "Mars": 50}))
    assert zones.new_values == ["Mars"]
    assert "5.0% have values never seen before, such as Mars" in zones.words


def test_values_that_were_not_counted_before_are_not_called_new() -> None:
    coarse = Values(1000, 0, {"Bronx": 900}, others=100, is_coarse=True)
    assert only(coarse, Values(1000, 0, {"Bronx": 900, "Queens": 100})).new_values == []


def test_times_beyond_the_calendar_are_no_error() -> None:
    far = Numbers(100, 0, np.linspace(0, 1e14, 100), is_time=True)
    assert only(far, far).bins[-1].label == "above 9e+13 s"


def test_columns_without_values_or_of_another_type_are_no_error() -> None:
    nothing = Numbers(10, 10, np.empty(0))
    assert not only(nothing, nothing).is_drifted
    assert only(nothing, numbers(np.ones(100))).kind == "numbers"
    changed = only(numbers(np.ones(100)), Values(100, 0, {"1": 100}))
    assert changed.is_drifted
    assert changed.words == "its type changed"
    empty = Values(0, 0, {})
    assert not only(empty, empty).is_drifted


def test_the_report_reads_well_and_takes_no_markup_from_data() -> None:
    columns = compare_columns(
        {"<b>zone</b>": Values(100, 0, {"<i>": 50, "b": 50}), "miles": numbers(np.arange(100.0))},
        {"<b>zone</b>": Values(100, 0, {"<i>": 95, "b": 5}), "miles": numbers(np.arange(100.0))},
    )
    report = DriftReport(rows_before=100, rows_now=100, columns=columns, only_before=["tips"])
    assert report.sentence == "1 of 2 columns drifted: <b>zone</b>. Gone: tips."
    assert report.share == 0.5
    assert set(report.metrics()) >= {"drift/share", "drift/psi/miles", "drift/distance/miles"}
    page = report_page(report)
    assert "<b>zone" not in page
    assert "&lt;b&gt;zone" in page
    assert page.count("<figure>") == 2
