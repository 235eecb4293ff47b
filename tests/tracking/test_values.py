"""What people really pass is taken; what cannot be is refused by name, and the run goes on."""

from __future__ import annotations

import decimal
import fractions
import math
import struct
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loopline
from loopline.errors import InvalidInputError
from loopline.tracking.values import metric_value, param_texts, tag_texts, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("home")


class Feature(StrEnum):
    DISTANCE = "distance"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (True, 1.0),
        (2**60, float(2**60)),
        (decimal.Decimal("4.25"), 4.25),
        (fractions.Fraction(3, 4), 0.75),
        (np.float16(0.5), 0.5),
        (np.bool_(True), 1.0),  # noqa: FBT003 - what NumPy's comparisons answer
        (np.uint8(200), 200.0),
        (np.array([2.5]), 2.5),
        (np.array([[[2.5]]]), 2.5),
        (pd.Series([2.5]), 2.5),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (decimal.Decimal("-Infinity"), -math.inf),
    ],
)
def test_a_metric_is_any_real_scalar(value: Any, kept: float) -> None:  # noqa: ANN401
    assert metric_value("rmse", value) == kept


@pytest.mark.parametrize("value", [math.nan, np.nan, np.float32("nan"), decimal.Decimal("NaN")])
def test_nan_of_any_kind_is_kept(value: Any) -> None:  # noqa: ANN401
    assert math.isnan(metric_value("rmse", value))


@pytest.mark.parametrize(
    "value",
    [
        "4.2",
        b"4.2",
        bytearray(b"4"),
        np.str_("4.2"),
        np.datetime64("2022-01-01"),
        None,
        {"rmse": 1.0},
        np.zeros(3),
        np.zeros(0),
        1 + 2j,
        np.complex64(1j),
        10**400,
        decimal.Decimal("sNaN"),
        object(),
    ],
)
def test_what_is_no_number_is_refused_by_key_and_type(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInputError, match=rf"'rmse'.*{type(value).__name__}"):
        metric_value("rmse", value)


def test_an_object_that_fails_to_show_itself_is_refused_all_the_same() -> None:
    class Spiteful:
        def __repr__(self) -> str:
            raise RuntimeError

        def __float__(self) -> float:
            raise OSError

    with pytest.raises(InvalidInputError, match="Spiteful"):
        metric_value("rmse", Spiteful())


@given(st.floats(allow_nan=False) | st.integers(-(2**53), 2**53))
def test_a_number_of_any_size_is_kept_as_it_is(value: float) -> None:
    assert metric_value("rmse", np.float64(value)) == value
    assert metric_value("rmse", value) == value


@pytest.mark.parametrize("step", [3, 3.0, np.int32(3), np.array([3]), decimal.Decimal(3)])
def test_a_step_is_a_whole_number_of_any_library(step: Any) -> None:  # noqa: ANN401
    assert whole_number("step", step) == 3


@pytest.mark.parametrize(
    "step", ["3", 0.5, 2**63, -(2**63) - 1, math.nan, math.inf, [1], None, b"1"]
)
def test_a_step_that_is_none_is_refused(step: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInputError, match="step must be a whole number"):
        whole_number("step", step)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            lambda: loopline.log_metric("rmse", 1.0, step="3"),  # type: ignore[arg-type]
            r"step of metric 'rmse' must be .* not str \('3'\)\. Give an int",
        ),
        (
            lambda: loopline.log_metric("rmse", 1.0, timestamp="now"),  # type: ignore[arg-type]
            r"timestamp of metric 'rmse' must be .* not str \('now'\)\. Give Unix milliseconds",
        ),
        (
            lambda: loopline.log_metrics({"rmse": [1.0]}, steps=[0.5]),
            r"step of metric 'rmse' must be .* not float \(0\.5\)",
        ),
        (
            lambda: loopline.log_metric("rmse", 10**400),
            r"value of metric 'rmse', int .* is beyond 1\.8e308.*logarithm",
        ),
    ],
)
def test_a_wrong_number_is_told_by_argument_key_type_and_next_step(
    log: Callable[[], object], said: str
) -> None:
    with loopline.start_run(), pytest.raises(InvalidInputError, match=said):
        log()


INSTANT_MS = 1_643_673_600_123


@pytest.mark.parametrize(
    "instant",
    [
        pd.Timestamp(INSTANT_MS, unit="ms"),
        pd.Timestamp(INSTANT_MS, unit="ms", tz="America/New_York"),
        pd.Timestamp(INSTANT_MS, unit="ms", tz="UTC") + pd.Timedelta(999, "us"),
        datetime.fromtimestamp(INSTANT_MS / 1000, UTC),
        datetime.fromtimestamp(INSTANT_MS / 1000),  # noqa: DTZ006 - local, as it is meant to be
        np.datetime64(INSTANT_MS, "ms"),
        np.datetime64(INSTANT_MS * 10**6, "ns"),
        INSTANT_MS + 0.75,
        np.float64(INSTANT_MS),
    ],
    ids=repr,
)
def test_a_time_is_milliseconds_or_a_date_of_any_library(instant: Any) -> None:  # noqa: ANN401
    assert whole_number("timestamp", instant) == INSTANT_MS
    assert whole_number("end_time", instant) == INSTANT_MS
    with pytest.raises(InvalidInputError, match="step must be a whole number"):
        whole_number("step", "2022")


@pytest.mark.parametrize("missing", [pd.NaT, np.datetime64("NaT"), math.nan])
def test_a_time_that_is_missing_is_refused(missing: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInputError, match="timestamp must be a whole number"):
        whole_number("timestamp", missing)


@pytest.mark.parametrize("text", ["night\0shift", "fare\ud800", "\udcff"])
def test_text_that_no_database_keeps_is_refused_before_anything_is_journaled(text: str) -> None:
    with loopline.start_run() as run:
        for refuse in (
            lambda: loopline.log_param("note", text),
            lambda: loopline.set_tag("note", text),
            lambda: loopline.log_metric(text, 1.0),
            lambda: loopline.log_text("fares", text),
            lambda: loopline.log_input(loopline.dataset(np.zeros(2), name=text)),
            lambda: loopline.log_input(loopline.dataset(np.zeros(2), name="trips"), context=text),
            lambda: loopline.set_experiment(text),
            lambda: loopline.create_experiment(text),
            lambda: loopline.start_run(run_name=text, nested=True),
            lambda: loopline.delete_tag(text),
        ):
            with pytest.raises(InvalidInputError):
                refuse()
        loopline.log_metric("rmse", 1.0)
    found = loopline.get_run(run.run_id)
    assert found.params == {}
    assert set(found.metrics) == {"rmse"}
    assert loopline.list_artifacts(run.run_id) == []


def test_a_text_file_may_hold_a_nul_but_no_lone_surrogate() -> None:
    with loopline.start_run() as run:
        loopline.log_text("a\0b", "nul.txt")
        with pytest.raises(InvalidInputError, match="lone surrogate at character 3"):
            loopline.log_text("no\ud800", "surrogate.txt")
    assert loopline.load_text(f"runs:/{run.run_id}/nul.txt") == "a\0b"


def test_an_error_with_odd_characters_still_ends_the_run() -> None:
    with pytest.raises(ValueError, match="odd"), loopline.start_run() as run:
        raise ValueError("odd \0 and \ud800")
    assert loopline.get_run(run.run_id).end_reason == "ValueError: odd \\0 and ?"


def test_params_and_tags_take_anything_with_a_text() -> None:
    texts = param_texts({"feature": Feature.DISTANCE, np.str_("depth"): np.int64(3), "on": True})
    assert texts == {"feature": "distance", "depth": "3", "on": "True"}
    assert all(type(text) is str for pair in texts.items() for text in pair)
    assert tag_texts({"none": None, "path": ["a", 1]}) == {"none": "None", "path": "['a', 1]"}


@pytest.mark.parametrize("key", [None, 3, "", "a\nb", "../up", "x" * 251, ("a",), ["a"]])
def test_a_key_that_cannot_be_is_named(key: Any) -> None:  # noqa: ANN401
    with loopline.start_run() as run:
        with pytest.raises(InvalidInputError, match="key"):
            loopline.log_metric(key, 1.0)
        if not isinstance(key, list):
            with pytest.raises(InvalidInputError, match="key"):
                loopline.log_params({"model": "gbm", key: 1})
            with pytest.raises(InvalidInputError, match="key"):
                loopline.log_metrics({"rmse": 1.0, key: 2.0})
    found = loopline.get_run(run.run_id)
    assert (found.params, found.metrics) == ({}, {})


def test_what_is_no_dictionary_is_said_so() -> None:
    with loopline.start_run():
        with pytest.raises(InvalidInputError, match="log_metrics takes a dictionary"):
            loopline.log_metrics([("rmse", 1.0)])  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="log_params takes a dictionary"):
            loopline.log_params("model")  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="set_tags takes a dictionary"):
            loopline.set_tags(["city"])  # type: ignore[arg-type]


def test_limits_are_those_of_mlflow_or_wider_and_nothing_is_cut(home: Path) -> None:
    assert home.is_dir()
    with loopline.start_run() as run:
        loopline.log_param("k" * 250, "v" * 65_536)
        loopline.set_tag("k" * 250, "v" * 65_536)
        loopline.log_metric("m" * 250, 1.0)
        with pytest.raises(InvalidInputError, match=r"65,537 characters.*log_text"):
            loopline.log_param("long", "v" * 65_537)
        with pytest.raises(InvalidInputError, match=r"65,537 characters.*log_text"):
            loopline.set_tag("long", "v" * 65_537)
        with pytest.raises(InvalidInputError, match="251 characters"):
            loopline.log_metric("m" * 251, 1.0)
    found = loopline.get_run(run.run_id)
    assert found.params == {"k" * 250: "v" * 65_536}
    assert found.tags["k" * 250] == "v" * 65_536
    assert "m" * 250 in found.metrics


def test_the_same_key_as_another_string_type_is_the_same_metric() -> None:
    with loopline.start_run() as run:
        loopline.log_metric(np.str_("rmse"), 1.0, step=0)
        loopline.log_metric("rmse", 2.0, step=1)
    history = loopline.get_metric_history(run.run_id, "rmse")
    assert history.values == [1.0, 2.0]  # noqa: PD011 - a record, no frame


def test_a_point_keeps_every_bit() -> None:
    value = struct.unpack("<d", bytes.fromhex("0100000000000000"))[0]
    with loopline.start_run() as run:
        loopline.log_metric("rmse", value, step=-(2**63), timestamp=2**63 - 1)
    history = loopline.get_metric_history(run.run_id, "rmse")
    assert (history.steps, history.values) == ([-(2**63)], [value])  # noqa: PD011 - as above
    assert [point.timestamp for point in history] == [2**63 - 1]
