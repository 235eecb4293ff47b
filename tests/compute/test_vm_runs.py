"""Flow runs on machines of their own, from the launch to the last machine's end."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.compute.gce_double import ZONE
from tests.server.running import ask, running
from tests.worker.workshop import wait

from loopline.records.flows import StateKind
from loopline.records.operations import (
    AddUser,
    CancelFlowRun,
    CreateToken,
    GetLogs,
    ListTaskRuns,
    ListTokens,
    SearchRuns,
)
from loopline.rules.vm_names import parse_vm_name

if TYPE_CHECKING:
    from tests.compute.conftest import CloudWorkshop

    from loopline.records.flows import TaskRun
    from loopline.records.identity import Token

pytestmark = pytest.mark.deep

TRAIN = """
@task
def train():
    import loopline
    print("training on", os.environ["HOME"])
    with loopline.start_run():
        loopline.log_metric("rmse", 3.9)
    note("trained")

with Flow("train", run_config=VM) as flow:
    train()
flow.register("wagoncab project", no_url=True)
"""

LONG = """
@task
def first():
    note("first")

@task
def second():
    wait_for("go on")
    note("second")

with Flow("long", run_config=VM) as flow:
    second(upstream_tasks=[first()])
flow.register("wagoncab project", no_url=True)
"""


def task_runs(cloud: CloudWorkshop, flow_run_id: str) -> list[TaskRun]:
    return cloud.backend.call(ListTaskRuns(flow_run_id=flow_run_id))


def test_a_flow_runs_on_a_machine_of_its_own_which_is_gone_then(cloud: CloudWorkshop) -> None:
    cloud.register_on_vm(TRAIN)
    cloud.start_launcher("launcher")
    flow_run_id = cloud.ask_for_run("train")
    run = cloud.wait_for_state(flow_run_id, StateKind.SUCCESS, StateKind.FAILED)
    assert run.state is StateKind.SUCCESS, run.message
    wait(lambda: not cloud.engine.names())
    (machine,) = cloud.engine.made
    name = parse_vm_name(machine)
    assert name is not None
    assert (name.flow_run, name.token) == (flow_run_id, run.token)
    lines = cloud.backend.call(GetLogs(flow_run_id=flow_run_id))
    assert any(f"training on {cloud.engine._folder / machine}" in line.message for line in lines)
    assert cloud.notes() == ["trained"]


def test_a_machine_goes_on_without_its_launcher_and_deletes_itself(cloud: CloudWorkshop) -> None:
    cloud.register_on_vm(LONG)
    launcher = cloud.start_launcher("launcher")
    flow_run_id = cloud.ask_for_run("long")
    cloud.wait_for_note("first")
    launcher.kill()
    time.sleep(4)  # Longer than the launcher's lease.
    cloud.allow("go on")
    cloud.wait_for_state(flow_run_id, StateKind.SUCCESS)
    wait(lambda: not cloud.engine.names())
    assert len(cloud.engine.made) == 1


def test_a_machine_that_is_taken_back_is_replaced_and_goes_on(cloud: CloudWorkshop) -> None:
    cloud.register_on_vm(LONG)
    cloud.start_launcher("launcher")
    flow_run_id = cloud.ask_for_run("long")
    wait(lambda: "Success" in [task.state for task in task_runs(cloud, flow_run_id)])
    cloud.engine.kill(cloud.engine.made[0])
    cloud.allow("go on")
    cloud.wait_for_state(flow_run_id, StateKind.SUCCESS)
    wait(lambda: not cloud.engine.names())
    assert cloud.notes() == ["first", "second"]
    assert len(cloud.engine.made) == 2


def test_a_machine_that_cannot_begin_fails_the_run_with_its_last_words(
    cloud: CloudWorkshop,
) -> None:
    cloud.register_on_vm(
        TRAIN.replace("run_config=VM", "run_config=broken").replace(
            "with Flow",
            """
import msgspec
broken = msgspec.structs.replace(VM, before="echo no such disk >&2; exit 1", tries=1)
with Flow""",
        )
    )
    cloud.start_launcher("launcher")
    flow_run_id = cloud.ask_for_run("train")
    run = cloud.wait_for_state(flow_run_id, StateKind.FAILED)
    assert "no such disk" in run.message
    wait(lambda: not cloud.engine.names())


def test_a_cloud_that_refuses_for_good_fails_the_run_with_its_reason(cloud: CloudWorkshop) -> None:
    cloud.engine.refuse = 1
    cloud.register_on_vm(TRAIN, tries=1)
    cloud.start_launcher("launcher")
    run = cloud.wait_for_state(cloud.ask_for_run("train"), StateKind.FAILED)
    assert "Quota 'CPUS' exceeded" in run.message
    assert cloud.engine.made == []


def test_a_cancelled_run_leaves_no_machine(cloud: CloudWorkshop) -> None:
    cloud.register_on_vm(LONG)
    cloud.start_launcher("launcher")
    flow_run_id = cloud.ask_for_run("long")
    cloud.wait_for_note("first")
    cloud.backend.call(CancelFlowRun(flow_run_id=flow_run_id))
    cloud.wait_for_state(flow_run_id, StateKind.CANCELLED)
    wait(lambda: not cloud.engine.names())
    assert cloud.notes() == ["first"]


def test_the_time_of_a_machine_is_kept_by_the_cloud_itself(cloud: CloudWorkshop) -> None:
    cloud.register_on_vm(LONG, deadline_s=6)
    launcher = cloud.start_launcher("launcher")
    cloud.ask_for_run("long")
    cloud.wait_for_note("first")
    launcher.kill()
    wait(lambda: not cloud.engine.names(), timeout_s=20)


def test_a_script_runs_on_a_machine_and_its_log_comes_back(cloud: CloudWorkshop) -> None:
    cloud.write(
        {
            "train.py": """
                import sys
                from prices import START
                import loopline
                print("training with", *sys.argv[1:])
                with loopline.start_run():
                    loopline.log_metric("fare", START)
            """,
            "prices.py": "START = 2.5",
        }
    )
    cloud.start_launcher("launcher")
    done = loopline(
        cloud, "run", "--on", "vm", "--zone", ZONE, "--size", "e2-small", "--set",
        f"port={cloud.engine.port}", "--set", "host=127.0.0.1", "--set", "secure=false",
        "--image-python", sys.executable, "--hours", "0.1", str(cloud.project / "train.py"),
        "--fare", "7",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "training with --fare 7" in done.stdout
    (run,) = cloud.backend.call(SearchRuns(experiment_ids=["0"])).runs
    assert run.metrics["fare"].value == 2.5
    wait(lambda: not cloud.engine.names())
    assert len(cloud.engine.made) == 1


def test_models_are_served_on_a_machine_until_they_are_cancelled(cloud: CloudWorkshop) -> None:
    (cloud.project / "fares.py").write_text(
        "import numpy as np, pandas as pd, loopline, loopline.sklearn\n"
        "from sklearn.linear_model import LinearRegression\n"
        "trips = pd.DataFrame({'miles': np.arange(5.0)})\n"
        "with loopline.start_run():\n"
        "    loopline.sklearn.log_model(LinearRegression().fit(trips, 3 + 2 * trips['miles']),\n"
        "        'model', registered_model_name='fares', input_example=trips)\n"
    )
    subprocess.run(
        [sys.executable, "fares.py"], cwd=cloud.project, env=cloud._environment(), check=True
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cloud.start_launcher("launcher")
    asked = loopline(
        cloud, "serve", "models:/fares/1", "--on", "vm", "--zone", ZONE, "--size", "e2-small",
        "--set", f"port={cloud.engine.port}", "--set", "host=127.0.0.1", "--set", "secure=false",
        "--image-python", sys.executable, "--hours", "0.1", "--port", str(port), "--json",
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    flow_run_id = json.loads(asked.stdout)["flow_run_id"]
    body = b'{"inputs": {"miles": [2.0]}}'

    def answered() -> bool:
        try:
            answer = ask(f"http://127.0.0.1:{port}", "POST", "/invocations", body,
                         {"Content-Type": "application/json"})  # fmt: skip
        except OSError:
            return False
        assert json.loads(answer.body)["predictions"] == pytest.approx([7])
        return answer.headers["X-Loopline-Model-Version"] == "1"

    wait(answered)
    cloud.backend.call(CancelFlowRun(flow_run_id=flow_run_id))
    cloud.wait_for_state(flow_run_id, StateKind.CANCELLED)
    wait(lambda: not cloud.engine.names())
    with pytest.raises(ConnectionRefusedError):
        ask(f"http://127.0.0.1:{port}", "GET", "/ping")


def test_machines_are_shown_and_strays_deleted_by_hand(cloud: CloudWorkshop) -> None:
    cloud.register_on_vm(LONG)
    launcher = cloud.start_launcher("launcher")
    flow_run_id = cloud.ask_for_run("long")
    cloud.wait_for_note("first")
    launcher.kill()
    (shown,) = json.loads(loopline(cloud, "vms", "list", "--json").stdout)
    assert (shown["flow_run_id"], shown["state"], shown["stray"]) == (flow_run_id, "running", "")
    assert "Deleted 0 machines" in loopline(cloud, "vms", "reap").stdout
    cloud.engine.kill(shown["name"])
    assert "it has stopped" in loopline(cloud, "vms", "list").stdout
    assert f"Deleted {shown['name']}: it has stopped" in loopline(cloud, "vms", "reap").stdout
    assert cloud.engine.names() == []
    assert "No machines" in loopline(cloud, "vms", "list").stderr
    assert loopline(cloud, "vms", "list", "--zone", "x").returncode == 2


def test_a_machine_gets_a_token_of_its_own_that_ends_with_the_flow_run(
    cloud: CloudWorkshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.backend.call(AddUser(name="eva", role="editor"))
    own = cloud.backend.call(CreateToken(user="eva", name="launcher")).secret
    monkeypatch.setenv("LOOPLINE_TOKEN", own)
    with running(cloud.backend.address, auth=True) as url:
        cloud.uri = url
        cloud.register_on_vm(TRAIN)
        cloud.start_launcher("launcher")
        flow_run_id = cloud.ask_for_run("train")
        run = cloud.wait_for_state(flow_run_id, StateKind.SUCCESS, StateKind.FAILED)
        assert run.state is StateKind.SUCCESS, run.message
        wait(lambda: not cloud.engine.names())

        def revoked() -> Token | None:
            tokens = cloud.backend.call(ListTokens(user="eva"))
            named = [each for each in tokens if flow_run_id in each.name]
            return next((each for each in named if each.revoked_ms), None)

        token = wait(revoked)
        assert (token.scope, token.expires_ms - token.created_ms) == ("write", 86_400_000)
        script = cloud.engine.script(cloud.engine.made[0])
        assert own not in script
        assert "LOOPLINE_TOKEN=loopline_" in script
        for line in cloud.backend.call(GetLogs(flow_run_id=flow_run_id)):
            assert "loopline_" not in line.message


def test_a_flow_run_and_its_token_belong_together(cloud: CloudWorkshop) -> None:
    for option in ("--flow-run", "--token"):
        assert loopline(cloud, "worker", option, "7").returncode == 2


def loopline(cloud: CloudWorkshop, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "loopline.cli", *arguments],
        cwd=cloud.elsewhere,
        env=cloud._environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
