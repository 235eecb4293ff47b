"""Prefect 1's mapping: ``map``, ``mapped``, ``unmapped``, ``flatten``, ``apply_map``."""

from __future__ import annotations

from typing import Any

import pytest
from tests.flows.running import kinds, result, results, run

from loopline.errors import FlowBuildError
from loopline.flows import (
    FilterTask,
    Flow,
    Parameter,
    Task,
    apply_map,
    case,
    flatten,
    mapped,
    merge,
    signals,
    switch,
    task,
    triggers,
    unmapped,
)
from loopline.records.flows import StateKind


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task
def total(values: list[int]) -> int:
    return sum(values)


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def is_even(x: int) -> bool:
    return x % 2 == 0


def test_a_mapped_task_over_a_mapped_task_and_a_reduction() -> None:
    with Flow("map") as flow:
        first = add.map(numbers(3))
        second = add.map(first, y=first)
        reduced = total(second)
    assert results(flow, first, second, reduced) == [[1, 2, 3], [2, 4, 6], 12]


def test_mapped_and_unmapped_say_how_each_input_is_taken() -> None:
    with Flow("annotations") as flow:
        one = add(mapped(numbers(3)), 5)
        other = add.map(numbers(3), y=unmapped(add(1)))
        same = add(x=mapped([1, 2]), y=mapped([3, 4]))
        whole = total.map(unmapped([1, 2]), upstream_tasks=[add.map([1, 2, 3])])
    assert results(flow, one, other, same, whole) == [[5, 6, 7], [2, 3, 4], [4, 6], [3, 3, 3]]


def test_the_shortest_input_says_how_many_children_there_are() -> None:
    with Flow("shortest") as flow:
        made = add.map([1, 2, 3], y=(10, 20))
    assert result(flow, made) == [11, 22]


def test_flatten_takes_the_elements_of_elements() -> None:
    with Flow("flatten") as flow:
        lists = numbers.map([1, 2, 3])
        each = add.map(flatten(lists))
        plain = add.map(flatten([[1], (2, 3)]))
        of_one = add.map(flatten(task(lambda: [[1], [2, 3]])()))
        whole = total(flatten(lists))
        twice = add.map(x=flatten(numbers.map(flatten(numbers.map([3, 2])))), y=unmapped(0))
    assert results(flow, each, plain, of_one, whole, twice) == [
        [1, 1, 2, 1, 2, 3],
        [2, 3, 4],
        [2, 3, 4],
        4,
        [0, 0, 1, 0],
    ]
    (edge,) = flow.edges_to(each)
    assert (edge.mapped, edge.flattened) == (True, True)


def test_what_has_no_elements_cannot_be_mapped_over() -> None:
    with Flow("none") as flow:
        with pytest.raises(FlowBuildError, match="unmapped"):
            add.map(3)
        made = add.map(add(1))
    assert kinds(run(flow), made) == [StateKind.FAILED]


def test_children_have_states_of_their_own() -> None:
    @task
    def divide(x: int) -> float:
        return 6 / x

    with Flow("states") as flow:
        divided = divide.map([1, 0, 3])
        after = task(trigger=triggers.all_finished)(lambda x: repr(x)).map(divided)  # noqa: PLW0108
        added = add.map(divided)
    state = run(flow)
    assert [each.kind for each in state.result[divided].map_states] == [
        StateKind.SUCCESS,
        StateKind.FAILED,
        StateKind.SUCCESS,
    ]
    assert state.result[after].result == ["6.0", "ZeroDivisionError('division by zero')", "2.0"]
    assert [each.kind for each in state.result[added].map_states] == [
        StateKind.SUCCESS,
        StateKind.TRIGGER_FAILED,
        StateKind.SUCCESS,
    ]


# --- apply_map -------------------------------------------------------------------------------


def add_if_even(x: Any) -> Any:  # noqa: ANN401 - a task
    with case(is_even(x), True):  # noqa: FBT003 - a value to compare with
        even = add(x)
    return merge(even, x)


def test_apply_map_maps_a_function_with_control_flow() -> None:
    with Flow("apply") as flow:
        constants = apply_map(add_if_even, range(4))
        computed = apply_map(add_if_even, numbers(4))
        mapped_before = apply_map(add_if_even, add.map(numbers(4)))
    assert results(flow, constants, computed, mapped_before) == [
        [1, 1, 3, 3],
        [1, 1, 3, 3],
        [1, 3, 3, 5],
    ]


def test_apply_map_takes_arguments_whole_or_flattened() -> None:
    def piece(x: Any, y: Any, z: Any = 0) -> Any:  # noqa: ANN401 - tasks
        return add(add(x, y), z)

    with Flow("apply") as flow:
        one = apply_map(piece, numbers(3), unmapped(10), z=unmapped(Parameter("z", default=100)))
        other = apply_map(piece, flatten([[1], [2, 3]]), y=[0, 0, 1])
        third = apply_map(piece, flatten(numbers.map([1, 2])), unmapped(5))
    assert results(flow, one, other, third) == [[110, 111, 112], [1, 2, 4], [5, 5, 6]]


def test_apply_map_maps_tasks_that_take_nothing_and_structures() -> None:
    @task
    def one() -> int:
        return 1

    def piece(x: Any) -> tuple[Any, Any]:  # noqa: ANN401 - a task
        return one(), total([x, [x, 1][1], add(x)])

    with Flow("apply") as flow:
        ones, totals = apply_map(piece, [5, 6])
        many, _ = apply_map(piece, numbers(3))
    assert results(flow, ones, totals, many) == [[1, 1], [12, 14], [1, 1, 1]]


def test_apply_map_with_a_switch_and_inside_a_case() -> None:
    def piece(x: Any) -> Any:  # noqa: ANN401 - a task
        odd, even = add(x, 100), add(x, 200)
        switch(is_even(x), {True: even, False: odd})
        return merge(odd, even)

    with Flow("apply") as flow, case(Parameter("go"), True):  # noqa: FBT003 - to compare with
        found = apply_map(piece, numbers(2))
    assert result(flow, found, go=True) == [200, 101]
    assert run(flow, go=False).result[found].is_skipped()


def test_a_failed_child_stands_for_one_element_of_what_is_flattened() -> None:
    @task
    def up_to(count: int) -> list[int]:
        if count == 2:
            msg = "no two"
            raise ValueError(msg)
        return list(range(count))

    with Flow("flatten") as flow:
        lists = up_to.map([1, 2, 3])
        each = add.map(flatten(lists))
        told = task(trigger=triggers.all_finished)(lambda x: repr(x)).map(flatten(lists))  # noqa: PLW0108
        kept = FilterTask()(each)
    state = run(flow)
    assert [child.kind for child in state.result[each].map_states] == [
        StateKind.SUCCESS,
        StateKind.TRIGGER_FAILED,
        *[StateKind.SUCCESS] * 3,
    ]
    assert state.result[told].result == ["0", "ValueError('no two')", "0", "1", "2"]
    assert state.result[kept].result == [1, 1, 2, 3]


def test_a_skipped_child_skips_what_takes_its_place_when_flattened() -> None:
    @task
    def up_to(count: int) -> list[int]:
        if count == 2:
            msg = "not two"
            raise signals.SKIP(msg)
        return list(range(count))

    with Flow("flatten") as flow:
        each = add.map(flatten(up_to.map([1, 2, 1])))
        none = add.map(flatten(up_to.map([])))
    state = run(flow)
    assert [child.kind for child in state.result[each].map_states] == [
        StateKind.SUCCESS, StateKind.SKIPPED, StateKind.SUCCESS,
    ]  # fmt: skip
    assert state.result[none].result == []


def test_apply_map_adds_to_a_flow_that_is_given() -> None:
    def piece(x: Any, flow: Flow) -> Any:  # noqa: ANN401 - a task
        return add(x, flow=flow)

    flow = Flow("imperative")
    found = apply_map(piece, [1, 2], flow=flow)
    assert result(flow, found) == [2, 3]


def test_apply_map_refuses_what_it_cannot_map() -> None:
    with pytest.raises(FlowBuildError, match="outside a flow"):
        apply_map(add_if_even, [1])
    with Flow("apply"):
        with pytest.raises(FlowBuildError, match="cannot map over 3"):
            apply_map(add_if_even, 3)
        with pytest.raises(FlowBuildError, match="mapped as a whole"):
            apply_map(add.map, [[1]])


def test_a_piece_waits_for_all_arguments_whichever_its_tasks_take() -> None:
    with Flow("apply") as flow:
        first, second = numbers(2), numbers(3)
        made = apply_map(lambda x, y: (add(x), add(y)), first, second)
    for each in made:
        assert flow.upstream_tasks(each) == {first, second}
    assert results(flow, *made) == [[1, 2], [1, 2]]


def test_a_task_without_arguments_is_mapped_over_what_it_runs_after() -> None:
    with Flow("order") as flow:
        made = Task(name="wait").map(upstream_tasks=[numbers(3)])
    assert result(flow, made) == [None, None, None]
