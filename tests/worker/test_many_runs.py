"""Many runs, slots and processes on one home: no run is lost or doubled, nothing is locked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest
from tests.worker.workshop import wait

from loopline.records.flows import StateKind
from loopline.records.operations import CloseLostFlowRuns, GetFlowRun, ListFlowRuns

if TYPE_CHECKING:
    from tests.worker.workshop import Workshop

#: Processes that ask for runs, and how many each asks for.
ASKING, EACH = 4, 12

COUNTING = """
    @task
    def count(number):
        note(f"run {number}")

    with Flow("count") as flow:
        count(Parameter("number"))
    flow.register("wagoncab project")
"""

ASK = f"""
    import sys
    from loopline.backend.local import LocalBackend
    from loopline.records.operations import CreateFlowRun
    from loopline.settings import Address

    backend = LocalBackend(Address("home", sys.argv[1]))
    for number in range({EACH}):
        backend.call(CreateFlowRun(
            project="wagoncab project", name="count",
            parameters={{"number": int(sys.argv[2]) * {EACH} + number}},
        ))
    backend.close()
"""

WAITING = """
    @task
    def train():
        note("training")
        wait_for("data")

    with Flow("retrain") as flow:
        train()
    flow.register("wagoncab project")
"""


@pytest.mark.deep
@pytest.mark.timeout(400)
def test_runs_that_many_processes_ask_for_run_once_each(workshop: Workshop) -> None:
    script = "    from loopline.flows.parameter import Parameter\n" + COUNTING
    workshop.register(script)
    for name in "ab":
        workshop.start_worker(name, slots=3)
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(ASK), workshop.uri, str(number)],
            stderr=subprocess.PIPE,
        )
        for number in range(ASKING)
    ]
    for process in asking:
        _, errors = process.communicate()
        assert (process.returncode, errors) == (0, b"")
    total = ASKING * EACH

    def done() -> bool:
        page = workshop.backend.call(
            ListFlowRuns(states=[StateKind.SUCCESS, StateKind.FAILED], max_results=1000)
        )
        return len(page.flow_runs) == total

    wait(done, timeout_s=300.0)
    assert sorted(workshop.notes()) == sorted(f"run {number}" for number in range(total))
    for name in "ab":
        assert "locked" not in workshop.worker_log(name)


@pytest.mark.deep
def test_a_worker_that_was_stopped_for_a_while_goes_on_when_nobody_took_over(
    workshop: Workshop,
) -> None:
    workshop.register(WAITING)
    worker = workshop.start_worker("sleeper", lease_s=2)
    flow_run_id = workshop.ask_for_run("retrain")
    workshop.wait_for_note("training")
    os.kill(worker.pid, signal.SIGSTOP)
    wait(lambda: workshop.backend.call(CloseLostFlowRuns()) == [flow_run_id])
    run = workshop.backend.call(GetFlowRun(flow_run_id=flow_run_id))
    assert run.message.startswith("lost: nothing was heard of sleeper any more")
    time.sleep(1.0)
    os.kill(worker.pid, signal.SIGCONT)
    workshop.wait_for_state(flow_run_id, StateKind.RUNNING)
    workshop.allow("data")
    workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
    assert workshop.notes() == ["training"]


@pytest.mark.deep
def test_a_dead_workers_run_is_noted_as_lost_by_the_worker_that_goes_on(
    workshop: Workshop,
) -> None:
    workshop.register(WAITING)
    first = workshop.start_worker("first", lease_s=2)
    flow_run_id = workshop.ask_for_run("retrain")
    workshop.wait_for_note("training")
    first.kill()
    workshop.start_worker("second", lease_s=2)
    wait(lambda: workshop.notes() == ["training"] * 2)
    workshop.allow("data")
    run = workshop.wait_for_state(flow_run_id, StateKind.SUCCESS)
    assert run.worker == "second"
