"""Prefect's client, views and agent, over a real home and a real worker."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import loopline
from loopline.compat.prefect import Client, Flow, task
from loopline.compat.prefect.backend import FlowRunView, FlowView, TaskRunView, watch_flow_run
from loopline.compat.prefect.storage import Local
from loopline.errors import NotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGENT = """
from loopline.compat.prefect.agent.local import LocalAgent
LocalAgent(labels=["taxi"], name="cab").start()
"""


@pytest.fixture
def flow_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("LOOPLINE_URI", str(tmp_path))
    loopline.set_tracking_uri(str(tmp_path))

    @task
    def fares(month: int) -> list[int]:
        return [month, month + 1]

    @task(log_stdout=True)
    def double(fare: int) -> int:
        print(f"fare {fare}")
        return 2 * fare

    with Flow("fares", storage=Local(labels=["taxi"])) as flow:
        double.map(fares(loopline.Parameter("month", default=1)))
    made = Client().register(flow, "wagoncab", no_url=True)
    yield made
    loopline.set_tracking_uri("")


@pytest.fixture
def agent(flow_id: str, tmp_path: Path) -> Iterator[None]:  # noqa: ARG001 - it is registered first
    process = subprocess.Popen([sys.executable, "-c", AGENT], cwd=tmp_path)
    yield
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.mark.usefixtures("agent")
def test_a_run_is_asked_for_watched_and_looked_at(flow_id: str) -> None:
    client = Client()
    view = FlowView.from_flow_name("fares")
    assert (view.flow_id, view.labels, view.parameters) == (flow_id, {"taxi"}, {"month": 1})
    asked = {"flow_id": flow_id, "parameters": {"month": 7}, "idempotency_key": "once"}
    run_id = client.create_flow_run(**asked)  # type: ignore[arg-type]
    assert client.create_flow_run(**asked) == run_id  # type: ignore[arg-type]
    seen = [line.message for line in watch_flow_run(run_id)]
    states = [said.partition(":")[0] for said in seen if said.startswith("Entered state")]
    entered = [
        f"Entered state <{each}>" for each in ("Scheduled", "Submitted", "Running", "Success")
    ]
    assert states == entered, "also those between two looks"
    run = FlowRunView.from_flow_run_id(run_id)
    assert run.state.is_successful()
    assert {"fare 7", "fare 8"} <= {line.message for line in run.get_logs()}
    assert len(seen) == len(set(seen)), "a line came twice"
    mapped = run.get_task_run(task_slug="double-1")
    assert mapped.get_result() == [14, 16]
    assert [child.map_index for child in mapped.iter_mapped()] == [0, 1]
    assert TaskRunView.from_task_run_id(f"{run_id}/double-1/1").get_result() == 16
    info = client.get_flow_run_info(run_id)
    assert (info.parameters, info.project) == ({"month": 7}, "wagoncab")


def test_what_is_not_there_or_cannot_be_is_said(flow_id: str) -> None:
    with pytest.raises(NotFoundError, match="loopline flows list"):
        FlowView.from_flow_name("fare")
    with pytest.raises(NotFoundError, match="no id of a task run"):
        TaskRunView.from_task_run_id("double")
    with pytest.raises(UnsupportedError, match="parameters or labels"):
        Client().create_flow_run(flow_id, context={"x": 1})
    with pytest.raises(UnsupportedError, match=r"openapi\.json"):
        Client().graphql("{ hello }")
    run_id = Client().create_flow_run(flow_id)
    assert Client().cancel_flow_run(run_id)
    assert Client().get_flow_run_state(run_id).is_cancelled()
