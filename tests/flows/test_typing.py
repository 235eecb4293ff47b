"""The types of flows as users see them; mypy checks what this file asserts."""

from __future__ import annotations

from typing import Any, assert_type

from loopline.flows import Flow, FunctionTask, Parameter, task


@task
def train(month: str, depth: int = 3) -> float:
    return len(month) / depth


@task(name="tell people", max_retries=2, nout=2)
def notify(rmse: float) -> tuple[str, int]:
    return str(rmse), 1


def test_a_decorated_function_keeps_its_signature() -> None:
    kept: FunctionTask[[str, int], float] = train
    assert kept is train
    assert_type(train.run("2022-03", depth=2), float)


def test_results_are_arguments_of_other_tasks() -> None:
    with Flow("taxi fares") as flow:
        rmse = train(Parameter("month"))
        assert_type(rmse, Any)
        text, number = notify(rmse, upstream_tasks=[train("2022-04")])
        notify(train("2022-03", 3))
    assert len(flow.tasks) == 8
    assert text is not number
