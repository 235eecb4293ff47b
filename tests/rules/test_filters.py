"""The search language says what it understood, and where it did not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.errors import FilterError
from loopline.rules.filters import And, Comparison, Field, Not, Or, parse, parse_order_by

RMSE = Field(entity="metric", key="rmse")


def test_and_binds_more_than_or_and_not_more_than_and() -> None:
    node = parse("metrics.rmse < 4 or not params.model = 'gbm' and tags.night is null")
    assert node == Or(
        parts=[
            Comparison(field=RMSE, operator="<", value=4.0),
            And(
                parts=[
                    Not(
                        part=Comparison(
                            field=Field(entity="param", key="model"), operator="=", value="gbm"
                        )
                    ),
                    Comparison(field=Field(entity="tag", key="night"), operator="IS NULL"),
                ]
            ),
        ]
    )


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("metrics.rmse.min < 1", Field(entity="metric", key="rmse", summary="min")),
        ("params.layer.0.units = '64'", Field(entity="param", key="layer.0.units")),
        ("metrics.val.rmse < 1", Field(entity="metric", key="val.rmse")),
        ("metrics.`rmse.min` < 1", Field(entity="metric", key="rmse.min")),
        ("metrics.`val rmse`.max < 1", Field(entity="metric", key="val rmse", summary="max")),
        ("tags.\"mlflow.runName\" like 'a%'", Field(entity="tag", key="mlflow.runName")),
        ("tags.mlflow.runName like 'a%'", Field(entity="tag", key="mlflow.runName")),
        ("status = 'FAILED'", Field(entity="attribute", key="status")),
        ("run.name = 'night'", Field(entity="attribute", key="run_name")),
        ("parameter.lr = '1'", Field(entity="param", key="lr")),
        ("datasets.digest = 'ab'", Field(entity="dataset", key="digest")),
        ("run_id IN ('a', 'b')", Field(entity="attribute", key="run_id")),
        ("start_time >= 1.5e12", Field(entity="attribute", key="start_time")),
    ],
)
def test_fields_are_found_as_people_write_them(text: str, field: Field) -> None:
    node = parse(text)
    assert isinstance(node, Comparison)
    assert node.field == field


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("metrics.rmse < 'four'", 15, "a number without quotes"),
        ("params.model = gbm", 15, "text in quotes"),
        ("metrics.rmse", 12, "an operator"),
        ("metric.rmse < 4 und params.a = '1'", 16, "AND, OR or the end"),
        ("(metrics.rmse < 4", 17, "closing parenthesis"),
        ("colour = 'red'", 0, r"datasets\.…, preprocessing\.… or an attribute"),
        ("params.a = 'x", 11, "a closing ' for the quote"),
        ('params."a = 1', 7, 'a closing " for the quote'),
        ("params.`a = 1", 7, "a closing ` for the quote"),
        ("metrics.rmse < 4 and", 20, "a field"),
        ("metrics.rmse like 'a'", 13, "one of"),
        ("metrics.rmse ; drop", 13, "a field, operator or value"),
        ("params.a in ('x' 'y')", 17, "a comma or a closing parenthesis"),
        ("datasets.color = 'x'", 9, "name, digest or context"),
    ],
)
def test_an_error_points_at_the_character(text: str, position: int, expected: str) -> None:
    with pytest.raises(FilterError, match=expected) as caught:
        parse(text)
    assert caught.value.position == position


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused_with_a_place_in_it(text: str) -> None:
    position = 0
    try:
        parse(text)
    except FilterError as error:
        position = error.position
    assert 0 <= position <= len(text)


def test_deep_nesting_is_refused_and_not_recursed_into() -> None:
    with pytest.raises(FilterError, match="at most 50"):
        parse("(" * 1000 + "metrics.rmse < 4" + ")" * 1000)


@pytest.mark.parametrize("text", ["not " * 4000 + "status = 'x'", "status = 'x' or " * 400 + "a"])
def test_filters_beyond_any_use_are_refused(text: str) -> None:
    with pytest.raises(FilterError, match="at most"):
        parse(text)


def test_an_order_is_a_field_and_a_direction() -> None:
    assert parse_order_by("metrics.rmse DESC").descending
    assert not parse_order_by("metrics.`val rmse`").descending
    with pytest.raises(FilterError, match="ASC, DESC"):
        parse_order_by("metrics.rmse downwards")


SCALED = "loopline.preprocessing.step.StandardScaler.with_mean"


def tag(key: str) -> Field:
    return Field(entity="tag", key=key)


def test_a_function_step_or_digest_is_found_by_the_tag_that_is_named_after_it() -> None:
    assert parse("preprocessing.function = 'clean_trips'") == Comparison(
        field=tag("loopline.preprocessing.function.clean_trips"), operator="IS NOT NULL"
    )
    assert parse("preprocessing.step != 'PCA'") == Not(
        part=Comparison(field=tag("loopline.preprocessing.step.PCA"), operator="IS NOT NULL")
    )
    assert parse("preprocessing.digest IN ('ab', 'cd')") == Or(
        parts=[
            Comparison(field=tag(f"loopline.preprocessing.digest.{name}"), operator="IS NOT NULL")
            for name in ("ab", "cd")
        ]
    )


def test_a_parameter_of_a_step_may_have_any_of_its_values() -> None:
    keys = [SCALED, f"{SCALED}:2", f"{SCALED}:3", f"{SCALED}:4"]
    some = Or(parts=[Comparison(field=tag(key), operator="=", value="True") for key in keys])
    assert parse("preprocessing.step.StandardScaler.with_mean = 'True'") == some
    assert parse("preprocessing.step.StandardScaler.with_mean != 'True'") == And(
        parts=[Comparison(field=tag(SCALED), operator="IS NOT NULL"), Not(part=some)]
    )


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("preprocessing.color = 'x'", 14, "function, step or digest"),
        ("preprocessing.step LIKE 'x%'", 19, "one of =, !=, IN, NOT IN"),
        ("preprocessing.step = 5", 21, "text in quotes"),
        ("preprocessing.step.PCA.tol < 5", 27, "one of"),
    ],
)
def test_an_error_about_preprocessing_points_at_the_character(
    text: str, position: int, expected: str
) -> None:
    with pytest.raises(FilterError, match=expected) as caught:
        parse(text)
    assert caught.value.position == position


def test_preprocessing_is_no_order_and_counts_towards_the_most_comparisons() -> None:
    with pytest.raises(FilterError, match="to order by"):
        parse_order_by("preprocessing.step DESC")
    many = " or ".join(["preprocessing.step.PCA.tol = '1'"] * 80)
    with pytest.raises(FilterError, match="at most 300"):
        parse(many)
