"""Prefect 1's ``flow.visualize()``: drawn before a run, coloured by the states after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.running import run

from loopline.flows import Flow, Parameter, case, flatten, merge, resource_manager, task

if TYPE_CHECKING:
    from pathlib import Path


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def add(x: int) -> int:
    return x + 1


@resource_manager
class Disk:
    def setup(self) -> int:
        return 3

    def cleanup(self, resource: int) -> None:
        """Nothing is left of it."""


def build() -> Flow:
    with Flow("everything") as flow, Disk() as disk:  # type: ignore[attr-defined]
        many = add.map(flatten(numbers.map([1, 2])))
        with case(Parameter("go", default=False), True):  # noqa: FBT003 - a value to compare with
            more = add(disk)
        merge(more, many)
    return flow


@pytest.mark.parametrize("kind", ["svg", "dot", "mermaid"])
def test_every_kind_of_task_is_drawn_before_and_after_a_run(tmp_path: Path, kind: str) -> None:
    flow = build()
    before = flow.visualize(filename=tmp_path / "before", format=kind)
    after = flow.visualize(run(flow), filename=tmp_path / "after", format=kind)
    for name in ("Disk.setup", "Disk.cleanup", "case", "Merge", "numbers", "go"):
        assert name in before.text
    assert "kipped" in after.text
    assert before.text != after.text


def test_a_flow_is_drawn_from_left_to_right(tmp_path: Path) -> None:
    flow = build()
    dot = flow.visualize(filename=tmp_path / "flow", format="dot", horizontal=True)
    assert "rankdir=LR" in dot.text
    assert "rankdir" not in flow.visualize(filename=tmp_path / "flow", format="dot").text
    mermaid = flow.visualize(filename=tmp_path / "flow", format="mermaid", horizontal=True)
    assert "flowchart LR" in mermaid.text
    svg = flow.visualize(filename=tmp_path / "flow", horizontal=True)
    assert svg.text == flow.visualize(filename=tmp_path / "flow").text
