"""Commands that change flow runs, and show who runs them."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import Shell
from tests.store.flow_story import PROJECT, ask, claimed, register, tell

from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.flows import StateKind
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLOW = f"{PROJECT}/retrain"


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[LocalBackend]:
    backend = LocalBackend(Address("home", str(tmp_path / ".loopline")))
    register(backend)
    yield backend
    backend.close()


@pytest.fixture
def shell(
    backend: LocalBackend, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    from pathlib import Path

    monkeypatch.setenv("LOOPLINE_ACTOR", "vera")
    return Shell(Path(backend.address.text), [], capsys)


def failed(backend: LocalBackend) -> str:
    flow_run_id = ask(backend, run_name="march")
    tell(backend, claimed(backend), StateKind.FAILED, extract=StateKind.FAILED)
    return flow_run_id


def test_a_failed_run_is_retried_and_its_history_says_who(
    shell: Shell, backend: LocalBackend
) -> None:
    flow_run_id = failed(backend)
    ran = shell("flow-runs", "retry", flow_run_id[:6], "--reason", "the source is back")
    assert ran.out == "march waits for a worker, which goes on from its finished tasks.\n"
    shown = shell("flow-runs", "show", flow_run_id)
    assert "retried by vera: the source is back" in shown.out
    assert "a worker: none is here; `loopline worker` starts one" in shown.out
    again = shell("flow-runs", "retry", flow_run_id)
    assert (again.code, "cancel it first" in again.err.lower()) == (1, True)


def test_a_run_is_run_again_from_a_task(shell: Shell, backend: LocalBackend) -> None:
    flow_run_id = failed(backend)
    assert shell("flow-runs", "rerun", flow_run_id).code == 2
    assert shell("flow-runs", "rerun", flow_run_id, "--from", "fit", "--from-scratch").code == 2
    wrong = shell("flow-runs", "rerun", flow_run_id, "--from", "exract")
    assert (wrong.code, "extract-1" in wrong.err) == (1, True)
    ran = shell("flow-runs", "rerun", flow_run_id, "--from", "extract", "--json")
    assert (ran.json["state"], ran.json["message"]) == (
        "Scheduled",
        "run again from extract-1 by vera",
    )


def test_a_run_is_paused_and_resumed(shell: Shell, backend: LocalBackend) -> None:
    flow_run_id = ask(backend, run_name="march")
    assert shell("flow-runs", "pause", flow_run_id).out == "march is paused now.\n"
    assert shell("flow-runs", "resume", flow_run_id).out == "march goes on.\n"
    claimed(backend)
    asked = shell("flow-runs", "pause", flow_run_id)
    assert asked.out == "march pauses when the tasks that run have ended.\n"


def test_a_run_is_asked_for_with_all_there_is_to_say_and_changed(shell: Shell) -> None:
    said = ("--label", "gpu", "--priority", "5", "--note", "strike", "--key", "2022-03")
    first = shell("flows", "run", FLOW, *said, "--json").json
    assert (first["labels"], first["priority"], first["note"]) == (["gpu"], 5, "strike")
    assert shell("flows", "run", FLOW, *said, "--json").json["flow_run_id"] == first["flow_run_id"]
    ran = shell("flow-runs", "update", first["flow_run_id"], "--name", "march", "--no-labels")
    assert ran.out == "march is changed.\n"
    assert shell("flow-runs", "update", first["flow_run_id"]).code == 1
    (listed,) = shell("flow-runs", "list", "--json").json
    assert (listed["name"], listed["labels"]) == ("march", [])


def test_a_part_of_a_name_shows_a_flow_and_runs_none(shell: Shell) -> None:
    assert "retrain" in shell("flows", "show", "retr").out
    for acting in (("run", "retr"), ("limit", "retr", "1"), ("schedule", "off", "retr")):
        ran = shell("flows", *acting)
        assert (ran.code, f"Did you mean '{FLOW}'?" in ran.err) == (1, True), acting
    assert shell("flow-runs", "list", "--json").json == []


def test_wrong_names_are_told_in_a_sentence(shell: Shell, backend: LocalBackend) -> None:
    wrong = shell("flows", "run", FLOW, "--param", "wrong=1")
    assert "The flow 'retrain' has no parameter 'wrong'." in wrong.err
    wrong = shell("flow-runs", "rerun", failed(backend), "--from", "exract")
    assert "The flow has no task 'exract'. Did you mean 'extract-1'?" in wrong.err
    assert "What is late is Scheduled." in shell("flow-runs", "list", "--state", "Late").err
    wrong = shell("projects", "delete", PROJECT)
    assert "has 1 flow with 1 run, which would go with it" in wrong.err


def test_watching_a_retried_run_leaves_out_what_was_before(
    shell: Shell, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loopline.cli import watch

    flow_run_id = failed(backend)

    def ended(_: float) -> None:  # A worker takes it while the command waits.
        tell(backend, claimed(backend), StateKind.SUCCESS, extract=StateKind.SUCCESS)

    monkeypatch.setattr(watch, "time", SimpleNamespace(**{**vars(time), "sleep": ended}))
    ran = shell("flow-runs", "retry", flow_run_id, "--watch")
    assert (ran.code, "Failed" in ran.out, "retried by vera" in ran.out) == (0, False, True)


@pytest.mark.parametrize("command", [("run", "--watch"), ("run", "--follow"), ("logs", "--follow")])
def test_ctrl_c_says_that_the_flow_run_goes_on(
    shell: Shell, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, command: tuple[str, str]
) -> None:
    from loopline.cli import follow, watch

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    for module in (watch, follow):
        monkeypatch.setattr(module, "time", SimpleNamespace(**{**vars(time), "sleep": interrupted}))
    noun, name = ("flows", FLOW) if command[0] == "run" else ("flow-runs", ask(backend))
    ran = shell(noun, command[0], name, command[1])
    assert (ran.code, "The flow run goes on." in ran.err) == (130, True)
    assert "loopline flow-runs cancel" in ran.err


def test_following_a_paused_run_says_how_to_go_on(shell: Shell, backend: LocalBackend) -> None:
    flow_run_id = ask(backend)
    shell("flow-runs", "pause", flow_run_id)
    ran = shell("flow-runs", "logs", flow_run_id, "--follow")
    assert (ran.code, f"loopline flow-runs resume {flow_run_id[:8]}" in ran.err) == (0, True)


def test_a_run_is_watched_to_its_end(
    backend: LocalBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    flow_run_id = failed(backend)
    backend.call(ops.RetryFlowRun(flow_run_id=flow_run_id))
    tell(backend, claimed(backend), StateKind.PAUSED, extract=StateKind.PAUSED)
    from loopline.cli.watch import watch_flow_run

    assert watch_flow_run(backend, flow_run_id) == 0
    assert f"loopline flow-runs resume {flow_run_id[:8]}" in capsys.readouterr().err
    backend.call(ops.ResumeFlowRun(flow_run_id=flow_run_id))
    tell(backend, claimed(backend), StateKind.FAILED, extract=StateKind.FAILED)
    assert watch_flow_run(backend, flow_run_id) == 1
    shown = capsys.readouterr()
    assert "Failed        extract-1" in shown.out
    assert f"loopline flow-runs retry {flow_run_id[:8]}" in shown.err
    assert watch_flow_run(backend, flow_run_id, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["flow_run"]["state"] == "Failed"


def test_limits_are_set_listed_and_removed(shell: Shell) -> None:
    assert "No tag has a limit" in shell("limits", "list").err
    ran = shell("limits", "set", "warehouse", "2")
    assert ran.out == "At most 2 tasks with tag 'warehouse' run at a time; 0 run now.\n"
    assert shell("limits", "list").out.splitlines()[1].split() == ["warehouse", "2", "0"]
    assert shell("limits", "remove", "warehouse").code == 0
    assert shell("limits", "list", "--json").json == []
    assert shell("flows", "limit", FLOW, "1").out == "The limit of retrain is 1 run at a time.\n"
    assert "1 run at a time" in shell("flows", "show", FLOW).out


def test_workers_are_listed_with_what_they_run(shell: Shell, backend: LocalBackend) -> None:
    assert "`loopline worker`" in shell("workers").err
    backend.call(
        ops.ReportWorker(worker_id="a", name="night", host="box", pid=7, slots=2, labels=["gpu"])
    )
    flow_run_id = ask(backend)
    claimed(backend, "night")
    head, row = shell("workers").out.splitlines()
    assert head.split()[:4] == ["WORKER", "STATUS", "SLOTS", "LABELS"]
    assert row.split()[:6] == ["night", "working", "1/2", "gpu", flow_run_id[:8], "box:7"]
    assert json.loads(shell("workers", "--json").out)[0]["flow_runs"] == [flow_run_id]
    assert shell("workers", "list", "--json").json[0]["name"] == "night"


def test_projects_and_versions_are_shown(shell: Shell, backend: LocalBackend) -> None:
    assert shell("projects", "list").out.splitlines()[1].split()[:4] == [*PROJECT.split(), "1", "0"]
    assert shell("projects", "create", "tips").out == "tips is there now, without flows.\n"
    assert "By night." in shell("projects", "describe", "tips", "By night.").out
    assert shell("projects", "describe", "tips", "--json").json["description"] == "By night."
    assert shell("projects", "delete", "tips").out == "tips is gone, with 0 flows and 0 runs.\n"
    kept = shell("projects", "delete", PROJECT)
    assert (kept.code, "--force" in kept.err) == (1, True)
    register(backend, fingerprint="2", labels=["gpu"])
    head, *rows = shell("flows", "versions", FLOW).out.splitlines()
    assert head.split() == ["VERSION", "REGISTERED", "CHANGES"]
    assert ["labels: none → gpu" in rows[0], "first version" in rows[1]] == [True, True]


def test_automations_are_made_listed_switched_and_deleted(
    shell: Shell, backend: LocalBackend
) -> None:
    made = shell(
        "automations", "create", "again", "--when", "flow_run", "--state", "Failed",
        "--then", "run", "--flow", "retrain",
    )  # fmt: skip
    assert made.out == "again: when a run of any flow enters Failed, then run retrain.\n"
    flow_run_id = failed(backend)
    (listed,) = shell("automations", "list", "--json").json
    assert (listed["fired"], listed["is_active"]) == (1, True)
    assert "run retrain" in shell("automations", "list").out
    row = shell("automations", "firings", "again").out.splitlines()[1]
    assert f"flow-run/{flow_run_id}" in row
    assert shell("automations", "switch", "off", "again").out == "again is off now.\n"
    assert "Did you mean 'again'" in shell("automations", "delete", "agan").err
    assert shell("automations", "delete", "again").out == "again is gone.\n"
    wrong = shell("automations", "create", "x", "--when", "stage", "--then", "cancel")
    assert (wrong.code, "Only what happens to a flow run" in wrong.err) == (1, True)
