"""Prefect 1's parameters: ``Parameter``, ``DateTimeParameter``, defaults, required values."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from tests.flows.running import result, run

from loopline.errors import FlowBuildError, InvalidInputError
from loopline.flows import DateTimeParameter, Flow, Parameter, context, task

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep runs that are refused out of anybody's home."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))


@task
def show(value: object) -> str:
    return repr(value)


def test_a_parameter_is_given_by_its_name_or_has_its_default() -> None:
    with Flow("parameters") as flow:
        shown = show(Parameter("month", default="2022-01"))
    assert result(flow, shown, month="2022-03") == "'2022-03'"
    assert result(flow, shown) == "'2022-01'"


def test_none_is_a_default_and_required_beats_a_default() -> None:
    assert not Parameter("month", default=None).required
    assert Parameter("month").required
    assert Parameter("month", default=3, required=True).required
    assert Parameter("month", required=False).default is None


@pytest.mark.parametrize(
    ("given", "complaint"),
    [({}, "needs 1 more parameter: month"), ({"month": 1, "mnoth": 2}, "'mnoth'")],
)
def test_missing_and_unknown_values_are_refused_before_anything_runs(
    given: dict[str, object], complaint: str
) -> None:
    with Flow("parameters") as flow:
        show(Parameter("month"))
    with pytest.raises(InvalidInputError, match=complaint):
        flow.run(parameters=given)


def test_a_parameter_belongs_to_a_flow_when_it_is_called_or_used() -> None:
    with Flow("parameters") as flow:
        month = Parameter("month", default=1, tags=["time"])()
        year = Parameter("year", default=2022)
        show([year])
    assert flow.parameters() == {month, year}
    assert flow.slugs[month] == "month"
    assert month.tags == {"time"}
    assert repr(month) == "<Parameter: month>"


def test_a_copy_of_a_parameter_has_a_name_of_its_own() -> None:
    month = Parameter("month", default=1)
    other = month.copy("other month")
    assert (other.name, other.slug, other.default) == ("other month", "other month", 1)
    with Flow("parameters") as flow:
        show([month, other])
        with pytest.raises(FlowBuildError, match="month"):
            flow.add_task(month.copy("month"))


def test_tasks_find_all_parameters_in_the_context() -> None:
    with Flow("context") as flow:
        Parameter("month", default=1)()
        asked = task(lambda: context.parameters)()
    assert result(flow, asked, month=3) == {"month": 3}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2022-03-01", datetime(2022, 3, 1, tzinfo=UTC)),
        ("2022-03-01T12:30:00Z", datetime(2022, 3, 1, 12, 30, tzinfo=UTC)),
        (
            "2022-03-01 12:30:00+01:00",
            datetime(2022, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=1))),
        ),
        (datetime(2022, 3, 1), datetime(2022, 3, 1, tzinfo=UTC)),  # noqa: DTZ001 - made UTC
        (date(2022, 3, 1), datetime(2022, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_datetime_parameter_reads_times(given: object, expected: datetime) -> None:
    with Flow("times") as flow:
        start = DateTimeParameter("start")
        flow.add_task(start)
    assert result(flow, start, start=given) == expected


def test_a_datetime_parameter_refuses_what_is_no_time_before_anything_runs() -> None:
    with Flow("times") as flow:
        start = DateTimeParameter("start")
        show(start)
    with pytest.raises(InvalidInputError, match="2022-03-01T12:00:00"):
        flow.run(start="tomorrow")
    with pytest.raises(InvalidInputError, match="is a time, not 3"):
        flow.run(start=3)
    with pytest.raises(InvalidInputError, match="is a time"):
        DateTimeParameter("start", default="soon", required=False)


def test_a_datetime_parameter_that_need_not_be_given_is_none() -> None:
    with Flow("times") as flow:
        start = DateTimeParameter("start", required=False)()
        end = DateTimeParameter("end", default="2022-03-01", required=False)()
    state = run(flow)
    assert state.result[start].result is None
    assert state.result[end].result == datetime(2022, 3, 1, tzinfo=UTC)
    assert DateTimeParameter("start", default="2022-03-01").required
