"""What is kept of runs that programs start: names of task runs, and what started the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.conftest import Shell

from loopline.backend.recorder import get_recorder
from loopline.flows import Flow, task
from loopline.records import operations as ops
from loopline.records.flows import Origin

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@task(task_run_name="train {month}")
def train(month: str) -> str:
    return month


@task(task_run_name="evaluate")
def evaluate() -> None:
    """Its name says no more than the task's."""


@task
def start_another() -> None:
    with Flow("inner") as inner:
        evaluate()
    inner.run()


def test_names_and_parents_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path))
    with Flow("outer") as outer:
        train.map(["2022-01", "2022-02"])
        start_another()
    outer.run()
    recorder = get_recorder()
    recorder.flush()
    (run,) = recorder.backend.call(ops.ListFlowRuns(flow_name="outer")).flow_runs
    (inner,) = recorder.backend.call(ops.ListFlowRuns(flow_name="inner")).flow_runs
    assert (inner.origin, inner.started_by) == (Origin.FLOW_RUN, run.flow_run_id)
    assert run.origin is Origin.PERSON

    shell = Shell(tmp_path, [], capsys)
    shown = shell("flow-runs", "show", run.flow_run_id).out
    assert "train-1[1] (train 2022-02) " in shown
    assert "start_another-1 " in shown
    told = shell("flow-runs", "show", inner.flow_run_id)
    assert f"flow run {run.flow_run_id[:8]}" in told.out
    assert "evaluate-1 " in told.out
    as_json = shell("flow-runs", "show", run.flow_run_id, "--json").json
    assert {each.get("name", "") for each in as_json["task_runs"]} >= {"train 2022-01"}
