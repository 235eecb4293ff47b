"""``flow.run()`` on a server that asks who everybody is: recorded outside all projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.server.team import Team, team_at

from loopline import Flow, task
from loopline.backend.recorder import close_recorders, set_tracking_uri
from loopline.errors import ForbiddenError, NotFoundError
from loopline.records import facts as f
from loopline.records import flows
from loopline.records import operations as ops
from loopline.records.identity import Access, Caller, Role
from loopline.store.permits import permit_facts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    (tmp_path / "team").mkdir()
    with team_at(tmp_path / "team") as served:
        yield served


def test_whoever_may_edit_something_runs_flows_of_no_project(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = team.member("petra")
    team.grant("petra", "project", "wagoncab", "editor")
    run_at(team, token, tmp_path / "laptop", monkeypatch)
    page = team.owner.call(ops.ListFlowRuns(project="", with_unregistered=True))
    (run,) = page.flow_runs
    assert (run.flow_name, run.state, run.project) == ("night", flows.StateKind.SUCCESS, "")
    (task_run,) = team.owner.call(ops.ListTaskRuns(flow_run_id=run.flow_run_id))
    assert task_run.state is flows.StateKind.SUCCESS


def test_who_recorded_a_flow_run_sees_and_changes_it_and_nobody_else_does(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    petra, otto = team.member("petra"), team.member("otto")
    for name in ("petra", "otto"):
        team.grant(name, "project", "wagoncab", "editor")
    run_at(team, petra, tmp_path / "laptop", monkeypatch)
    (run,) = team.owner.call(ops.ListFlowRuns(project="", with_unregistered=True)).flow_runs
    its_id = run.flow_run_id
    views = (ops.GetFlowRun, ops.ListTaskRuns, ops.ListFlowRunEvents, ops.GetLogs)

    def listed(token: str) -> list[str]:
        _, page = team.call(token, ops.ListFlowRuns(project="", with_unregistered=True))
        return [each["flow_run_id"] for each in page["flow_runs"]]

    assert (listed(petra), listed(otto)) == ([its_id], [])
    for view in views:
        assert team.call(petra, view(flow_run_id=its_id))[0] == 200
        assert team.call(otto, view(flow_run_id=its_id))[0] == 404
    note = ops.UpdateFlowRun(flow_run_id=its_id, note="the night shift")
    assert team.call(otto, note)[0] == 404
    status, changed = team.call(petra, note)
    assert (status, changed["note"]) == (200, "the night shift")
    assert team.get(f"/flow-runs/{its_id}", petra).status == 200
    assert team.get(f"/flow-runs/{its_id}", otto).status == 404

    # It is hers as far as anything is: a token that reads reads, and who may nothing sees nothing.
    reading = team.token("petra", "read")
    assert team.call(reading, ops.GetFlowRun(flow_run_id=its_id))[0] == 200
    assert team.call(reading, note)[0] == 403
    team.grant("petra", "project", "wagoncab", "none")
    asked_anew = team.token("petra")
    assert team.call(asked_anew, ops.GetFlowRun(flow_run_id=its_id))[0] == 403


def test_a_new_user_of_a_removed_ones_name_has_none_of_their_flow_runs(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    petra = team.member("petra")
    team.grant("petra", "project", "wagoncab", "editor")
    run_at(team, petra, tmp_path / "laptop", monkeypatch)
    (run,) = team.owner.call(ops.ListFlowRuns(project="", with_unregistered=True)).flow_runs
    team.owner.call(ops.RemoveUser(name="petra"))
    again = team.member("petra")
    team.grant("petra", "project", "wagoncab", "editor")
    assert team.call(again, ops.GetFlowRun(flow_run_id=run.flow_run_id))[0] == 404


def test_only_the_journal_that_began_a_flow_run_of_no_project_goes_on_with_it(team: Team) -> None:
    running = f.FlowRunState(flow_run_id="mine", state=flows.StateKind.RUNNING, at_ms=1)
    line = flows.LogLine(flow_run_id="mine", at_ms=1, level=20, message="x")
    facts: list[f.Fact] = [running, f.LogsWritten(lines=[line])]
    editor = caller(Role.EDITOR)

    def permit(who: Caller, writer: str) -> None:
        with team.owner.store.read() as connection:
            permit_facts(connection, who, facts, writer=writer)

    permit(editor, "laptop")  # There is none yet.
    team.owner.send(f.Batch(writer="laptop", start=0, end=1, facts=[running]))
    permit(editor, "laptop")
    for other in ("another", ""):
        with pytest.raises(NotFoundError):
            permit(editor, other)
    with pytest.raises(ForbiddenError):
        permit(caller(Role.VIEWER), "laptop")


def caller(role: Role) -> Caller:
    return Caller(name="petra", how="token", access=Access(projects={"wagoncab": role}))


def test_a_server_knows_who_asks_whatever_they_say(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    petra = team.member("petra")
    team.grant("petra", "project", "wagoncab", "editor")
    rows = flows.ParameterSpec(name="rows", type="int", default=3)
    graph = flows.FlowGraph(parameters=[rows])
    code = flows.FlowCode(kind="import", entry="taxifare.flow:flow")
    team.owner.call(
        ops.RegisterFlow(
            project="wagoncab", name="score", fingerprint="one", graph=graph, code=code
        )
    )
    asked = ops.CreateFlowRun(project="wagoncab", name="score", actor="otto")
    status, made = team.call(petra, asked)
    assert (status, made["started_by"]) == (200, "petra")
    assert "petra" in team.get(f"/flow-runs/{made['flow_run_id']}", petra).text

    run_at(team, petra, tmp_path / "laptop", monkeypatch)
    page = team.owner.call(ops.ListFlowRuns(flow_name="night", with_unregistered=True))
    assert [run.started_by for run in page.flow_runs] == ["petra"]

    wrong = ops.CreateFlowRun(project="wagoncab", name="score", parameters={"rows": "many"})
    status, refusal = team.call(petra, wrong)
    assert status == 400
    assert "The parameter 'rows' must be int, not 'many'. Such as 3." in str(refusal)
    assert len(team.owner.call(ops.ListFlowRuns(flow_name="score")).flow_runs) == 1
    assert "rows: int = 3" in team.get("/flows/wagoncab/score", petra).text


def run_at(team: Team, token: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a flow of one task, as somebody on a machine of theirs."""
    monkeypatch.setenv("LOOPLINE_TOKEN", token)
    monkeypatch.setenv("LOOPLINE_HOME", str(home))

    @task
    def fare() -> float:
        return 4.5

    with Flow("night") as flow:
        fare()
    set_tracking_uri(team.url)
    try:
        state = flow.run()
    finally:
        close_recorders()
        set_tracking_uri(None)
    assert state.is_successful()
