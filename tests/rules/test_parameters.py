"""Values of parameters: read by their types, refused in words, parsed from what people type."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.flows import ParameterSpec
from loopline.rules.parameters import parameter_words, parse_value, read_value, read_values


def spec(kind: str, **more: Any) -> ParameterSpec:  # noqa: ANN401 - fields of the record
    return ParameterSpec(name="x", type=kind, required=True, **more)


@pytest.mark.parametrize(
    ("parameter", "typed", "value"),
    [
        (spec("int"), "3", 3),
        (spec("float"), "3", 3.0),
        (spec("bool"), "true", True),
        (spec("str"), "3", "3"),
        (spec("str"), "null", "null"),
        (spec("str", is_optional=True), "null", None),
        (spec("str", is_guessed=True), "007", "007"),
        (spec("int", is_guessed=True), "2", 2),
        (spec("list"), "[1, 2]", [1, 2]),
        (spec("dict"), '{"base": 3}', {"base": 3}),
        (spec("date"), "2022-03-01", "2022-03-01"),
        (spec("datetime"), "2022-03-01T12:00", "2022-03-01T12:00"),
        (spec("str", choices=["xgb", "cat"]), "cat", "cat"),
        (spec("int", choices=[1, 2]), "2", 2),
        (spec(""), "3", 3),
        (spec(""), "March", "March"),
        (None, "[1]", [1]),
    ],
)
def test_what_people_type_is_read_by_the_type(
    parameter: ParameterSpec | None, typed: str, value: object
) -> None:
    assert parse_value(parameter, typed) == value


@pytest.mark.parametrize(
    ("parameter", "value", "complaint"),
    [
        (spec("int"), "abc", "must be int, not 'abc'. Such as 3."),
        (spec("int"), 2.5, "must be int, not 2.5."),
        (spec("int"), True, "must be int, not True."),
        (spec("int"), None, "must be int, not None."),
        (spec("int", is_guessed=True), "abc", "must be int, not 'abc'."),
        (spec("float"), "nan", "must be float, not 'nan'."),
        (spec("bool"), "maybe", "must be bool, not 'maybe'. Such as true or false."),
        (spec("str"), 3, "must be str, not 3."),
        (spec("list"), "1,2", "must be list, not '1,2'. Such as [1, 2]."),
        (spec("dict"), [1], "must be dict, not [1]."),
        (spec("date"), "March", "must be date, not 'March'. Such as 2022-03-01."),
        (spec("datetime"), 7, "must be datetime, not 7."),
        (spec("str", choices=["xgb", "cat"]), "xbg", "must be 'xgb' or 'cat', not 'xbg'. "),
        (spec("int", choices=[1, 2]), True, "must be 1 or 2, not True."),
        (spec("str", is_optional=True), 3, "must be str or None, not 3."),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_would(
    parameter: ParameterSpec, value: object, complaint: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        read_value(parameter, value)
    assert str(refused.value).startswith(f"The parameter 'x' {complaint}")


def test_a_guessed_type_takes_none_and_any_number() -> None:
    assert read_value(spec("int", is_guessed=True), 2.5) == 2.5
    assert read_value(spec("str", is_guessed=True), None) is None
    assert read_value(spec("date"), date(2022, 3, 1)) == date(2022, 3, 1)


def test_values_of_a_run_are_read_together() -> None:
    specs = [ParameterSpec(name="rows", type="int", required=True), ParameterSpec(name="kind")]
    assert read_values("train", specs, {"rows": "3"}) == {"rows": 3}
    with pytest.raises(InvalidInputError, match="'train' needs a value for: rows"):
        read_values("train", specs, {"kind": 1})
    with pytest.raises(NotFoundError, match="no parameter 'rowz'"):
        read_values("train", specs, {"rowz": 1})


def test_a_parameter_is_shown_as_python_writes_it() -> None:
    assert parameter_words(spec("int")) == "x: int"
    assert parameter_words(ParameterSpec(name="x", type="int", default=3)) == "x: int = 3"
    assert parameter_words(ParameterSpec(name="x", default=3)) == "x=3"
    optional = ParameterSpec(name="x", type="str", choices=["a", "b"], is_optional=True)
    assert parameter_words(optional) == "x: 'a', 'b' or None = None"
