"""``@flow`` on a plain function: traced into a graph, run by calling it."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta
from pathlib import Path  # noqa: TC003 - annotations are read
from typing import TYPE_CHECKING, Annotated, Any, Literal, assert_type

import cloudpickle
import msgspec
import pytest

import loopline
from loopline.backend.recorder import close_recorders
from loopline.errors import FlowBuildError, FlowRunFailedError, InvalidInputError, TaskValueError
from loopline.flows import DateTimeParameter, Flow, case, flow, merge, task
from loopline.flows.function import FlowFunction
from loopline.schedules import IntervalSchedule

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Record into a fresh home."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / ".loopline"))
    yield tmp_path
    close_recorders()


@task
def extract(month: str) -> list[int]:
    return [len(month), 2]


@task
def train(rows: list[int], depth: int = 3) -> int:
    return sum(rows) * depth


@task
def fail(rows: list[int]) -> int:
    msg = f"cannot use {rows}"
    raise ValueError(msg)


@flow
def taxifare(month: str = "2022-01", *, depth: int = 3) -> int:
    """Train on a month."""
    model: int = train(extract(month), depth)
    return model


@flow(name="all months", schedule=IntervalSchedule(interval=timedelta(days=1)))
def all_months(months: list[str]) -> dict[str, Any]:
    rows = extract.map(months)
    return {"models": train.map(rows), "first": taxifare("2022-01"), "kind": "xgb"}


def test_a_function_becomes_a_flow_with_its_arguments_as_parameters() -> None:
    assert isinstance(taxifare, FlowFunction)
    assert isinstance(taxifare, Flow)
    assert isinstance(loopline.flow, type(flow))
    assert [(each.name, each.required) for each in taxifare.graph().parameters] == [
        ("month", False),
        ("depth", False),
    ]
    assert [each.slug for each in taxifare.graph().tasks] == [
        "month", "depth", "extract-1", "train-1",
    ]  # fmt: skip
    assert (taxifare.name, taxifare.__doc__) == ("taxifare", "Train on a month.")


def test_a_call_runs_the_flow_and_returns_the_value() -> None:
    assert taxifare() == 27
    assert taxifare("2022", depth=2) == 12


def test_a_flow_in_a_flow_adds_its_tasks_there() -> None:
    value = all_months(["2022-02", "22"])
    assert value == {"models": [27, 12], "first": 27, "kind": "xgb"}
    assert len(all_months.get_tasks(name="extract")) == 2
    with Flow("outer") as outer:
        model = taxifare("2022-03", depth=1)
    state = outer.run()
    assert state.result[model].result == 9


def test_it_does_all_that_a_flow_does(home: Path) -> None:
    state = taxifare.run(parameters={"month": "2022-03"})
    assert state.is_successful()
    assert taxifare.visualize(state, filename=home / "flow.svg").path.exists()
    assert taxifare.register("taxi", no_url=True)
    assert all_months.schedule is not None
    assert Flow.load(taxifare.save(home / "own.flow")).run(month="2").is_successful()


def test_a_failure_is_raised_with_its_cause_and_the_states() -> None:
    @flow
    def failing(month: str = "2022-01") -> int:
        model: int = fail(extract(month)) + 1
        return model

    with pytest.raises(FlowRunFailedError, match="'failing' did not succeed") as caught:
        failing()
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.state.is_failed()  # type: ignore[attr-defined]


def test_it_takes_the_options_of_a_flow() -> None:
    told: list[str] = []

    @flow(on_failure=lambda failed, state: told.append(f"{failed.name}: {state.is_failed()}"))
    def failing() -> int:
        model: int = fail([1])
        return model

    assert failing.run().is_failed()
    assert told == ["failing: True"]


def test_what_needs_a_value_is_refused_when_the_function_is_decorated() -> None:
    with pytest.raises(TaskValueError, match=r"with case\("):

        @flow
        def asks(depth: int) -> Any:  # noqa: ANN401 - a result
            return train([1]) if depth > 3 else 0

    with pytest.raises(TaskValueError, match=r"\.map"):

        @flow
        def repeats(times: int) -> Any:  # noqa: ANN401 - a result
            return [train([each]) for each in range(times)]

    with pytest.raises(TaskValueError, match="is_equal"):

        @flow
        def compares(month: str) -> Any:  # noqa: ANN401 - a result
            return extract(month) if month == "2022-01" else 0


def test_case_and_merge_are_its_if() -> None:
    @flow
    def choosing(depth: int) -> int:
        with case(depth > 3, True):  # noqa: FBT003 - a value to compare with
            deep = train([1], 10)
        with case(depth > 3, False):  # noqa: FBT003 - likewise
            flat = train([1], 1)
        best: int = merge(deep, flat)
        return best

    assert (choosing(4), choosing(3)) == (10, 1)


@flow
def typed(
    depth: Annotated[int, msgspec.Meta(ge=1)],
    kind: Literal["xgb", "cat"] = "xgb",
    rate: float = 0.1,
    start: datetime | None = None,
    home: Path | None = None,
    anything: Any = None,  # noqa: ANN401 - on purpose
) -> list[Any]:
    return [depth, kind, rate, start, home, anything]


def test_values_are_read_and_checked_by_annotations() -> None:
    given = typed(depth="3", kind="cat", rate=1, anything=object)  # type: ignore[arg-type]
    assert given == [3, "cat", 1.0, None, None, object]
    for wrong in ({"depth": 0}, {"depth": "many"}, {"depth": 1, "kind": "linear"}):
        with pytest.raises(InvalidInputError, match=r"The parameter '(depth|kind)' must be"):
            typed.run(parameters=wrong)


def test_a_time_is_a_datetime_parameter() -> None:
    @flow
    def since(start: datetime) -> datetime:
        return start

    assert isinstance(next(iter(since.parameters())), DateTimeParameter)
    assert since(datetime.fromisoformat("2022-03-01")).isoformat() == "2022-03-01T00:00:00+00:00"


def test_calls_with_wrong_arguments_fail_like_those_of_functions() -> None:
    with pytest.raises(TypeError, match=r"'dept'.*It is taxifare\(month: "):
        taxifare(dept=3)  # type: ignore[call-arg]


def test_functions_that_cannot_be_traced_are_refused() -> None:
    async def later() -> None: ...

    def many(*months: str) -> None: ...

    class Flows:
        def method(self) -> None: ...

    for function, complaint in (
        (later, "is async"),
        (many, "Name each argument"),
        (Flows.method, "on the method"),
    ):
        with pytest.raises(FlowBuildError, match=complaint):
            flow(function)


def test_it_travels_as_a_graph_without_its_function() -> None:
    copy = pickle.loads(cloudpickle.dumps(taxifare))  # noqa: S301 - our own
    assert copy.run(month="22").is_successful()
    assert copy.graph() == taxifare.graph()
    with Flow("outer"), pytest.raises(FlowBuildError, match="was stored"):
        copy("22")


def test_editors_and_type_checkers_know_the_function() -> None:
    kept: FlowFunction[[str], int] = flow(count_letters)
    assert_type(kept("2022-03"), int)
    with_options = flow(name="other")(count_letters)
    assert_type(with_options("2022-03"), int)
    assert with_options.name == "other"


def count_letters(month: str) -> int:
    letters: int = train(extract(month))
    return letters


def test_what_is_defined_below_the_flow_is_named_with_the_reason() -> None:
    with pytest.raises(NameError, match="not_yet") as caught:

        @flow
        def early() -> int:
            return not_yet()  # type: ignore[name-defined, no-any-return] # noqa: F821

    assert caught.value.__notes__ == [
        "The flow 'early' is built where @flow stands, so what it calls must be defined above it."
    ]
