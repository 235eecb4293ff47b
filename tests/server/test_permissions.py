"""Who may do what: each route says it, each operation asks it, and searches look no further."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.server.running import ask
from tests.server.story import run_id
from tests.server.team import Team, team_at

from loopline.errors import ForbiddenError, NotFoundError
from loopline.records import facts as f
from loopline.records import flows
from loopline.records import operations as ops
from loopline.records.automations import Action, EventKind, Then, When
from loopline.records.decisions import Decision
from loopline.records.feeds import Arrival, FeedSpec, RefusedBatch
from loopline.records.flow_artifacts import ListFlowArtifacts
from loopline.records.identity import Access, Caller, Role, Scope
from loopline.records.key_values import (
    DeleteKeyValue,
    FindKeyValues,
    GetKeyValue,
    SetKeyValue,
)
from loopline.records.logged_models import LoggedModelPoint, LoggedModelStatus
from loopline.records.operations import OPERATIONS
from loopline.records.policies import Policy
from loopline.records.schedule_operations import AddDueTimes, ListOwnSchedules
from loopline.rules.access import NEEDED, may_do
from loopline.server.app import create_app
from loopline.server.guarded import PERMISSIONS, PUBLIC, GuardedRoute
from loopline.server.identity import Identity
from loopline.settings import Address
from loopline.store.callers import act_for
from loopline.store.permit_targets import TARGETS
from loopline.store.permits import FILTERED, permit, permit_facts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopline.backend.local import LocalBackend
    from loopline.records.operations import Operation

HIDDEN, SHOWN = run_id(1), run_id(2)
NIGHT, DAY = "night shift", "day shift"
CODE = flows.FlowCode(kind="import", entry="flow:flow")


def _register_flow(project: str) -> ops.RegisterFlow:
    return ops.RegisterFlow(
        project=project, name="retrain", fingerprint="a" * 64, graph=flows.FlowGraph(), code=CODE
    )


def fill(backend: LocalBackend) -> dict[str, str]:
    """Two of everything: what nobody is shown, and what the callers may have a role on."""
    ids: dict[str, str] = {}
    for name, run in ((NIGHT, HIDDEN), (DAY, SHOWN)):
        ids[name] = backend.call(ops.CreateExperiment(name=name)).experiment_id
        started = f.RunStarted(run_id=run, experiment=name, start_ms=1)
        logged = f.ParamsLogged(run_id=run, params={"model": "gbm"})
        file = f.ArtifactLogged(run_id=run, path="m/a", sha256="0" * 64, size_bytes=1, at_ms=1)
        backend.call(ops.RecordFacts(facts=[started, logged, file]))
        backend.call(ops.RegisterVersion(name=name, run_id=run, artifact_path="m"))
        ids[f"{name} version"] = backend.call(_register_flow(name)).flow_version_id
        made = backend.call(ops.CreateFlowRun(project=name, name="retrain", scheduled_ms=1))
        ids[f"{name} run"] = made.flow_run_id
        model = ops.CreateLoggedModel(experiment_id=ids[name], name=name)
        automation = ops.CreateAutomation(
            name=name, project=name, when=When(event=EventKind.LATE), then=Then(action=Action.LOG)
        )
        feed = FeedSpec(source="duckdb:///taxi", table="trips", own=True)
        backend.call(ops.EnsureFeed(name=name, project=name, spec=feed))
        ids[f"{name} automation"] = backend.call(automation).automation_id
        ids[f"{name} model"] = backend.call(model).model_id
        decided = Decision(promote=False, rule="unsure", sentence="kept", challenger=1)
        kept = backend.call(ops.RecordDecision(name=name, decision=decided))
        ids[f"{name} decision"] = kept.decision_id
    return ids


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with team_at(tmp_path_factory.mktemp("team")) as team:
        yield team


@pytest.fixture(scope="module")
def ids(team: Team) -> dict[str, str]:
    return fill(team.owner)


# --- routes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def routes(team: Team) -> list[GuardedRoute]:
    identity = Identity(team.owner.store)
    app = create_app(team.owner, allowed_hosts=frozenset(), identity=identity)
    identity.close()
    found = [route for route in app.routes if isinstance(route, GuardedRoute)]
    assert len(found) == len(app.routes), "a route declares no permission"
    return found


def test_only_these_routes_ask_nobody_who_they_are(routes: list[GuardedRoute]) -> None:
    public = {
        (method, route.path)
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
        if route.permission == PUBLIC
    }
    assert {route.permission for route in routes} <= PERMISSIONS
    assert public == {
        ("GET", "/health"),
        ("GET", "/version"),
        ("GET", "/static/{version}/{name}"),
        ("GET", "/login"),
        ("POST", "/login"),
        ("GET", "/set-up"),
        ("POST", "/set-up"),
    }


def test_every_other_route_lets_in_nobody_unknown_and_nobody_too_weak(
    team: Team, routes: list[GuardedRoute]
) -> None:
    weak = {
        "nobody": (Role.NONE, team.member("nobody")),
        "viewer": (Role.VIEWER, team.member("viewer", "viewer")),
        "lidded": (Role.VIEWER, team.member("lidded", "admin", scope="read")),
        "editor": (Role.EDITOR, team.member("editor", "editor")),
    }
    own_page = {"Sec-Fetch-Site": "same-origin"}
    asked = 0
    for route in routes:
        if route.permission == PUBLIC:
            continue
        path = route.path
        for name in route.param_convertors:
            path = path.replace(f"{{{name}}}", "x").replace(f"{{{name}:path}}", "x")
        for method in sorted(route.methods or ()):
            answer = ask(team.url, method, path, b"", own_page)
            is_page = route.is_page and method in {"GET", "HEAD"}
            assert answer.status == (303 if is_page else 401), f"{method} {path} lets anybody in"
            for name, (role, token) in weak.items():
                if may_do(role, NEEDED[route.permission]):
                    continue
                signed = {"Authorization": f"Bearer {token}", **own_page}
                status = ask(team.url, method, path, b"", signed).status
                assert status == 403, f"{method} {path} lets {name} in"
                asked += 1
    assert asked > 300


# --- operations ---------------------------------------------------------------------------------


#: Operations that only a role on everything allows, whatever they name.
WHOLE_STORE: set[type[Operation[Any]]] = {
    ops.CreateExperiment,
    ops.CreateModel,
    ops.CreateProject,
    ops.ImportExperiment,
    ops.ImportLoggedModel,
    ops.ImportModel,
    ops.ImportVersion,
    ops.SettleRuns,
    ops.MaterialiseSchedules,
    ops.ClaimFlowRun,
    ops.RenewLease,
    ops.ReleaseFlowRun,
    AddDueTimes,
    ListOwnSchedules,
    SetKeyValue,
    GetKeyValue,
    FindKeyValues,
    DeleteKeyValue,
    ops.CheckWork,
    ops.CloseLostFlowRuns,
    ops.ReportWorker,
    ops.SetTagLimit,
    ops.AddUser,
    ops.ChangeUser,
    ops.RemoveUser,
    ops.InviteUser,
    ops.ListUsers,
    ops.ListGrants,
    ops.ListAudit,
    ops.VerifyAudit,
    ops.SetSecret,
    ops.GetSecret,
    ops.ListSecrets,
    ops.DeleteSecret,
    ops.CreateWebhook,
    ops.UpdateWebhook,
    ops.DeleteWebhook,
    ops.GetWebhook,
    ops.ListWebhooks,
    ops.ListWebhookDeliveries,
}
#: Operations on what is the caller's own.
OWN: set[type[Operation[Any]]] = {ops.WhoAmI, ops.CreateToken, ops.RevokeToken, ops.ListTokens}


def test_every_operation_is_about_something_or_about_everything() -> None:
    groups: list[set[type[Operation[Any]]]] = [set(TARGETS), set(FILTERED), WHOLE_STORE, OWN]
    assert set(OPERATIONS.values()) == set().union(*groups)
    assert sum(map(len, groups)) == len(OPERATIONS), "an operation is in two of them"
    assert {operation.permission for operation in OWN} == {"self"}


def about(name: str, run: str, ids: dict[str, str]) -> list[Operation[Any]]:
    """One of each operation that is about something: about one of the two of everything."""
    number, flow_run = ids[name], ids[f"{name} run"]
    of_run = (
        ops.GetRun, ops.DeleteRun, ops.RestoreRun, ops.ListArtifacts, ops.ListInputs,
        ops.ListRunEvents, ops.ListRefused,
    )  # fmt: skip
    of_flow_run = (
        ops.GetFlowRun, ops.GetFlowRunGraph, ops.ListTaskRuns, ops.ListFlowRunEvents, ops.GetLogs,
        ops.CancelFlowRun, ops.RetryFlowRun, ops.RerunFlowRun, ops.PauseFlowRun, ops.ResumeFlowRun,
        ops.UpdateFlowRun, ListFlowArtifacts,
    )  # fmt: skip
    of_logged_model = (ops.GetLoggedModel, ops.DeleteLoggedModel, ops.ListLoggedModelFiles)
    logged: dict[str, Any] = {"model_id": ids[f"{name} model"]}
    of_model = (ops.GetModel, ops.DeleteModel, ops.ListVersions, ops.ListVersionEvents)
    return [
        ops.EnsureExperiment(name=name),
        ops.GetExperiment(name=name),
        ops.DeleteExperiment(experiment_id=number),
        ops.RestoreExperiment(experiment_id=number),
        ops.RenameExperiment(experiment_id=number, name="x"),
        ops.SetExperimentTags(experiment_id=number, tags={}),
        ops.RemoveExperimentTag(experiment_id=number, key="x"),
        *(kind(run_id=run) for kind in of_run),
        ops.GetMetricHistory(run_id=run, key="rmse"),
        ops.GetMetricColumns(run_id=run, key="rmse"),
        ops.DeleteArtifacts(run_id=run, path="x"),
        ops.DescribeRuns(run_ids=[run]),
        ops.DescribeLoggedModels(model_ids=[ids[f"{name} model"]]),
        ops.MoveRuns(run_ids=[run], experiment_id=number),
        ops.CopyRun(run_id=run),
        ops.RecordFacts(facts=[f.TagsSet(run_id=run, tags={"a": "b"})]),
        ops.CreateLoggedModel(experiment_id=number, name="x"),
        ops.FinishLoggedModel(**logged, status=LoggedModelStatus.READY),
        ops.SetLoggedModelTags(**logged, tags={}),
        ops.RemoveLoggedModelTag(**logged, key="x"),
        ops.LogLoggedModelParams(**logged, params={}),
        *(kind(**logged) for kind in of_logged_model),
        ops.ListRunModels(run_id=run),
        ops.ListRunUses(run_ids=[run]),
        ops.CloseLostRuns(writer="w" * 32 + name[0]),
        *(kind(name=name) for kind in of_model),
        ops.UpdateModel(name=name, description="x"),
        ops.RenameModel(name=name, new_name="x"),
        ops.SetModelTags(name=name, tags={}),
        ops.RemoveModelTag(name=name, key="x"),
        ops.RegisterVersion(name=name, run_id=run, artifact_path="m"),
        ops.CopyVersion(name=name, version=1, to=name),
        ops.UpdateVersion(name=name, version=1, description="x"),
        ops.DeleteVersion(name=name, version=1),
        ops.SetVersionTags(name=name, version=1, tags={}),
        ops.RemoveVersionTag(name=name, version=1, key="x"),
        ops.GetVersion(name=name, version=1),
        ops.GetLatestVersions(names=[name]),
        ops.ResolveModel(name=name, version=1),
        ops.ExplainVersion(name=name, version=1),
        ops.TransitionStage(name=name, version=1, stage="Staging"),
        ops.TakeFiles(name=name, version=1),
        ops.AddStage(name=name, stage="Shadow"),
        ops.RemoveStage(name=name, stage="Shadow"),
        ops.SetAlias(name=name, alias="a", version=1),
        ops.RemoveAlias(name=name, alias="a"),
        ops.SetPolicy(policy=Policy(model=name)),
        ops.GetPolicy(name=name),
        ops.DeletePolicy(name=name),
        ops.RecordDecision(
            name=name,
            decision=Decision(promote=False, rule="unsure", sentence="kept", challenger=1),
        ),
        ops.GetDecision(decision_id=ids[f"{name} decision"]),
        ops.AnswerDecision(
            decision_id=ids[f"{name} decision"], approve=True, reason="it is better"
        ),
        ops.RollBack(name=name, reason="it is worse"),
        ops.CreateAutomation(
            name="x", project=name, when=When(event=EventKind.LATE), then=Then(action=Action.LOG)
        ),
        ops.SetAutomationActive(automation_id=ids[f"{name} automation"], active=False),
        ops.ListFirings(automation_id=ids[f"{name} automation"]),
        ops.DeleteAutomation(automation_id=ids[f"{name} automation"]),
        ops.EnsureFeed(name=name, spec=FeedSpec(source="s", table="t", own=True)),
        ops.GetFeed(name=name),
        ops.DeleteFeed(name=name),
        ops.AddArrival(name=name, arrival=Arrival(first=0, rows=1)),
        ops.ListArrivals(name=name),
        ops.RefuseBatch(name=name, refused=RefusedBatch(batch="b", rows=1, problems=["x"])),
        ops.ListRefusals(name=name),
        ops.GetProject(name=name),
        ops.UpdateProject(name=name, description="x"),
        ops.DeleteProject(name=name),
        ops.ListFlowVersions(project=name, name="retrain"),
        _register_flow(name),
        ops.GetFlow(flow_version_id=ids[f"{name} version"]),
        ops.SetScheduleActive(project=name, name="retrain", active=False),
        ops.CreateFlowRun(project=name, name="retrain"),
        ops.SetFlowLimit(project=name, name="retrain", most=1),
        ops.TakeTaskSlots(flow_run_id=flow_run, task_slug="t", tags=[]),
        ops.GiveTaskSlots(flow_run_id=flow_run, task_slug="t"),
        *(kind(flow_run_id=flow_run) for kind in of_flow_run),
        ops.SetGrant(user="x", thing="experiment", name=number, role="viewer"),
    ]


def caller(ids: dict[str, str], role: Role, name: str = DAY) -> Caller:
    """Make a caller with a role on one of the two of everything, and none on all."""
    access = Access(experiments={int(ids[name]): role}, models={name: role}, projects={name: role})
    return Caller(name="vera", how="token x", access=access)


def outcome(backend: LocalBackend, who: Caller, operation: Operation[Any]) -> str:
    """Tell whether an operation is let through."""
    with backend.store.read() as connection:
        act_for(connection, who)
        try:
            permit(connection, who, operation)
        except ForbiddenError:
            return "forbidden"
        except NotFoundError:
            return "not there"
    return "let through"


@pytest.fixture
def writers(team: Team, ids: dict[str, str]) -> None:
    """Let each run have a writer, as those of Loopline's own clients do."""
    for name, run in ((NIGHT, HIDDEN), (DAY, SHOWN)):
        written = f.TagsSet(run_id=run, tags={"written": "yes"})
        batch = f.Batch(writer="w" * 32 + name[0], start=0, end=1, facts=[written])
        assert ids
        team.owner.send(batch)


@pytest.mark.usefixtures("writers")
@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR, Role.ADMIN])
def test_a_role_on_one_thing_allows_what_it_says_there_and_nothing_elsewhere(
    team: Team, ids: dict[str, str], role: Role
) -> None:
    who = caller(ids, role)
    there, elsewhere = about(DAY, SHOWN, ids), about(NIGHT, HIDDEN, ids)
    assert {type(operation) for operation in there} == set(TARGETS)
    for operation in there:
        enough = may_do(role, NEEDED[operation.permission])
        expected = "let through" if enough else "forbidden"
        assert outcome(team.owner, who, operation) == expected, operation
    for operation in elsewhere:
        assert outcome(team.owner, who, operation) == "not there", operation


def test_what_is_not_there_and_what_may_not_be_seen_are_answered_alike(
    team: Team, ids: dict[str, str]
) -> None:
    token = team.member("olga")
    team.grant("olga", "experiment", ids[DAY], "editor")
    status, hidden = team.call(token, ops.GetRun(run_id=HIDDEN))
    _, absent = team.call(token, ops.GetRun(run_id=run_id(77)))
    assert status == 404
    assert hidden["message"].replace(HIDDEN, "…") == absent["message"].replace(run_id(77), "…")
    status, hidden = team.call(token, ops.GetExperiment(name=NIGHT))
    _, absent = team.call(token, ops.GetExperiment(name="nothing"))
    assert hidden["message"].replace(NIGHT, "…") == absent["message"].replace("nothing", "…")
    assert status == 404
    # And it is let to what it has a role on.
    assert team.call(token, ops.GetRun(run_id=SHOWN))[0] == 200
    assert team.call(token, ops.DeleteRun(run_id=SHOWN))[0] == 200
    assert team.call(token, ops.RestoreRun(run_id=SHOWN))[0] == 200
    assert team.call(token, ops.CreateExperiment(name="of olga"))[0] == 403


def test_a_version_is_made_only_of_what_may_be_seen(team: Team, ids: dict[str, str]) -> None:
    who = caller(ids, Role.EDITOR)
    for logged, run, expected in (
        (f"{DAY} model", "", "let through"),
        (f"{NIGHT} model", "", "not there"),
        (f"{NIGHT} model", SHOWN, "not there"),
        (f"{DAY} model", HIDDEN, "not there"),
    ):
        made = ops.RegisterVersion(name=DAY, run_id=run, logged_model_id=ids[logged])
        assert outcome(team.owner, who, made) == expected, made
    new = ops.RegisterVersion(name="of nobody yet", run_id=SHOWN, artifact_path="m")
    assert outcome(team.owner, who, new) == "forbidden"
    copy = ops.CopyVersion(name=NIGHT, version=1, to=DAY)
    assert outcome(team.owner, who, copy) == "not there"


def test_children_elsewhere_do_not_come_along(team: Team, ids: dict[str, str]) -> None:
    child = f.RunStarted(run_id=run_id(9), experiment=NIGHT, parent_run_id=SHOWN, start_ms=1)
    team.owner.call(ops.RecordFacts(facts=[child]))
    who = caller(ids, Role.EDITOR)
    move = ops.MoveRuns(run_ids=[SHOWN], experiment_id=ids[DAY])
    assert outcome(team.owner, who, move) == "not there"
    copy = ops.CopyRun(run_id=SHOWN, with_children=True)
    assert outcome(team.owner, who, copy) == "not there"
    alone = ops.MoveRuns(run_ids=[SHOWN], experiment_id=ids[DAY], with_children=False)
    assert outcome(team.owner, who, alone) == "let through"


def test_facts_go_only_where_their_writer_may_edit(team: Team, ids: dict[str, str]) -> None:
    who = caller(ids, Role.EDITOR)
    new = run_id(44)
    good: list[list[f.Fact]] = [
        [f.TagsSet(run_id=SHOWN, tags={})],
        [f.RunStarted(run_id=new, experiment=DAY, start_ms=1), f.TagsSet(run_id=new, tags={})],
        [f.RunStarted(run_id=new, experiment_id=ids[DAY], start_ms=1)],
        [f.FlowRunState(flow_run_id=ids[f"{DAY} run"], state=flows.StateKind.RUNNING, at_ms=1)],
    ]
    point: dict[str, Any] = {"key": "rmse", "value": 1.0, "timestamp_ms": 1}
    model, other = ids[f"{DAY} model"], ids[f"{NIGHT} model"]
    measured = LoggedModelPoint(**point, model_id=model, run_id=SHOWN)
    elsewhere = [
        LoggedModelPoint(**point, model_id=other, run_id=SHOWN),
        LoggedModelPoint(**point, model_id=model, run_id=HIDDEN),
    ]
    file: dict[str, Any] = {"path": "a", "sha256": "0" * 64, "size_bytes": 1, "at_ms": 1}
    good += [
        [f.LoggedModelMeasured(points=[measured])],
        [f.LoggedModelFile(model_id=model, **file)],
    ]
    line = flows.LogLine(flow_run_id=ids[f"{NIGHT} run"], at_ms=1, level=20, message="x")
    bad: list[list[f.Fact]] = [
        [f.TagsSet(run_id=HIDDEN, tags={})],
        [f.TagsSet(run_id=SHOWN, tags={}), f.RunEnded(run_id=HIDDEN, status="FINISHED", end_ms=1)],  # type: ignore[arg-type]
        [f.TagsSet(run_id=new, tags={})],  # Nobody knows its run: it would go to Default.
        [f.RunStarted(run_id=new, experiment=NIGHT, start_ms=1)],
        [f.RunStarted(run_id=new, experiment="made by the way", start_ms=1)],
        [f.RunStarted(run_id=new, start_ms=1)],
        [f.RunStarted(run_id=HIDDEN, experiment=DAY, start_ms=1)],
        [f.FlowRunState(flow_run_id="unknown", state=flows.StateKind.RUNNING, at_ms=1)],
        [f.LogsWritten(lines=[line])],
        [f.LoggedModelMeasured(points=[measured, elsewhere[0]])],
        [f.LoggedModelMeasured(points=[measured, elsewhere[1]])],
        [f.LoggedModelFile(model_id=other, **file)],
        [f.LoggedModelFile(model_id="m-unknown", **file)],
    ]
    with team.owner.store.read() as connection:
        for facts in good:
            permit_facts(connection, who, facts)
        for facts in bad:
            with pytest.raises((ForbiddenError, NotFoundError)):
                permit_facts(connection, who, facts)


@pytest.mark.parametrize("path", ["runs/set-tag", "runs/log-metric", "runs/log-batch"])
def test_mlflows_logging_asks_where_the_run_is(team: Team, ids: dict[str, str], path: str) -> None:
    user = f"logs {path}".replace(" ", "-").replace("/", "-")
    signed = {"Authorization": f"Bearer {team.member(user)}"}
    team.grant(user, "experiment", ids[DAY], "editor")
    fields = {"key": "rmse", "value": "4", "timestamp": 1, "tags": []}
    for run, status in ((SHOWN, 200), (HIDDEN, 404)):
        assert team.mlflow("POST", path, {"run_id": run, **fields}, **signed)[0] == status
    # What was let through counts for seconds, and not beyond a change made through the server.
    boss = team.member(f"boss-{user}", "admin")
    body = {"run_id": SHOWN, **fields}
    assert team.mlflow("POST", path, body, **signed)[0] == 200
    take = ops.SetGrant(user=user, thing="experiment", name=ids[DAY], role="none")
    assert team.call(boss, take)[0] == 200
    assert team.mlflow("POST", path, body, **signed)[0] in {403, 404}


# --- searches -----------------------------------------------------------------------------------


def test_searches_counts_and_lists_look_only_at_what_may_be_seen(
    team: Team, ids: dict[str, str]
) -> None:
    token = team.member("petra")
    team.grant("petra", "experiment", ids[DAY], "viewer")
    team.grant("petra", "model", DAY, "viewer")
    team.grant("petra", "project", DAY, "viewer")

    def asked(operation: Operation[Any]) -> Any:  # noqa: ANN401
        status, answer = team.call(token, operation)
        assert status == 200, answer
        return answer

    runs = asked(ops.SearchRuns(max_results=1))
    assert [run["run_id"] for run in runs["runs"]] == [SHOWN]
    assert not runs["next_page_token"], "the page was cut before what may be seen was found"
    by_name = ops.SearchRuns(experiment_names=[NIGHT], experiment_ids=[ids[NIGHT], ids[DAY]])
    assert [run["run_id"] for run in asked(by_name)["runs"]] == [SHOWN]
    assert asked(ops.SearchRuns(experiment_ids=[ids[NIGHT]]))["runs"] == []
    assert asked(ops.CountRuns()) == 1
    assert asked(ops.CountRuns(experiment_names=[NIGHT], filter="params.model = 'gbm'")) == 0
    assert asked(ops.SearchRunTable())["run_ids"] == [SHOWN]
    assert [each["name"] for each in asked(ops.ListExperiments(include_deleted=True))] == [DAY]
    assert [each["name"] for each in asked(ops.SearchExperiments())["experiments"]] == [DAY]
    assert [each["name"] for each in asked(ops.ListModels())] == [DAY]
    assert {each["name"] for each in asked(ops.ListDecisions())} == {DAY}
    for name in (NIGHT, DAY):
        team.owner.call(ops.SetPolicy(policy=Policy(model=name)))
    assert [each["policy"]["model"] for each in asked(ops.ListPolicies())] == [DAY]
    assert [each["name"] for each in asked(ops.SearchModels(max_results=1))["models"]] == [DAY]
    logged = asked(ops.SearchLoggedModels(max_results=1))["models"]
    assert [each["name"] for each in logged] == [DAY]
    assert asked(ops.SearchLoggedModels(experiment_ids=[ids[NIGHT]]))["models"] == []
    versions = asked(ops.SearchVersions())["versions"]
    assert [each["name"] for each in versions] == [DAY]
    assert [each["project"] for each in asked(ops.ListFlows())] == [DAY]
    flow_runs = asked(ops.ListFlowRuns(project="", with_unregistered=True))["flow_runs"]
    assert {each["project"] for each in flow_runs} == {DAY}
    assert asked(ops.ListFlowRuns(project=NIGHT))["flow_runs"] == []


def test_lineage_tells_of_no_run_that_may_not_be_seen(team: Team, ids: dict[str, str]) -> None:
    from loopline.records.tracking import Dataset

    data = Dataset(name="trips", digest="d" * 64)
    team.owner.call(ops.RecordFacts(facts=[f.InputLogged(run_id=HIDDEN, dataset=data)]))
    token = team.member("rosa")
    team.grant("rosa", "experiment", ids[DAY], "viewer")
    status, uses = team.call(token, ops.GetDataUses(digests=["d" * 64]))
    assert status == 200
    assert (uses["runs"], uses["datasets"], uses["run_count"]) == ([], [], 0)
    assert team.call(token, ops.FindSnapshot(digest="d" * 64)) == (200, None)
    assert team.call(token, ops.ListDatasets()) == (200, [])
    team.owner.call(ops.RecordFacts(facts=[f.InputLogged(run_id=SHOWN, dataset=data)]))
    _, uses = team.call(token, ops.GetDataUses(digests=["d" * 64]))
    assert [run["run_id"] for run in uses["runs"]] == [SHOWN]
    assert uses["run_count"] == 1
    _, datasets = team.call(token, ops.ListDatasets(experiment_ids=[ids[NIGHT], ids[DAY]]))
    assert [each["experiment_id"] for each in datasets] == [ids[DAY]]


def test_the_graph_shows_and_crosses_nothing_that_may_not_be_seen(
    team: Team, ids: dict[str, str]
) -> None:
    from loopline.records.tracking import Dataset

    data = Dataset(name="trips", digest="e" * 64)
    read: list[f.Fact] = [f.InputLogged(run_id=run, dataset=data) for run in (HIDDEN, SHOWN)]
    team.owner.call(ops.RecordFacts(facts=read))
    token = team.member("lena")
    team.grant("lena", "experiment", ids[DAY], "viewer")

    status, graph = team.call(token, ops.GetLineage(node=f"data:{'e' * 64}"))
    assert status == 200
    # The model that the run made is another thing, on which nobody gave a role.
    assert [node["key"] for node in graph["nodes"]] == ["e" * 64, SHOWN]
    for node in (f"run:{HIDDEN}", f"version:{NIGHT}/1", f"flow-run:{ids[f'{NIGHT} run']}"):
        status, error = team.call(token, ops.GetLineage(node=node))
        assert (status, "that you may view" in error["message"]) == (404, True)
    # Who may view the model alone is told of it, and not of its run.
    token = team.member("milo")
    team.grant("milo", "model", DAY, "viewer")
    _, graph = team.call(token, ops.GetLineage(node=f"version:{DAY}/1"))
    assert {node["kind"] for node in graph["nodes"]} <= {"version", "decision"}
    status, reasons = team.call(token, ops.ExplainVersion(name=DAY, version=1))
    assert (status, reasons.get("run"), reasons.get("inputs", [])) == (200, None, [])


def test_pages_show_only_what_may_be_seen(team: Team, ids: dict[str, str]) -> None:
    token = team.member("tilda")
    team.grant("tilda", "experiment", ids[DAY], "viewer")
    for path in ("/", "/runs", "/experiments", "/models", "/flows", "/flow-runs"):
        page = team.get(path, token)
        assert page.status == 200, path
        assert NIGHT not in page.text, path
    assert DAY in team.get("/experiments", token).text
    hidden = team.get(f"/runs/{HIDDEN}", token)
    assert hidden.status == 404
    assert "html" in hidden.headers["Content-Type"]
    nobody = team.get("/runs", team.member("ulla"))
    assert (nobody.status, nobody.headers["Content-Type"][:9]) == (403, "text/html")


def test_bytes_are_read_only_as_part_of_what_may_be_seen(
    team: Team, ids: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "file"
    folder.write_bytes(b"fares of the night")
    sha256, size = team.owner.put_blob(folder)
    of_night = f.ArtifactLogged(
        run_id=HIDDEN, path="fares", sha256=sha256, size_bytes=size, at_ms=1
    )
    team.owner.call(ops.RecordFacts(facts=[of_night]))
    token = team.member("wanda")
    team.grant("wanda", "experiment", ids[DAY], "viewer")
    path = f"/api/v1/blobs/{sha256}"
    assert team.get(path, token).status == 404
    assert ask(team.url, "HEAD", path, headers={"Authorization": f"Bearer {token}"}).status == 404
    team.grant("wanda", "experiment", ids[NIGHT], "viewer")
    assert team.get(path, team.token("wanda")).body == b"fares of the night"


# --- who may give roles -------------------------------------------------------------------------


def test_the_administrator_of_one_thing_gives_roles_on_it(team: Team, ids: dict[str, str]) -> None:
    token = team.member("xenia")
    team.grant("xenia", "model", DAY, "admin")
    team.user("yara")
    given = ops.SetGrant(user="yara", thing="model", name=DAY, role="editor")
    assert team.call(token, given)[0] == 200
    beyond = [
        ops.SetGrant(user="yara", thing="model", name=NIGHT, role="viewer"),
        ops.SetGrant(user="yara", thing="experiment", name=ids[DAY], role="viewer"),
        ops.ChangeUser(name="xenia", role="admin"),
        ops.ListUsers(),
    ]
    for operation in beyond:
        assert team.call(token, operation)[0] in {403, 404}, operation


def test_a_grant_follows_a_model_and_ends_with_it(team: Team) -> None:
    team.owner.call(ops.CreateModel(name="short-lived"))
    token = team.member("zora")
    team.grant("zora", "model", "short-lived", "editor")
    team.owner.call(ops.RenameModel(name="short-lived", new_name="renamed"))
    assert team.call(token, ops.GetModel(name="renamed"))[0] == 200
    team.owner.call(ops.DeleteModel(name="renamed"))
    team.owner.call(ops.CreateModel(name="renamed"))
    assert team.call(team.token("zora"), ops.GetModel(name="renamed"))[0] == 403
    assert team.owner.call(ops.ListGrants(user="zora")) == []


def test_a_token_is_a_lid_on_what_its_user_may_do(team: Team) -> None:
    team.user("frida", "admin")
    read, write = team.token("frida", "read"), team.token("frida", "write")
    assert team.call(read, ops.ListModels())[0] == 200
    status, told = team.call(read, ops.CreateModel(name="by read"))
    assert status == 403
    assert "loopline tokens create --scope write" in told["message"]
    assert team.call(write, ops.CreateModel(name="by write"))[0] == 200
    status, told = team.call(write, ops.ListUsers())
    assert status == 403
    assert "loopline tokens create --scope admin" in told["message"]
    weak = team.member("gus", "viewer", "write")
    assert "Ask an administrator" in team.call(weak, ops.CreateModel(name="x"))[1]["message"]
    assert team.call(write, ops.CreateToken(scope="admin"))[0] == 403
    assert team.call(read, ops.CreateToken(scope="read"))[0] == 200
    lidded = Access(role=Role.ADMIN, scope=Scope.READ)
    who = Caller(name="frida", access=lidded)
    assert outcome(team.owner, who, ops.DeleteRun(run_id=SHOWN)) == "forbidden"


def test_a_server_that_asks_nobody_makes_no_accounts(tmp_path: Path) -> None:
    from tests.server.running import running

    from loopline.server.wire import JSON, encode

    with running(Address("home", str(tmp_path / "home"))) as url:
        body = encode(ops.AddUser(name="eve", role="admin"), JSON)
        answer = ask(url, "POST", "/api/v1/ops/add-user", body, {"Content-Type": JSON})
        assert answer.status == 403
        assert "--auth" in answer.text
        assert ask(url, "GET", "/me").status == 404
