"""A finished history goes in one call: arrays of any library, all of them or none."""

from __future__ import annotations

import math
from array import array
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loopline
from loopline.errors import InvalidInputError
from loopline.rules.points import Points
from loopline.tracking.arrays import POINTS, histories, is_history

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("home")

LOSSES = [0.5, 0.25, 0.125]


@pytest.mark.parametrize(
    "made",
    [
        list,
        tuple,
        lambda values: array("d", values),
        np.array,
        lambda values: np.array(values, dtype="f4"),
        lambda values: np.array(values, dtype=object),
        lambda values: np.array(values * 2)[:3:1],
        pd.Series,
        lambda values: [np.float32(value) for value in values],
    ],
)
def test_a_history_is_any_row_of_numbers(made: Callable[[list[float]], Any]) -> None:
    with loopline.start_run() as run:
        loopline.log_metrics({"loss": made(LOSSES)})
    history = loopline.get_metric_history(run.run_id, "loss")
    assert history.values == LOSSES  # noqa: PD011 - a record, no frame
    assert history.steps == [0, 1, 2]
    assert len(set(history.timestamps_ms)) == 1


def test_steps_and_times_go_with_the_values() -> None:
    times = np.array(["2022-01-01T00:00:00", "2022-01-01T00:00:01"], dtype="M8[s]")
    with loopline.start_run() as run:
        loopline.log_metrics(
            {"loss": [0.5, math.nan], "mae": np.array([1, 2])}, steps=[10, 20], timestamps=times
        )
    began_ms = int(datetime(2022, 1, 1, tzinfo=UTC).timestamp() * 1000)
    for key in ("loss", "mae"):
        history = loopline.get_metric_history(run.run_id, key)
        assert history.steps == [10, 20]
        assert history.timestamps_ms == [began_ms, began_ms + 1000]
    assert math.isnan(loopline.get_run(run.run_id).metrics["loss"].value)


@pytest.mark.parametrize(
    "made",
    [
        lambda times: times.tolist(),
        lambda times: times.tz_localize("UTC").tz_convert("Asia/Tokyo"),
        lambda times: pd.Series(times.tz_localize("UTC")),
        lambda times: times.to_numpy(),
        lambda times: times.to_numpy().astype("datetime64[ms]").astype("f8") + 0.75,
        lambda times: [time.timestamp() * 1000 + 0.75 for time in times],
    ],
)
def test_times_are_milliseconds_or_dates_of_any_library(made: Callable[[Any], Any]) -> None:
    times = pd.date_range("2022-02-01", periods=3, freq="min")
    with loopline.start_run() as run:
        loopline.log_metrics({"rmse": [3.0, 2.0, 1.0]}, timestamps=made(times))
    found = loopline.get_metric_history(run.run_id, "rmse")
    assert found.timestamps_ms == [1_643_673_600_000 + 60_000 * minute for minute in range(3)]


def test_numbers_and_histories_go_together_and_step_is_where_both_begin() -> None:
    with loopline.start_run() as run:
        loopline.log_metrics({"loss": LOSSES, "rmse": 4.0, "mae": np.array([3.0])}, step=7)
    assert loopline.get_metric_history(run.run_id, "loss").steps == [7, 8, 9]
    assert loopline.get_metric_history(run.run_id, "rmse").steps == [7]
    assert loopline.get_metric_history(run.run_id, "mae").steps == [7]


def test_a_long_history_arrives_whole() -> None:
    count = 2 * POINTS + 1
    values = np.arange(count, dtype="f8")
    with loopline.start_run() as run:
        loopline.log_metrics({"loss": values})
    summary = loopline.get_run(run.run_id).metrics["loss"]
    assert (summary.count, summary.value, summary.last_step) == (count, count - 1, count - 1)


@pytest.mark.parametrize(
    ("metrics", "others", "said"),
    [
        ({"mae": [1.0], "loss": [1.0, "x"]}, {}, "'loss'.*str"),
        ({"mae": [1.0], "loss": [1.0, None]}, {}, "'loss'.*NoneType"),
        ({"mae": [1.0], "loss": np.array(["a", "b"])}, {}, "'loss'.*<U1"),
        ({"mae": [1.0], "loss": np.array([1j, 2j])}, {}, "'loss'.*complex"),
        (
            {"mae": [1.0, 2.0], "loss": np.zeros((2, 2))},
            {"steps": [0, 1]},
            r"'loss'.*shape \(2, 2\)",
        ),
        ({"mae": [1.0, 2.0], "loss": [1.0]}, {"steps": [0, 1]}, "steps of metric 'loss' are 2"),
        ({"loss": [1.0, 2.0]}, {"timestamps": [1]}, "timestamps of metric 'loss' are 1"),
        (
            {"loss": [1.0, 2.0]},
            {"steps": [0.5, 1.5]},
            "step of metric 'loss' must be a whole number",
        ),
        (
            {"loss": np.ones(2)},
            {"steps": np.array([0.5, 1.5])},
            "steps of metric 'loss' must be whole",
        ),
        (
            {"loss": [1.0, 2.0]},
            {"steps": [0, 2**63]},
            "step of metric 'loss' must be a whole .*int",
        ),
        ({"mae": 1.0, "loss": np.zeros((2, 2))}, {}, "'loss'.*ndarray"),
    ],
)
def test_what_cannot_be_a_history_is_named_and_nothing_is_logged(
    metrics: dict[str, Any], others: dict[str, Any], said: str
) -> None:
    with loopline.start_run() as run:
        with pytest.raises(InvalidInputError, match=said):
            loopline.log_metrics(metrics, **others)
        loopline.log_metric("after", 1.0)
    assert set(loopline.get_run(run.run_id).metrics) == {"after"}


@pytest.mark.parametrize(
    ("column", "given"),
    [
        ("steps", np.array([2**63 + 5, 1], dtype=np.uint64)),
        ("steps", np.array([1e30, 1.0])),
        ("steps", np.array([np.inf, 1.0])),
        ("steps", np.ma.array([1, 2], mask=[False, True])),
        ("timestamps", np.array(["2022-01-01", "NaT"], dtype="datetime64[ms]")),
    ],
)
def test_steps_and_times_that_do_not_fit_are_refused_and_never_wrapped(
    column: str,
    given: Any,  # noqa: ANN401
) -> None:
    with loopline.start_run() as run, pytest.raises(InvalidInputError, match=column):
        loopline.log_metrics({"rmse": [4.0, 3.0]}, **{column: given})
    assert loopline.get_run(run.run_id).metrics == {}


def test_what_is_masked_is_no_value() -> None:
    with loopline.start_run() as run:
        loopline.log_metric("one", np.ma.masked)  # type: ignore[arg-type]
        loopline.log_metrics({"some": np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])})
    found = loopline.get_run(run.run_id).metrics
    assert math.isnan(found["one"].value)
    assert (found["some"].mean, found["some"].max, found["some"].count) == (2.0, 3.0, 3)
    first, masked, last = loopline.get_metric_history(run.run_id, "some")
    assert (first.value, last.value) == (1.0, 3.0)
    assert math.isnan(masked.value)


def test_an_empty_history_logs_nothing() -> None:
    with loopline.start_run() as run:
        loopline.log_metrics({"loss": [], "mae": np.zeros(0)})
    assert loopline.get_run(run.run_id).metrics == {}


def test_one_value_in_an_array_is_a_number_and_a_row_of_them_a_history() -> None:
    assert not any(map(is_history, [1.0, 1, True, np.float64(1), np.zeros(1), np.array(1.0), "x"]))
    assert all(
        map(is_history, [[1.0], (1.0,), range(3), np.zeros(2), np.zeros(0), pd.Series([1, 2])])
    )


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(width=64),
        ),
        min_size=1,
    ),
    st.sampled_from([list, np.array]),
)
def test_packed_columns_are_the_points_that_were_given(
    rows: list[tuple[int, int, float]], made: Callable[[list[Any]], Any]
) -> None:
    steps, timestamps, values = (list(column) for column in zip(*rows, strict=True))
    (history,) = histories(
        {"loss": made(values)},
        steps=made(steps),
        timestamps=made(timestamps),
        first_step=0,
        now_ms=0,
    )
    (fact,) = history.facts("run")
    points = Points.from_columns(bytes(fact.steps), bytes(fact.timestamps_ms), bytes(fact.values))
    assert list(points.steps) == steps
    assert list(points.timestamps_ms) == timestamps
    assert np.array_equal(np.array(points.values), np.array(values), equal_nan=True)


def test_a_history_needs_no_numpy_where_nobody_uses_it() -> None:
    (history,) = histories(
        {"loss": LOSSES}, steps=range(3), timestamps=None, first_step=0, now_ms=5
    )
    (fact,) = history.facts("run")
    assert list(array("d", bytes(fact.values))) == LOSSES
    assert list(array("q", bytes(fact.timestamps_ms))) == [5, 5, 5]
