"""Prefect 1's ``with Flow(...)``: the graph is there, and checked, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.flows.running import result, results

from loopline.backend.recorder import get_recorder, set_tracking_uri
from loopline.errors import FlowBuildError, FlowError, IntegrityError, NotFoundError
from loopline.flows import (
    Edge,
    Flow,
    Parameter,
    Task,
    case,
    context,
    flatten,
    mapped,
    states,
    task,
)
from loopline.flows.authoring.operators import Add
from loopline.records.flows import StateKind

if TYPE_CHECKING:
    from collections.abc import Iterator


@task
def extract(month: int) -> list[int]:
    return [month, month + 1]


@task
def train(rows: list[int], depth: int = 3) -> int:
    return sum(rows) * depth


@task
def notify(model: int) -> str:
    return f"model {model}"


class Built:
    """A small flow and its tasks."""

    def __init__(self) -> None:
        with Flow("taxi fares") as self.flow:
            self.month = Parameter("month", default=1)
            self.rows = extract(self.month)
            self.model = train(self.rows, depth=2)
            self.told = notify(self.model)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Record into a fresh home."""
    set_tracking_uri(str(tmp_path))
    yield tmp_path
    get_recorder().close()
    set_tracking_uri(None)


# --- asking ----------------------------------------------------------------------------------


def test_a_flow_tells_what_leads_where() -> None:
    built = Built()
    flow = built.flow
    assert flow.root_tasks() == {built.month}
    assert flow.terminal_tasks() == flow.reference_tasks() == {built.told}
    assert flow.upstream_tasks(built.model) == {built.rows}
    assert flow.downstream_tasks(built.rows) == {built.model}
    assert flow.edges_from(built.rows) == {Edge(built.rows, built.model, "rows")}
    assert flow.all_upstream_edges()[built.month] == set()
    assert flow.all_downstream_edges()[built.month] == flow.edges_to(built.rows)
    in_order = [built.month, built.rows, built.model, built.told]
    assert list(flow) == list(flow.sorted_tasks()) == in_order
    assert flow.constants == {built.model: {"depth": 2}}
    with pytest.raises(FlowBuildError, match="not in the flow 'taxi fares'"):
        flow.edges_to(train.copy())


def test_sorting_can_begin_at_some_tasks() -> None:
    built = Built()
    assert list(built.flow.sorted_tasks([built.model])) == [built.model, built.told]
    with pytest.raises(FlowBuildError, match="not in the flow"):
        built.flow.sorted_tasks([train.copy()])


def test_a_flow_equals_its_copy_until_one_is_changed() -> None:
    flow = Built().flow
    copy = flow.copy()
    assert copy == flow
    assert hash(copy) == hash(flow)
    copy.add_task(extract.copy())
    assert copy != flow
    assert len(flow.tasks) == 4
    assert flow != "taxi fares"


# --- imperative ------------------------------------------------------------------------------


def test_values_and_lists_become_tasks_where_an_edge_needs_them() -> None:
    flow = Flow("imperative")
    trained, added = train.copy(), Add()
    assert flow.add_edge([1, 2], trained, key="rows").upstream_task.name == "[1, 2]"
    flow.add_edge(trained, added, key="x")
    flow.set_dependencies(added, keyword_tasks={"y": [trained, 5][1]})
    flow.validate()
    assert flow.tasks == {trained, added}
    assert result(flow, added) == 14


def test_edges_can_be_mapped_and_flattened() -> None:
    flow = Flow("edges")
    rows, doubled, flat = extract.copy(), train.copy(), notify.copy()
    rows.bind(month=mapped([1, 2]), flow=flow)
    doubled.set_upstream(rows, flow=flow, key="rows", mapped=True)
    edge = flow.add_edge(flatten(rows), flat, key="model", mapped=True)
    assert edge.serialize() == {
        "upstream_task": "extract",
        "downstream_task": "notify",
        "key": "model",
        "mapped": True,
        "flattened": True,
    }
    assert results(flow, doubled, flat) == [
        [9, 15],
        ["model 1", "model 2", "model 2", "model 3"],
    ]


def test_a_flow_may_begin_with_tasks_and_edges_and_be_checked_at_once() -> None:
    one, other = extract.copy(), train.copy()
    flow = Flow("given", tasks=[one], edges=[Edge(one, other, "rows")], reference_tasks=[one])
    assert flow.tasks == {one, other}
    assert flow.reference_tasks() == {one}
    with pytest.raises(FlowBuildError, match="'train-1' needs rows"):
        Flow("given", tasks=[other], validate=True)
    with pytest.raises(FlowBuildError, match="round in a circle"):
        flow.add_edge(other, one, validate=True)
    with pytest.raises(FlowBuildError, match="round in a circle"):
        flow.chain(Task(name="last"), one, validate=True)


def test_replace_puts_another_task_in_the_place_of_one() -> None:
    built = Built()
    flow = built.flow
    flow.set_reference_tasks([built.model])
    other = task(name="train deep")(lambda rows, depth: (rows, depth))
    flow.replace(built.model, other)
    assert built.model not in flow.tasks
    assert flow.upstream_tasks(other) == {built.rows}
    assert flow.downstream_tasks(other) == {built.told}
    assert flow.reference_tasks() == {other}
    assert results(flow, other, built.told) == [([1, 2], 2), "model ([1, 2], 2)"]
    flow.replace(built.month, 5)
    assert flow.root_tasks() == {built.rows}
    assert result(flow, other) == ([5, 6], 2)
    with pytest.raises(FlowBuildError, match="not in the flow"):
        flow.replace(built.model, other)


def test_replace_finds_the_task_inside_structures_too() -> None:
    with Flow("structures") as flow:
        one, other = extract(1), extract(2)
        both = notify({"models": [one, other]})
    flow.replace(one, 7)
    assert result(flow, both) == "model {'models': [7, [2, 3]]}"


def test_update_takes_over_another_flow() -> None:
    one, other = Built(), Built()
    with pytest.raises(FlowBuildError, match="parameter or task 'month'"):
        one.flow.copy().update(other.flow)
    one.flow.update(other.flow, merge_parameters=True, merge_reference_tasks=True)
    assert one.flow.parameters() == {other.month}
    assert one.flow.reference_tasks() == {one.told, other.told}
    assert results(one.flow, one.told, other.told, month=4) == ["model 18"] * 2
    assert sorted(one.flow.slugs.values()) == [
        "extract-1", "extract-2", "month", "notify-1", "notify-2", "train-1", "train-2",
    ]  # fmt: skip


def test_a_flow_can_be_entered_again() -> None:
    built = Built()
    with built.flow, case(built.told, "model 6"):
        last = notify(1)
    assert result(built.flow, last) == "model 1"


# --- telling ---------------------------------------------------------------------------------


def test_a_flow_is_described_as_data_and_by_a_hash_of_it() -> None:
    flow = Built().flow
    described = json.loads(json.dumps(flow.serialize()))
    assert described["name"] == "taxi fares"
    assert [each["slug"] for each in described["tasks"]] == [
        "extract-1", "month", "train-1", "notify-1",
    ]  # fmt: skip
    assert described["parameters"][0]["default"] == 1
    assert described["constants"] == {"train-1": {"depth": 2}}
    assert described["reference_tasks"] == ["notify-1"]
    assert described["tasks"][2]["inputs"]["depth"] == {"type": "int", "required": False}
    cached = task(cache_for=60, cache_key="fares", retry_delay=[1, 2])(lambda: 1).serialize()
    assert (cached["cache_for"], cached["cache_key"], cached["retry_delay"]) == (60.0, "fares", 1.0)
    assert flow.serialized_hash() == Built().flow.serialized_hash()
    other = Built()
    other.flow.add_edge(other.rows, other.told)
    assert flow.serialized_hash() != other.flow.serialized_hash()


def test_diagnostics_tell_settings_by_name_and_never_a_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOOPLINE_TOKEN", "do-not-tell")
    told = Built().flow.diagnostics()
    assert "do-not-tell" not in told
    assert "LOOPLINE_TOKEN" in json.loads(told)["env_vars"]
    assert json.loads(told)["flow_information"]["task_count"] == 4


def test_a_flow_is_saved_and_loaded_by_path_or_name(home: Path) -> None:
    built = Built()
    path = Path(built.flow.save())
    assert path.is_relative_to(home)
    for found in (path, "taxi fares"):
        loaded = Flow.load(found)
        assert loaded.serialize() == built.flow.serialize()
    (told,) = loaded.get_tasks(name="notify")
    assert result(loaded, told) == "model 6"


def test_a_file_that_is_no_flow_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = Path(Built().flow.save(tmp_path / "own.flow"))
    whole = path.read_bytes()
    for data in (whole[:-1], b"\x80\x05.", whole.replace(b"loopline flow 1", b"loopline flow 2")):
        path.write_bytes(data)
        with pytest.raises(IntegrityError, match="damaged"):
            Flow.load(path)
    head, _, rest = whole.partition(b"\n")
    other = json.dumps({**json.loads(head), "python": "2.7"}).encode()
    path.write_bytes(other + b"\n" + rest)
    with pytest.raises(FlowError, match=r"Python 2\.7"):
        Flow.load(path)
    with pytest.raises(NotFoundError, match=r"flow\.save"):
        Flow.load(tmp_path / "none.flow")


def test_options_for_workers_are_kept() -> None:
    flow = Flow("options", run_config={"env": {}}, storage="local")
    assert (flow.run_config, flow.storage) == ({"env": {}}, "local")
    assert flow.serialize()["run_config"] == {"type": "dict"}


# --- running ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("home")
def test_a_run_may_begin_with_task_states() -> None:
    calls: list[str] = []

    @task
    def load(month: int) -> int:
        calls.append("load")
        return month

    @task
    def double(x: int) -> int:
        calls.append("double")
        return 2 * x

    with Flow("states") as flow:
        loaded = load(Parameter("month", default=1))
        both = double.map([loaded, 5])
        last = double(loaded)
    given = {loaded: states.Success("from elsewhere", result=10)}
    state = flow.run(task_states=given)
    assert state.result[last].result == 20
    assert state.result[both].result == [20, 10]
    assert calls.count("load") == 0
    again = flow.run(state=states.Pending(result=state.result))
    assert again.result[last].result == 20
    assert len(calls) == 3
    assert flow.run(state=state) is state


@pytest.mark.usefixtures("home")
def test_a_given_failure_is_a_failure_and_a_given_skip_skips() -> None:
    with Flow("states") as flow:
        first, second = extract(1), extract(2)
        last, other = train(first), train(second)
    state = flow.run(
        task_states={first: states.Failed(result=ValueError("no")), second: states.Skipped()}
    )
    assert [StateKind(state.result[each].kind) for each in (last, other)] == [
        StateKind.TRIGGER_FAILED,
        StateKind.SKIPPED,
    ]


@pytest.mark.usefixtures("home")
def test_a_run_has_its_own_context() -> None:
    with Flow("context") as flow:
        asked = task(lambda: (context.today, context.get("flow_name")))()
    state = flow.run(context={"today": "2022-03-01", "flow_name": "other"})
    assert state.result[asked].result == ("2022-03-01", "context")


def test_a_flow_cannot_run_while_it_is_built() -> None:
    with Flow("built") as flow:
        extract(1)
        with pytest.raises(FlowBuildError, match="after its `with` block"):
            flow.run()


def test_building_and_asking_takes_no_more_for_each_task_of_a_large_flow() -> None:
    with Flow("large") as flow:
        last = extract(0)
        for number in range(10_000):
            last = notify(last) if number % 2 else last + 1
    assert len(flow.sorted_tasks()) == 10_001
    flow.validate()
