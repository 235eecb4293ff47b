"""What the audit log says of each command: to what it was done, and what that was like.

Every command is in the log but for those that log or that workers send: they are facts, have a
history of their own, and there are thousands of them. A command that is in neither table below is
logged with its own words, so that a new one is never left out by forgetting it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import case, select

from loopline.errors import NotFoundError
from loopline.records import operations as ops
from loopline.store import schema
from loopline.store.automations import automation_record
from loopline.store.decisions import decision_record
from loopline.store.experiments import parse_id
from loopline.store.feeds import feed_record
from loopline.store.find import run_row
from loopline.store.logged_models import logged_model_files, logged_model_row
from loopline.store.policies import find_policy
from loopline.store.projects import project_record
from loopline.store.registry_rows import model_record, version_record
from loopline.store.runs import artifacts_below
from loopline.store.secrets import secret_record
from loopline.store.tokens import token_record, token_row
from loopline.store.users import user_record, user_row
from loopline.store.webhooks import webhook_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from loopline.records.operations import Operation

__all__ = ["QUIET", "Subject", "is_audited", "look_at", "subject_of"]

#: Commands that are not in the log.
QUIET: frozenset[type[Operation[Any]]] = frozenset(
    {
        ops.AddArrival,
        ops.ClaimFlowRun,
        ops.CloseLostFlowRuns,
        ops.CloseLostRuns,
        ops.CreateLoggedModel,
        ops.FinishLoggedModel,
        ops.GiveTaskSlots,
        ops.Heartbeat,
        ops.LogLoggedModelParams,
        ops.AddDueTimes,
        ops.MaterialiseSchedules,
        ops.RecordFacts,
        ops.RefuseBatch,
        ops.ReleaseFlowRun,
        ops.RenewLease,
        ops.ReportWorker,
        ops.TakeTaskSlots,
    }
)
#: Commands that mostly find what they would make: they are in the log when they made it.
ONLY_CHANGES = frozenset({ops.EnsureExperiment, ops.EnsureFeed, ops.RegisterFlow})
#: Runs whose place before a move is told, and files that were there before they were deleted.
MOST_RUNS, MOST_FILES = 100, 1_000


class Subject(NamedTuple):
    """What a command was done to.

    Attributes:
        kind: Such as ``"model"``.
        name: Of that kind; its parts.
    """

    kind: str
    name: tuple[str, ...]

    def __str__(self) -> str:
        """As the log has it."""
        return "/".join((self.kind, *self.name))


def is_audited(operation: Operation[Any], before: object, after: object) -> bool:
    """Tell whether a command belongs into the log."""
    if not operation.changes or type(operation) in QUIET:
        return False
    return type(operation) not in ONLY_CHANGES or before != after


def subject_of(connection: Connection, operation: Any, answer: Any = None) -> Subject:  # noqa: ANN401
    """Name what a command is done to; with its answer: what it made, or renamed."""
    find = _SUBJECTS.get(type(operation))
    if find is None:
        return Subject("store", ())
    return find(connection, operation, answer)


def look_at(connection: Connection, subject: Subject) -> object:
    """Tell what something is like now, in plain data; None when it is not there."""
    look = _LOOKS.get(subject.kind)
    try:
        return None if look is None else msgspec.to_builtins(look(connection, subject.name))
    except NotFoundError:
        return None


# --- to what ------------------------------------------------------------------------------------


def _experiment(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection
    known = answer.experiment_id if answer is not None else getattr(call, "experiment_id", "")
    return Subject("experiment", (known,))


def _experiment_by_name(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del answer
    name = call.experiment.name if isinstance(call, ops.ImportExperiment) else call.name
    table = schema.experiment
    query = select(table.c.id).where(table.c.name == name)
    found = connection.execute(query).scalar_one_or_none()
    return Subject("experiment", ("" if found is None else str(found),))


def _run(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection
    made = isinstance(call, ops.CopyRun) and answer is not None
    return Subject("run", (answer.run_id if made else call.run_id,))


def _runs(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    settled = isinstance(call, ops.SettleRuns)
    ids = [run.run_id for run in call.runs] if settled else call.run_ids
    return Subject("runs", tuple(ids[:MOST_RUNS]))


def _files(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    return Subject("files", (call.model_id or call.run_id, call.path))


def _logged_model(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    if isinstance(call, ops.ImportLoggedModel):
        return Subject("logged-model", (call.model.model_id,))
    return Subject("logged-model", (call.model_id,))


def _model(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection
    renamed = isinstance(call, ops.RenameModel) and answer is not None
    if isinstance(call, ops.ImportModel):
        return Subject("model", (call.model.name,))
    return Subject("model", (call.new_name if renamed else call.name,))


def _version(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection
    if isinstance(call, ops.ImportVersion):
        call = call.version
    if isinstance(call, ops.RegisterVersion | ops.CopyVersion):
        if answer is None:  # It has no number yet.
            return Subject("version", (getattr(call, "to", call.name), ""))
        return Subject("version", (answer.name, str(answer.version)))
    return Subject("version", (call.name, str(call.version)))


def _policy(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    policy = getattr(call, "policy", None)
    if policy is not None:
        return Subject("policy", (policy.model, policy.stage))
    return Subject("policy", (call.name, call.stage))


def _decision(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection
    if isinstance(call, ops.AnswerDecision):
        return Subject("decision", (call.decision_id,))
    return Subject("decision", (answer.decision_id if answer is not None else "",))


def _champion(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    return Subject("model", (call.name,))


def _automation(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection
    made = isinstance(call, ops.CreateAutomation)
    if made and answer is None:
        return Subject("automation", ("",))
    return Subject("automation", (answer.automation_id if made else call.automation_id,))


def _project(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    return Subject("project", (call.name,))


def _feed(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    return Subject("feed", (call.name,))


def _flow(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    return Subject("flow", (call.project, call.name))


def _flow_run(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection
    made = isinstance(call, ops.CreateFlowRun)
    if made and answer is None:
        return Subject("flow-run", ("",))
    return Subject("flow-run", (answer.flow_run_id if made else call.flow_run_id,))


def _tag_limit(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    return Subject("tag-limit", (call.tag,))


def _key_value(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    return Subject("key", (f"{call.space}/{call.key}" if call.space else call.key,))


def _webhook(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection
    made = isinstance(call, ops.CreateWebhook)
    if made and answer is None:
        return Subject("webhook", ("",))
    return Subject("webhook", (answer.webhook_id if made else call.webhook_id,))


def _secret(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    return Subject("secret", (call.name,))


def _user(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    return Subject("user", (call.name,))


def _token(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection
    made = isinstance(call, ops.CreateToken)
    if made and answer is None:
        return Subject("token", ("",))
    return Subject("token", (answer.token.token_id if made else call.token_id,))


def _grant(connection: Connection, call: Any, answer: Any) -> Subject:  # noqa: ANN401
    del connection, answer
    return Subject("grant", (call.user, call.thing.lower(), call.name))


_SUBJECTS: dict[type[Operation[Any]], Callable[[Connection, Any, Any], Subject]] = {
    ops.EnsureExperiment: _experiment_by_name,
    ops.CreateExperiment: _experiment_by_name,
    ops.ImportExperiment: _experiment_by_name,
    ops.DeleteExperiment: _experiment,
    ops.RestoreExperiment: _experiment,
    ops.RenameExperiment: _experiment,
    ops.SetExperimentTags: _experiment,
    ops.RemoveExperimentTag: _experiment,
    ops.DeleteRun: _run,
    ops.RestoreRun: _run,
    ops.CopyRun: _run,
    ops.MoveRuns: _runs,
    ops.SettleRuns: _runs,
    ops.DeleteArtifacts: _files,
    ops.DeleteLoggedModel: _logged_model,
    ops.ImportLoggedModel: _logged_model,
    ops.SetLoggedModelTags: _logged_model,
    ops.RemoveLoggedModelTag: _logged_model,
    ops.CreateModel: _model,
    ops.UpdateModel: _model,
    ops.RenameModel: _model,
    ops.DeleteModel: _model,
    ops.SetModelTags: _model,
    ops.RemoveModelTag: _model,
    ops.AddStage: _model,
    ops.RemoveStage: _model,
    ops.SetAlias: _model,
    ops.RemoveAlias: _model,
    ops.ImportModel: _model,
    ops.RegisterVersion: _version,
    ops.CopyVersion: _version,
    ops.UpdateVersion: _version,
    ops.DeleteVersion: _version,
    ops.SetVersionTags: _version,
    ops.RemoveVersionTag: _version,
    ops.TransitionStage: _version,
    ops.TakeFiles: _version,
    ops.ImportVersion: _version,
    ops.SetPolicy: _policy,
    ops.DeletePolicy: _policy,
    ops.RecordDecision: _decision,
    ops.AnswerDecision: _decision,
    ops.RollBack: _champion,
    ops.CreateAutomation: _automation,
    ops.SetAutomationActive: _automation,
    ops.DeleteAutomation: _automation,
    ops.CreateProject: _project,
    ops.UpdateProject: _project,
    ops.DeleteProject: _project,
    ops.EnsureFeed: _feed,
    ops.DeleteFeed: _feed,
    ops.RegisterFlow: _flow,
    ops.SetScheduleActive: _flow,
    ops.CreateFlowRun: _flow_run,
    ops.CancelFlowRun: _flow_run,
    ops.RetryFlowRun: _flow_run,
    ops.RerunFlowRun: _flow_run,
    ops.PauseFlowRun: _flow_run,
    ops.ResumeFlowRun: _flow_run,
    ops.UpdateFlowRun: _flow_run,
    ops.SetFlowLimit: _flow,
    ops.SetTagLimit: _tag_limit,
    ops.SetKeyValue: _key_value,
    ops.DeleteKeyValue: _key_value,
    ops.CreateWebhook: _webhook,
    ops.UpdateWebhook: _webhook,
    ops.DeleteWebhook: _webhook,
    ops.SetSecret: _secret,
    ops.GetSecret: _secret,
    ops.DeleteSecret: _secret,
    ops.AddUser: _user,
    ops.ChangeUser: _user,
    ops.RemoveUser: _user,
    ops.InviteUser: _user,
    ops.CreateToken: _token,
    ops.RevokeToken: _token,
    ops.SetGrant: _grant,
}

# --- what it is like ------------------------------------------------------------------------------


def _experiment_now(connection: Connection, name: tuple[str, ...]) -> object:
    table, tag = schema.experiment, schema.experiment_tag
    query = select(table.c.name, table.c.lifecycle).where(table.c.id == parse_id(name[0]))
    row = connection.execute(query).first()
    tags = select(tag.c.key, tag.c.value).where(tag.c.experiment_id == parse_id(name[0]))
    found = dict(connection.execute(tags).all())
    return None if row is None else {**row._asdict(), "tags": found}


def _run_now(connection: Connection, name: tuple[str, ...]) -> object:
    return _runs_now(connection, name)[0] if _runs_now(connection, name) else None


def _runs_now(connection: Connection, name: tuple[str, ...]) -> list[dict[str, Any]]:
    table = schema.run
    query = select(
        table.c.run_id, table.c.experiment_id, table.c.name, table.c.status, table.c.lifecycle
    ).where(table.c.run_id.in_(name))
    return [row._asdict() for row in connection.execute(query.order_by(table.c.pk)).all()]


def _logged_model_now(connection: Connection, name: tuple[str, ...]) -> object:
    table, tag = schema.logged_model, schema.logged_model_tag
    query = select(
        table.c.pk, table.c.experiment_id, table.c.name, table.c.status, table.c.lifecycle
    ).where(table.c.model_id == name[0])
    row = connection.execute(query).first()
    if row is None:
        return None
    tags = select(tag.c.key, tag.c.value).where(tag.c.model_pk == row.pk)
    said = row._asdict()
    del said["pk"]
    return {**said, "tags": {each.key: each.value for each in connection.execute(tags)}}


def _flow_now(connection: Connection, name: tuple[str, ...]) -> object:
    flow, version = schema.flow, schema.flow_version
    query = (
        select(
            flow.c.latest_version, flow.c.schedule_active, flow.c.most_runs, version.c.fingerprint
        )
        .join(version, version.c.flow_id == flow.c.id)
        .where(flow.c.project == name[0], flow.c.name == name[1])
        .order_by(version.c.version.desc())
    )
    row = connection.execute(query).first()
    return None if row is None else row._asdict()


def _flow_run_now(connection: Connection, name: tuple[str, ...]) -> object:
    table = schema.flow_run
    query = select(
        table.c.project, table.c.flow_name, table.c.state, table.c.cancel_requested,
        table.c.pause_requested, table.c.parameters, table.c.scheduled_ms, table.c.name,
        table.c.note, table.c.priority, table.c.labels,
    ).where(table.c.flow_run_id == name[0])  # fmt: skip
    row = connection.execute(query).first()
    return None if row is None else row._asdict()


def _key_now(connection: Connection, name: tuple[str, ...]) -> object:
    table = schema.key_value
    named = case((table.c.space == "", table.c.key), else_=table.c.space + "/" + table.c.key)
    query = select(table.c.value).where(named == name[0])
    return connection.execute(query).scalar()


def _tag_limit_now(connection: Connection, name: tuple[str, ...]) -> object:
    table = schema.tag_limit
    query = select(table.c.most).where(table.c.tag == name[0])
    return connection.execute(query).scalar_one_or_none()


def _grant_now(connection: Connection, name: tuple[str, ...]) -> object:
    table, user = schema.grant, schema.user
    query = (
        select(table.c.role)
        .join(user, user.c.id == table.c.user_id)
        .where(user.c.name == name[0], table.c.thing == name[1], table.c.name == name[2])
    )
    return connection.execute(query).scalar_one_or_none()


def _files_now(connection: Connection, name: tuple[str, ...]) -> object:
    owner, path = name
    if owner.startswith("m-"):
        files = logged_model_files(connection, logged_model_row(connection, owner).pk)
    else:
        files = artifacts_below(connection, run_row(connection, owner).pk, "")
    below = [file for file in files if not path or f"{file.path}/".startswith(f"{path}/")]
    return {file.path: file.sha256 for file in below[:MOST_FILES]}


_LOOKS: dict[str, Callable[[Connection, tuple[str, ...]], object]] = {
    "experiment": _experiment_now,
    "run": _run_now,
    "runs": _runs_now,
    "logged-model": _logged_model_now,
    "files": _files_now,
    "model": lambda connection, name: model_record(connection, name[0]),
    "version": lambda connection, name: (
        version_record(connection, name[0], int(name[1])) if name[1] else None
    ),
    "policy": lambda connection, name: find_policy(connection, name[0], name[1]),
    "decision": lambda connection, name: decision_record(connection, name[0]) if name[0] else None,
    "automation": lambda connection, name: automation_record(connection, name[0]),
    "project": lambda connection, name: project_record(connection, name[0], 0),
    "feed": lambda connection, name: feed_record(connection, name[0]),
    "flow": _flow_now,
    "flow-run": _flow_run_now,
    "tag-limit": _tag_limit_now,
    "user": lambda connection, name: user_record(user_row(connection, name[0])),
    "token": lambda connection, name: (
        token_record(token_row(connection, name[0])) if name[0] else None
    ),
    "grant": _grant_now,
    "key": _key_now,
    "secret": lambda connection, name: secret_record(connection, name[0]),
    "webhook": lambda connection, name: webhook_record(connection, name[0]),
}
