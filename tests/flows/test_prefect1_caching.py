"""Caches, targets, result types and serializers, as Prefect 1 has them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from loopline.backend.recorder import close_recorders, get_recorder
from loopline.errors import FlowBuildError, InvalidInputError, NotFoundError
from loopline.flows import Flow, Parameter, cache_validators, task
from loopline.flows.result_types import (
    ConstantResult,
    LocalResult,
    PrefectResult,
    SecretResult,
)
from loopline.flows.serializers import (
    CompressedSerializer,
    DateTimeSerializer,
    JSONSerializer,
    PandasSerializer,
    PickleSerializer,
    Serializer,
)
from loopline.records.flows import StateKind
from loopline.records.operations import FindKeyValues, ListFlowRuns, ListTaskRuns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from loopline.flows.states import Cached, State

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Record into a fresh home."""
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / ".loopline"))
    yield tmp_path / ".loopline"
    close_recorders()


class Counted:
    """A flow of one cached task that counts how often it runs."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - options of the task
        self.runs = 0
        counted = self

        @task(**options)
        def load(month: str, rows: int) -> str:
            counted.runs += 1
            return f"{month} {rows} {counted.runs}"

        with Flow("cached") as self.flow:
            self.loaded = load(Parameter("month", "2022-01"), Parameter("rows", 5))
            Parameter("unused", 0)()

    def run(self, **parameters: object) -> State:
        state: State = self.flow.run(parameters).result[self.loaded]
        return state


def test_a_cached_result_is_used_until_it_is_too_old() -> None:
    counted = Counted(cache_for=HOUR)
    assert counted.run().kind is StateKind.SUCCESS
    again = counted.run(month="2022-02")
    assert (again.kind, again.result, counted.runs) == (StateKind.CACHED, "2022-01 5 1", 1)
    (old,) = [Counted(cache_for=timedelta(0), cache_key="old")]
    old.run()
    assert old.run().result == "2022-01 5 2"


V = cache_validators


@pytest.mark.parametrize(
    ("validator", "change", "is_used"),
    [
        (V.never_use, {}, False),
        (V.duration_only, {"month": "x"}, True),
        (V.all_inputs, {}, True),
        (V.all_inputs, {"unused": 1}, True),
        (V.all_inputs, {"rows": 6}, False),
        (V.all_parameters, {}, True),
        (V.all_parameters, {"unused": 1}, False),
        (V.partial_inputs_only(["month"]), {"rows": 6}, True),
        (V.partial_inputs_only(["month"]), {"month": "x"}, False),
        (V.partial_inputs_only(), {"rows": 6}, False),
        (V.partial_parameters_only(["month"]), {"rows": 6, "unused": 1}, True),
        (V.partial_parameters_only(["month", "rows"]), {"rows": 6}, False),
        (V.partial_parameters_only(), {"unused": 1}, False),
        (V.code_and_inputs, {"rows": 6}, False),
    ],
)
def test_validators_say_which_results_are_used(
    validator: V.Validator, change: dict[str, Any], *, is_used: bool
) -> None:
    counted = Counted(cache_for=HOUR, cache_validator=validator)
    counted.run()
    assert counted.run(**change).is_cached() is is_used
    assert counted.runs == (1 if is_used else 2)


def test_a_validator_of_ones_own_may_look_at_the_result() -> None:
    def only_first(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
        assert inputs == {"month": "2022-01", "rows": 5}
        assert parameters["rows"] == 5
        return bool(state.result.endswith(" 1"))

    counted = Counted(cache_for=HOUR, cache_validator=only_first)
    assert [counted.run().result for _ in range(2)] == ["2022-01 5 1"] * 2


def test_a_validator_that_raises_is_told_of_and_lets_the_task_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object) -> bool:
        raise ZeroDivisionError

    counted = Counted(cache_for=HOUR, cache_validator=broken)
    assert [counted.run().kind for _ in range(2)] == [StateKind.SUCCESS] * 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_tasks_with_the_same_key_share_results_and_others_do_not() -> None:
    one, other = (Counted(cache_for=HOUR, cache_key="trips") for _ in range(2))
    one.run()
    assert other.run().is_cached()
    assert not Counted(cache_for=HOUR, cache_key="trip").run().is_cached()


def test_children_of_a_mapped_task_are_cached_one_by_one() -> None:
    runs: list[int] = []

    @task(cache_for=HOUR, cache_validator=V.all_inputs)
    def square(number: int) -> int:
        runs.append(number)
        return number * number

    def run(numbers: list[int]) -> list[int]:
        with Flow("squares") as flow:
            squared = square.map(numbers)
        result: list[int] = flow.run().result[squared].result
        return result

    assert run([1, 2]) == [1, 4]
    assert run([2, 3]) == [4, 9]
    assert runs == [1, 2, 3]


def test_a_result_whose_bytes_are_gone_is_made_again(home: Path) -> None:
    @task(cache_for=HOUR)
    def load() -> bytes:
        return b"trip" * 1000

    with Flow("gone") as flow:
        loaded = load()
    flow.run()
    for blob in (home / "blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    state = flow.run().result[loaded]
    assert (state.kind, len(state.result)) == (StateKind.SUCCESS, 4000)


CACHED = """
    from datetime import timedelta
    from loopline.flows import Flow, cache_validators, task

    @task(cache_for=timedelta(hours=1), cache_validator=cache_validators.code_and_inputs)
    def load(month):
        print("loading", month)
        return {code}

    with Flow("script") as flow:
        loaded = load("2022-03")
    print(flow.run().result[loaded].result)
"""


def test_a_result_is_used_by_another_process_while_the_code_is_the_same(tmp_path: Path) -> None:
    def run(code: str) -> str:
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(CACHED).replace("{code}", code))
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=True
        )
        return done.stdout

    assert run("month * 2") == "loading 2022-03\n2022-032022-03\n"
    assert run("month * 2") == "2022-032022-03\n"
    assert run("month * 1") == "loading 2022-03\n2022-03\n"


def test_options_of_caches_that_do_not_fit_are_refused() -> None:
    with pytest.warns(UserWarning, match="cache_for"):
        task(cache_validator=V.all_inputs)(lambda: None)
    with pytest.raises(FlowBuildError, match="cache_for must be a timedelta"):
        task(cache_for="a day")(lambda: None)  # type: ignore[call-overload]


# --- targets and checkpoints ---------------------------------------------------------------------


def test_a_target_is_written_once_and_then_read(tmp_path: Path) -> None:
    runs: list[str] = []

    @task(
        result=LocalResult(str(tmp_path / "kept"), serializer=JSONSerializer()),
        target="{flow_name}/{month}-{rows}.json",
    )
    def load(month: str) -> dict[str, str]:
        runs.append(month)
        return {"month": month}

    with Flow("targets") as flow:
        Parameter("rows", 3)()
        loaded = load(Parameter("month"))
    assert flow.run(month="2022-03").result[loaded].is_successful()
    assert json.loads((tmp_path / "kept/targets/2022-03-3.json").read_text()) == {
        "month": "2022-03"
    }
    again = flow.run(month="2022-03").result[loaded]
    assert (again.kind, again.result) == (StateKind.CACHED, {"month": "2022-03"})
    flow.run(month="2022-04")
    assert runs == ["2022-03", "2022-04"]


def test_a_target_may_be_a_function(tmp_path: Path) -> None:
    def place(task_name: str, today: str, number: int) -> str:
        return f"{task_name}/{today}/{number}"

    @task(result=LocalResult(tmp_path), target=place)
    def load(number: int) -> int:
        return number

    with Flow("targets") as flow:
        load.map([1, 2])
    flow.run()
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    names = {path.name for path in (tmp_path / "load" / today).iterdir()}
    assert names == {"1", "2"}


def test_a_target_that_names_what_is_not_there_fails_the_task() -> None:
    @task(target="{moonth}.json")
    def load(month: str) -> str:
        return month

    with Flow("targets") as flow:
        loaded = load("2022-03")
    state = flow.run().result[loaded]
    assert state.is_failed()
    assert "moonth" in state.message
    assert "month" in state.message


def references(flow: Flow) -> dict[str, str]:
    recorder = get_recorder()
    newest = recorder.call(ListFlowRuns(flow_name=flow.name)).flow_runs[0]
    runs = recorder.call(ListTaskRuns(flow_run_id=newest.flow_run_id))
    return {run.task_slug: run.result for run in runs}


def test_a_flows_result_holds_for_the_tasks_that_have_none(tmp_path: Path) -> None:
    @task
    def load() -> bytes:
        return b"trips" * 1000

    @task(checkpoint=False)
    def scratch() -> bytes:
        return b"scratch" * 1000

    with Flow("kept", result=LocalResult(tmp_path / "kept")) as flow:
        load(), scratch()
    flow.run()
    found = references(flow)
    assert found["scratch-1"] == ""
    assert found["load-1"].startswith('at:["load-1", "loopline-results/')
    (file,) = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert PickleSerializer().deserialize(file.read_bytes()) == b"trips" * 1000


def test_a_run_goes_on_from_results_that_are_kept_elsewhere(tmp_path: Path) -> None:
    from loopline.flows.running.engine import run_flow

    runs: list[str] = []

    @task(result=LocalResult(tmp_path / "kept"))
    def load() -> str:
        runs.append("load")
        return "trips"

    @task
    def train(trips: str) -> int:
        runs.append("train")
        return len(trips)

    with Flow("kept") as flow:
        trained = train(load())
    flow.run()
    recorder = get_recorder()
    newest = recorder.call(ListFlowRuns()).flow_runs[0]
    known = recorder.call(ListTaskRuns(flow_run_id=newest.flow_run_id))
    initial = [run for run in known if run.task_slug == "load-1"]
    assert run_flow(flow, initial=initial).result[trained].result == 5
    assert runs == ["load", "train", "train"]


# --- result types --------------------------------------------------------------------------------


def test_a_local_result_is_written_read_and_found(tmp_path: Path) -> None:
    result = LocalResult(tmp_path, location="{month}/trips")
    assert not result.exists("{month}/trips", month="2022-03")
    written = result.write([1, 2], month="2022-03")
    assert written.location == "2022-03/trips"
    assert result.exists("2022-03/trips")
    assert result.read("2022-03/trips").value == [1, 2]
    with pytest.raises(NotFoundError, match="No result"):
        result.read("2022-04/trips")
    with pytest.raises(InvalidInputError, match="month"):
        result.write([1])
    with pytest.raises(InvalidInputError, match="~"):
        LocalResult("~/results")


def test_a_prefect_result_is_its_own_location() -> None:
    written = PrefectResult().write({"rmse": 3.9})
    assert written.location == '{"rmse": 3.9}'
    assert PrefectResult().read(str(written.location)).value == {"rmse": 3.9}
    assert not PrefectResult().exists("{")
    with pytest.raises(InvalidInputError, match="JSON"):
        PrefectResult().read("{")


def test_constants_and_secrets_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from loopline.flows.secrets import PrefectSecret

    assert ConstantResult(value=3).read("anywhere").value == 3
    assert ConstantResult().write(4).value == 4
    monkeypatch.setenv("LOOPLINE__CONTEXT__SECRETS__PASSWORD", "hunter2")
    secret = SecretResult(PrefectSecret("PASSWORD"))
    assert secret.read("").value == "hunter2"
    assert secret.exists("")


@pytest.mark.parametrize(
    ("serializer", "value"),
    [
        (PickleSerializer(), {"a": (1, 2)}),
        (JSONSerializer(), {"a": [1, None]}),
        (DateTimeSerializer(), datetime(2022, 3, 1, tzinfo=UTC)),
        (CompressedSerializer(JSONSerializer(), "gzip"), [1] * 100),
        (CompressedSerializer(PickleSerializer(), "bz2"), b"x" * 100),
        (CompressedSerializer(JSONSerializer(), "lzma", compress_kwargs={"preset": 1}), "y"),
        (CompressedSerializer(JSONSerializer(), compress=gzip.compress,
                              decompress=gzip.decompress), "z"),
    ],
)  # fmt: skip
def test_serializers_give_back_what_they_got(serializer: Serializer, value: object) -> None:
    data = serializer.serialize(value)
    assert type(data) is bytes
    assert serializer.deserialize(data) == value


def test_tables_are_kept_as_data() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"fare": [5.5, 7.0]})
    kwargs: dict[str, Any] = {"serialize_kwargs": {"index": False}}
    for serializer in (PandasSerializer("csv", **kwargs), PandasSerializer("json")):
        assert serializer.deserialize(serializer.serialize(table)).equals(table)
    with pytest.raises(InvalidInputError, match="PickleSerializer"):
        PandasSerializer("pickle")
    with pytest.raises(InvalidInputError, match="to_csv"):
        PandasSerializer("csv").serialize([1])


def test_serializers_with_the_same_settings_are_equal() -> None:
    assert PandasSerializer("csv") == PandasSerializer("csv") != PandasSerializer("json")
    with pytest.raises(InvalidInputError, match="zip"):
        CompressedSerializer(JSONSerializer(), "zip")


def test_what_a_cache_holds_is_no_key_of_people() -> None:
    Counted(cache_for=HOUR).run()
    recorder = get_recorder()
    assert recorder.call(FindKeyValues()) == []
    assert len(recorder.call(FindKeyValues(space="cache"))) == 1
