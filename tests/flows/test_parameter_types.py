"""Types of parameters: from annotations, from ``type``, or from defaults."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import pytest
from tests.cli.conftest import Shell

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError
from loopline.flows import DateTimeParameter, Flow, Parameter, flow, task
from loopline.records import operations as ops
from loopline.records.flows import ParameterSpec
from loopline.schedules import Schedule
from loopline.schedules.clocks import IntervalClock

if TYPE_CHECKING:
    from pathlib import Path


class Model(Enum):
    """Which model to train."""

    XGB = "xgb"
    CAT = "cat"


class Store(Protocol):
    """Something that has no values of its own."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    return tmp_path


@task
def show(value: object) -> str:
    return repr(value)


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, ("int", [], False)),
        (float | None, ("float", [], True)),
        (list[int], ("list", [], False)),
        (dict[str, int], ("dict", [], False)),
        (date, ("date", [], False)),
        (datetime, ("datetime", [], False)),
        (Annotated[str, "a month"], ("str", [], False)),
        (Literal["a", "b"], ("str", ["a", "b"], False)),
        (Literal["a"] | None, ("str", ["a"], True)),
        (Literal[1, "a"], ("", [], False)),
        (Model, ("str", ["xgb", "cat"], False)),
        (int | str, ("", [], False)),
        (Store, ("", [], False)),
        (Any, ("", [], False)),
    ],
)
def test_an_annotation_says_the_type(hint: object, words: tuple[str, list[object], bool]) -> None:
    spec = Parameter("x", type=hint).spec()
    assert (spec.type, spec.choices, spec.is_optional) == words
    assert (spec.required, spec.is_guessed) == (True, False)


@pytest.mark.parametrize(
    ("default", "kind"),
    [
        (3, "int"), (2.5, "float"), (True, "bool"), ("a", "str"), ([1], "list"), ((1,), "list"),
        ({"a": 1}, "dict"), (date(2022, 3, 1), "date"), (None, ""), (object, ""),
    ],
)  # fmt: skip
def test_a_default_lets_guess_the_type(default: object, kind: str) -> None:
    spec = Parameter("x", default=default).spec()
    assert (spec.type, spec.is_guessed) == (kind, bool(kind))


def test_a_type_is_checked_here_and_a_guess_is_not() -> None:
    with Flow("typed") as typed:
        shown = show(Parameter("rows", default=3, type=int))
    with pytest.raises(InvalidInputError, match="'rows' must be int, not 'abc'"):
        typed.run(parameters={"rows": "abc"})
    assert typed.run(parameters={"rows": "4"}).result[shown].result == "4"

    with Flow("guessed") as guessed:
        shown = show(Parameter("rows", default=3))
    assert guessed.run(parameters={"rows": "abc"}).result[shown].result == "'abc'"


def test_a_wrong_value_for_a_registered_flow_makes_no_run(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @flow
    def train(month: str, rows: int = 3, model: Literal["xgb", "cat"] = "xgb") -> object:
        return show([month, rows, model])

    train.register("wagoncab", no_url=True)
    assert train.graph().parameters[1] == ParameterSpec(name="rows", type="int", default=3)
    shell = Shell(home, [], capsys)
    shown = shell("flows", "show", "train").out
    assert "month: str, rows: int = 3, model: 'xgb' or 'cat' = 'xgb'" in shown

    for wrong, complaint in (
        ("rows=abc", "must be int, not 'abc'"),
        ("model=dog", "must be 'xgb' or 'cat'"),
        ("rowz=3", "no parameter 'rowz'"),
    ):
        ran = shell("flows", "run", "train", "--param", "month=3", "--param", wrong)
        assert (ran.code, complaint in ran.err) == (1, True)
    backend = get_recorder().backend
    with pytest.raises(InvalidInputError, match="must be str, not 3"):
        backend.call(ops.CreateFlowRun(project="wagoncab", name="train", parameters={"month": 3}))
    assert backend.call(ops.ListFlowRuns()).flow_runs == []

    made = shell("flows", "run", "train", "--param", "month=3", "--param", "rows=7", "--json")
    assert made.json["parameters"] == {"month": "3", "rows": 7}


def test_a_clock_with_a_wrong_value_is_refused_at_registration() -> None:
    def every_day(**values: object) -> Schedule:
        return Schedule([IntervalClock(timedelta(days=1), parameter_defaults=values)])

    with Flow("night", schedule=every_day(rows="many")) as night:
        show(Parameter("rows", default=3))
    with pytest.raises(InvalidInputError, match=r"a clock of the schedule of 'night': .* be int"):
        night.register("wagoncab", no_url=True)
    night.schedule = every_day(rowz=3)
    with pytest.raises(InvalidInputError, match="no parameter 'rowz'"):
        night.register("wagoncab", no_url=True)
    night.schedule = every_day(rows="4")
    version = get_recorder().backend.call(
        ops.GetFlow(flow_version_id=night.register("wagoncab", no_url=True))
    )
    assert version.schedule is not None
    assert version.schedule.clocks[0].parameters == {"rows": 4}


def test_a_time_says_so() -> None:
    spec = DateTimeParameter("since", required=False).spec()
    assert (spec.type, spec.is_optional) == ("datetime", True)


def test_a_default_of_another_type_is_refused_where_the_flow_is_made() -> None:
    with pytest.raises(InvalidInputError, match="'rows' must be int, not 'many'"):
        Parameter("rows", default="many", type=int)
    with pytest.raises(InvalidInputError, match="'rows' must be int"):

        @flow
        def train(rows: int = "many") -> object:  # type: ignore[assignment] # the mistake
            return show(rows)
