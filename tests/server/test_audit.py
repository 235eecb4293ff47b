"""Whoever changes something through a server is in its log: one row for each change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.server.running import running
from tests.server.story import run_id
from tests.server.team import Team, team_at

from loopline.backend.http import HttpBackend
from loopline.backend.local import LocalBackend
from loopline.records import facts as f
from loopline.records import flows
from loopline.records import operations as ops
from loopline.records.automations import Action, EventKind, Then, When
from loopline.records.base import Lifecycle
from loopline.records.decisions import Decision
from loopline.records.feeds import FeedSpec
from loopline.records.key_values import DeleteKeyValue, SetKeyValue
from loopline.records.logged_models import LoggedModel
from loopline.records.operations import OPERATIONS
from loopline.records.policies import Approval, Policy
from loopline.records.registry import ModelVersion, RegisteredModel
from loopline.records.tracking import Experiment, RunStatus
from loopline.records.transfer import RunSettlement
from loopline.server.mlflow.routes import RULES
from loopline.settings import Address, parse_address
from loopline.store.audit_subjects import QUIET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.records.identity import AuditRow
    from loopline.records.operations import Operation

RUN = run_id(1)
SECRET = "nobody reads this in a log"  # noqa: S105 - made up
CODE = flows.FlowCode(kind="import", entry="flow:flow")


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with team_at(tmp_path) as team:
        started = f.RunStarted(run_id=RUN, experiment_id="0", start_ms=1)
        file = f.ArtifactLogged(run_id=RUN, path="m/a", sha256="0" * 64, size_bytes=1, at_ms=1)
        more = msgspec.structs.replace(file, path="gone.txt")
        ended = f.RunEnded(run_id=RUN, status=RunStatus.FINISHED, end_ms=2)
        team.owner.call(ops.RecordFacts(facts=[started, file, more, ended]))
        yield team


def newest(team: Team, count: int = 1) -> list[AuditRow]:
    return team.owner.call(ops.ListAudit(limit=count)).rows


def story(team: Team) -> Iterator[tuple[Operation[Any], str]]:  # noqa: PLR0915 - one story
    """Every command that belongs into the log, in an order in which each succeeds."""
    of_run: dict[str, Any] = {"run_id": RUN}
    taxi: dict[str, Any] = {"name": "taxifare"}
    first: dict[str, Any] = {"name": "fares", "version": 1}
    yield ops.CreateExperiment(name="a"), "experiment/1"
    yield ops.EnsureExperiment(name="b"), "experiment/2"
    yield ops.RenameExperiment(experiment_id="2", name="c"), "experiment/2"
    yield ops.SetExperimentTags(experiment_id="2", tags={"k": "v"}), "experiment/2"
    yield ops.RemoveExperimentTag(experiment_id="2", key="k"), "experiment/2"
    yield ops.DeleteArtifacts(**of_run, path="gone.txt"), f"files/{RUN}/gone.txt"
    yield ops.DeleteExperiment(experiment_id="2"), "experiment/2"
    yield ops.RestoreExperiment(experiment_id="2"), "experiment/2"
    yield ops.DeleteRun(**of_run), f"run/{RUN}"
    yield ops.RestoreRun(**of_run), f"run/{RUN}"
    yield ops.MoveRuns(run_ids=[RUN], experiment_id="1"), f"runs/{RUN}"
    yield ops.CopyRun(**of_run, new_run_id=run_id(2)), f"run/{run_id(2)}"
    yield ops.CreateModel(**taxi), "model/taxifare"
    yield ops.UpdateModel(**taxi, description="x"), "model/taxifare"
    yield ops.RenameModel(**taxi, new_name="fares"), "model/fares"
    yield ops.SetModelTags(name="fares", tags={"k": "v"}), "model/fares"
    yield ops.RemoveModelTag(name="fares", key="k"), "model/fares"
    yield ops.RegisterVersion(name="fares", **of_run, artifact_path="m"), "version/fares/1"
    yield ops.CopyVersion(**first, to="fares"), "version/fares/2"
    yield ops.UpdateVersion(**first, description="x"), "version/fares/1"
    yield ops.SetVersionTags(**first, tags={"k": "v"}), "version/fares/1"
    yield ops.RemoveVersionTag(**first, key="k"), "version/fares/1"
    yield ops.TransitionStage(**first, stage="Staging"), "version/fares/1"
    asks = Policy(model="fares", gates=[Approval()])
    yield ops.SetPolicy(policy=asks), "policy/fares/Production"
    decided = Decision(
        promote=True, rule="first", sentence="may be", challenger=2, decision_id="d1"
    )
    yield ops.RecordDecision(name="fares", decision=decided), "decision/d1"
    yield (
        ops.AnswerDecision(decision_id="d1", approve=True, reason="looked at it"),
        "decision/d1",
    )
    yield ops.RollBack(name="fares", to=1, reason="it is worse"), "model/fares"
    yield ops.DeletePolicy(name="fares"), "policy/fares/Production"
    yield ops.AddStage(name="fares", stage="Shadow"), "model/fares"
    yield ops.RemoveStage(name="fares", stage="Shadow"), "model/fares"
    yield ops.SetAlias(**first, alias="best"), "model/fares"
    yield ops.RemoveAlias(name="fares", alias="best"), "model/fares"
    team.owner.call(
        ops.RegisterVersion(name="fares", **of_run, artifact_path="late", allow_empty=True)
    )
    late = f.ArtifactLogged(run_id=RUN, path="late/a", sha256="0" * 64, size_bytes=1, at_ms=1)
    team.owner.call(ops.RecordFacts(facts=[late]))
    yield ops.TakeFiles(name="fares", version=3), "version/fares/3"
    yield ops.DeleteVersion(**first), "version/fares/1"
    yield ops.DeleteModel(name="fares"), "model/fares"
    logged: dict[str, Any] = {"model_id": "m-" + "1" * 32}
    team.owner.call(ops.CreateLoggedModel(experiment_id="1", **logged))
    yield ops.SetLoggedModelTags(**logged, tags={"k": "v"}), f"logged-model/{logged['model_id']}"
    yield ops.RemoveLoggedModelTag(**logged, key="k"), f"logged-model/{logged['model_id']}"
    yield ops.DeleteLoggedModel(**logged), f"logged-model/{logged['model_id']}"
    model_record = LoggedModel(
        model_id="m-" + "2" * 32, experiment_id="1", name="gbm", created_ms=1, updated_ms=1
    )
    yield ops.ImportLoggedModel(model=model_record), f"logged-model/{model_record.model_id}"
    spec = FeedSpec(source="duckdb:///taxi", table="trips", own=True)
    yield ops.EnsureFeed(name="taxi", spec=spec), "feed/taxi"
    yield ops.DeleteFeed(name="taxi"), "feed/taxi"
    yield ops.CreateProject(name="q"), "project/q"
    yield ops.UpdateProject(name="q", description="x"), "project/q"
    yield ops.DeleteProject(name="q"), "project/q"
    flow: dict[str, Any] = {"project": "p", "name": "retrain"}
    yield ops.RegisterFlow(
        **flow, fingerprint="a" * 64, graph=flows.FlowGraph(), code=CODE
    ), "flow/p/retrain"  # fmt: skip
    yield ops.SetScheduleActive(**flow, active=False), "flow/p/retrain"
    yield ops.CreateFlowRun(**flow), ""
    run = team.owner.call(ops.ListFlowRuns(project="p")).flow_runs[0].flow_run_id
    yield ops.UpdateFlowRun(flow_run_id=run, note="x"), f"flow-run/{run}"
    yield ops.PauseFlowRun(flow_run_id=run), f"flow-run/{run}"
    yield ops.ResumeFlowRun(flow_run_id=run), f"flow-run/{run}"
    yield ops.CancelFlowRun(flow_run_id=run), f"flow-run/{run}"
    yield ops.RetryFlowRun(flow_run_id=run), f"flow-run/{run}"
    team.owner.call(ops.CancelFlowRun(flow_run_id=run))
    yield ops.RerunFlowRun(flow_run_id=run), f"flow-run/{run}"
    yield ops.SetFlowLimit(**flow, most=1), "flow/p/retrain"
    when, then = When(event=EventKind.LATE), Then(action=Action.LOG)
    yield ops.CreateAutomation(name="a", when=when, then=then), ""
    made = team.owner.call(ops.ListAutomations())[0].automation_id
    yield ops.SetAutomationActive(automation_id=made, active=False), f"automation/{made}"
    yield ops.DeleteAutomation(automation_id=made), f"automation/{made}"
    yield SetKeyValue(key="month", value='"2022-03"'), "key/month"
    yield DeleteKeyValue(key="month"), "key/month"
    yield ops.SetTagLimit(tag="warehouse", most=1), "tag-limit/warehouse"
    times: dict[str, Any] = {"created_ms": 1, "updated_ms": 1}
    there = Experiment(experiment_id="9", name="from elsewhere", **times)
    yield ops.ImportExperiment(experiment=there), "experiment/9"
    settled = RunSettlement(run_id=RUN, status=RunStatus.FAILED, lifecycle=Lifecycle.ACTIVE)
    yield ops.SettleRuns(runs=[settled]), f"runs/{RUN}"
    version = ModelVersion(
        name="imported", version=3, run_id="", artifact_path="", digest="", **times
    )
    yield ops.ImportVersion(version=version), "version/imported/3"
    model = RegisteredModel(name="imported", description="x", latest_version=3, **times)
    yield ops.ImportModel(model=model, update=True), "model/imported"
    told: dict[str, Any] = {"url": "https://93.184.215.14/", "events": ["model_version.created"]}
    yield ops.CreateWebhook(name="w", secret=SECRET, **told), ""
    webhook = team.owner.call(ops.ListWebhooks())[0].webhook_id
    yield ops.UpdateWebhook(webhook_id=webhook, secret=SECRET, name="v"), f"webhook/{webhook}"
    yield ops.DeleteWebhook(webhook_id=webhook), f"webhook/{webhook}"
    yield ops.SetSecret(name="KEY", value=SECRET), "secret/KEY"
    yield ops.GetSecret(name="KEY"), "secret/KEY"
    yield ops.DeleteSecret(name="KEY"), "secret/KEY"
    yield ops.AddUser(name="bea"), "user/bea"
    yield ops.ChangeUser(name="bea", role="editor"), "user/bea"
    yield ops.InviteUser(name="bea"), "user/bea"
    granted: dict[str, Any] = {"user": "bea", "thing": "experiment", "name": "0"}
    yield ops.SetGrant(**granted, role="admin"), "grant/bea/experiment/0"
    yield ops.CreateToken(user="bea"), ""
    token = team.owner.call(ops.ListTokens(user="bea"))[0].token_id
    yield ops.RevokeToken(token_id=token), f"token/{token}"
    yield ops.RemoveUser(name="bea"), "user/bea"


def test_each_command_writes_one_row(team: Team) -> None:
    token, told = team.member("ana", "admin"), set()
    (before,) = newest(team)
    for operation, subject in story(team):
        status, answer = team.call(token, operation)
        assert status == 200, (operation, answer)
        row, last = newest(team, 2)
        assert last == before, f"{operation} wrote no row, or several"
        assert row.action == ops.name_of(type(operation))
        assert row.subject == subject or (not subject and row.subject[-1] != "/"), row
        assert (row.actor, row.how.split()[0], row.address) == ("ana", "token", "127.0.0.1")
        assert row.before or row.after
        changes = not isinstance(operation, ops.InviteUser | ops.GetSecret)
        assert row.before != row.after or not changes, row
        told.add(type(operation))
        before = row
    commands = {operation for operation in OPERATIONS.values() if operation.changes}
    assert told == commands - QUIET
    rows = team.owner.call(ops.ListAudit(limit=200)).rows
    assert SECRET not in repr(rows)
    assert team.owner.call(ops.VerifyAudit()).broken_at == 0


def test_what_logs_and_what_workers_send_is_no_row(team: Team) -> None:
    token = team.member("ana", "admin")
    (before,) = newest(team)
    for operation in (
        ops.RecordFacts(facts=[f.TagsSet(run_id=RUN, tags={"a": "b"})]),
        ops.Heartbeat(writer="w" * 32),
        ops.CloseLostRuns(),
        ops.MaterialiseSchedules(),
        ops.ClaimFlowRun(worker="w"),
        ops.EnsureExperiment(name="Default"),
        ops.ListModels(),
    ):
        assert team.call(token, operation)[0] == 200
    assert newest(team) == [before]


def test_the_same_command_sent_again_is_one_row(team: Team) -> None:
    token = team.member("ana", "admin")
    for _ in range(3):
        assert team.call(token, ops.CreateModel(name="a"), key="once")[0] == 200
    rows = newest(team, 3)
    assert [row.action for row in rows] == ["create-model", "create-token", "add-user"]


EVENT = {"entity": "MODEL_VERSION", "action": "CREATED"}
#: Requests of MLflow's protocol that change something, in an order in which each succeeds.
CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "experiments/create", {"name": "a"}),
    ("POST", "experiments/update", {"experiment_id": "1", "new_name": "b"}),
    ("POST", "experiments/set-experiment-tag", {"experiment_id": "1", "key": "k", "value": "v"}),
    ("POST", "experiments/delete-experiment-tag", {"experiment_id": "1", "key": "k"}),
    ("POST", "experiments/delete", {"experiment_id": "1"}),
    ("POST", "experiments/restore", {"experiment_id": "1"}),
    ("POST", "runs/delete", {"run_id": RUN}),
    ("POST", "runs/restore", {"run_id": RUN}),
    ("POST", "registered-models/create", {"name": "m"}),
    ("POST", "registered-models/rename", {"name": "m", "new_name": "n"}),
    ("PATCH", "registered-models/update", {"name": "n", "description": "d"}),
    ("POST", "registered-models/set-tag", {"name": "n", "key": "k", "value": "v"}),
    ("DELETE", "registered-models/delete-tag", {"name": "n", "key": "k"}),
    ("POST", "model-versions/create", {"name": "n", "source": f"runs:/{RUN}/m", "run_id": RUN}),
    ("PATCH", "model-versions/update", {"name": "n", "version": "1", "description": "d"}),
    ("POST", "model-versions/transition-stage", {"name": "n", "version": "1", "stage": "Staging"}),
    ("POST", "model-versions/set-tag", {"name": "n", "version": "1", "key": "k", "value": "v"}),
    ("DELETE", "model-versions/delete-tag", {"name": "n", "version": "1", "key": "k"}),
    ("POST", "registered-models/alias", {"name": "n", "alias": "best", "version": "1"}),
    ("DELETE", "registered-models/alias", {"name": "n", "alias": "best"}),
    ("DELETE", "model-versions/delete", {"name": "n", "version": "1"}),
    ("DELETE", "registered-models/delete", {"name": "n"}),
    ("PATCH", "logged-models/{model_id}/tags", {"tags": [{"key": "k", "value": "v"}]}),
    ("DELETE", "logged-models/{model_id}/tags/{tag_key}", {}),
    ("DELETE", "logged-models/{model_id}", {}),
    ("POST", "webhooks", {"name": "w", "url": "https://93.184.215.14/", "events": [EVENT]}),
    ("PATCH", "webhooks/{webhook_id}", {"name": "v"}),
    ("DELETE", "webhooks/{webhook_id}", {}),
]
#: Those that log: facts of runs, which have a history of their own.
LOGGING = {
    ("POST", "runs/create"),
    ("POST", "runs/update"),
    ("POST", "runs/log-model"),
    ("POST", "logged-models"),
    ("PATCH", "logged-models/{model_id}"),
    ("POST", "logged-models/{model_id}/params"),
}


def test_each_change_of_mlflows_protocol_writes_one_row(team: Team) -> None:
    signed = {"Authorization": f"Bearer {team.member('ana', 'admin')}"}
    (before,) = newest(team)
    logged = team.owner.call(ops.CreateLoggedModel(experiment_id="0")).model_id
    for method, template, body in CHANGES:
        webhooks = team.owner.call(ops.ListWebhooks())
        webhook = webhooks[0].webhook_id if webhooks else ""
        path = template.format(model_id=logged, tag_key="k", webhook_id=webhook)
        status, answer = team.mlflow(method, path, body, **signed)
        assert status == 200, (path, answer)
        row, last = newest(team, 2)
        assert last == before, f"{path} wrote no row, or several"
        assert row.actor == "ana"
        before = row
    routes = {
        (method, rule.path.partition("/mlflow/")[2])
        for rule in RULES
        for method in rule.methods
        if rule.permission != "view" and rule.facts is None
    }
    assert routes >= LOGGING
    reading = {("GET", "webhooks"), ("GET", "webhooks/{webhook_id}")}
    trying = {("POST", "webhooks/{webhook_id}/test")}
    changes = routes - LOGGING - reading - trying
    assert {(method, path) for method, path, _ in CHANGES} == changes


def test_a_server_that_asks_nobody_has_a_log_too(tmp_path: Path) -> None:
    with running(Address("home", str(tmp_path))) as url:
        backend = HttpBackend(parse_address(url))
        backend.call(ops.CreateModel(name="a"))
        (row,) = backend.call(ops.ListAudit()).rows
        backend.close()
    assert (row.actor, row.how, row.address, row.subject) == ("", "open", "127.0.0.1", "model/a")


def test_a_webhook_made_past_a_server_is_in_the_log_of_servers(tmp_path: Path) -> None:
    backend = LocalBackend(Address("home", str(tmp_path)))
    url = "https://93.184.215.14/hooks"
    made = backend.call(ops.CreateWebhook(name="w", url=url, events=["model_version.created"]))
    backend.call(ops.DeleteWebhook(webhook_id=made.webhook_id))
    rows = backend.call(ops.ListAudit()).rows
    backend.close()
    assert [(row.how, row.action) for row in rows] == [
        ("store", "delete-webhook"), ("store", "create-webhook"),
    ]  # fmt: skip
    assert {row.subject for row in rows} == {f"webhook/{made.webhook_id}"}
