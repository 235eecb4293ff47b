"""What each operation is about: the experiments, models and projects whose roles it needs.

An operation that is not in the table is about the whole store, and so is one whose function answers
None, such as a run that starts in an experiment which nobody has made.

Longer than 500 lines because it is one table, whose rows are read beside each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.automations import EventKind
from loopline.records.identity import Role, Thing
from loopline.rules.access import parse_thing
from loopline.store import schema
from loopline.store.experiments import parse_id
from loopline.store.flow_run_authors import own_flow_runs
from loopline.store.moving import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from loopline.records.automations import When
    from loopline.records.facts import Fact
    from loopline.records.operations import Operation

__all__ = ["TARGETS", "Need", "needs_of_facts"]

_experiment = schema.experiment
_run = schema.run
_flow_run = schema.flow_run
_version = schema.flow_version
_flow = schema.flow
#: What happens to models.
_OF_MODELS = frozenset({EventKind.MODEL_VERSION, EventKind.STAGE})
#: Values in one statement; SQLite takes at most 32,766.
TOGETHER = 500
#: Where facts go whose run nobody has heard of.
DEFAULT_EXPERIMENT = 0


class Need(NamedTuple):
    """A role that an operation needs on one thing.

    Attributes:
        thing: Kind of thing.
        name: Number of an experiment, or name of a model or project; None: it is not there.
        role: What is needed.
        said: What the caller asked for, in words.
        is_own: The caller made it: they may do there what they may do anywhere.
    """

    thing: Thing
    name: int | str | None
    role: Role
    said: str
    is_own: bool = False


#: The whole store: only a role on everything is enough.
_Needs = list[Need] | None


def _experiment_by_id(_connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    return [_need_experiment(call.experiment_id, role)]


def _need_experiment(experiment_id: str, role: Role) -> Need:
    number = parse_id(experiment_id)
    return Need(
        Thing.EXPERIMENT, None if number < 0 else number, role, f"experiment {experiment_id!r}"
    )


def _number_of(connection: Connection, name: str) -> int | None:
    query = select(_experiment.c.id).where(_experiment.c.name == name)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else int(found)


def _get_experiment(connection: Connection, call: ops.GetExperiment, role: Role) -> _Needs:
    if call.experiment_id:
        return _experiment_by_id(connection, call, role)
    return [
        Need(Thing.EXPERIMENT, _number_of(connection, call.name), role, f"experiment {call.name!r}")
    ]


def _into(connection: Connection, experiment_id: str, name: str, role: Role) -> _Needs:
    """Where runs go: an experiment that must be made first is nobody's yet."""
    if experiment_id:
        return [_need_experiment(experiment_id, role)]
    number = _number_of(connection, name)
    return (
        None if number is None else [Need(Thing.EXPERIMENT, number, role, f"experiment {name!r}")]
    )


def _ensure_experiment(connection: Connection, call: ops.EnsureExperiment, role: Role) -> _Needs:
    return _into(connection, "", call.name, role)


def _experiments_of(connection: Connection, run_ids: Iterable[str]) -> dict[str, int]:
    """Tell which experiments runs are in; those that are not there are left out."""
    found: dict[str, int] = {}
    wanted = sorted(set(run_ids))
    for start in range(0, len(wanted), TOGETHER):
        query = select(_run.c.run_id, _run.c.experiment_id).where(
            _run.c.run_id.in_(wanted[start : start + TOGETHER])
        )
        found.update((run_id, int(number)) for run_id, number in connection.execute(query).all())
    return found


def _runs(connection: Connection, run_ids: Iterable[str], role: Role) -> list[Need]:
    wanted = list(run_ids)
    numbers = _experiments_of(connection, wanted)
    return [Need(Thing.EXPERIMENT, numbers.get(run_id), role, f"run {run_id}") for run_id in wanted]


def _run_by_id(connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    return _runs(connection, [call.run_id], role)


def _runs_by_id(connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    return _runs(connection, call.run_ids, role)


def _with_descendants(connection: Connection, run_ids: list[str], *, all_too: bool) -> list[str]:
    """Name runs and, if they come along, the runs started inside them."""
    if not all_too:
        return run_ids
    inside = (descendants(connection, run_id) for run_id in run_ids)
    return [*run_ids, *(row.run_id for rows in inside for row in rows)]


def _move_runs(connection: Connection, call: ops.MoveRuns, role: Role) -> _Needs:
    into = _into(connection, call.experiment_id, call.experiment, role)
    moved = _with_descendants(connection, call.run_ids, all_too=call.with_children)
    return None if into is None else [*into, *_runs(connection, moved, role)]


def _copy_run(connection: Connection, call: ops.CopyRun, role: Role) -> _Needs:
    copied = _with_descendants(connection, [call.run_id], all_too=call.with_children)
    if not call.experiment_id and not call.experiment:
        return _runs(connection, copied, role)
    into = _into(connection, call.experiment_id, call.experiment, role)
    return None if into is None else [*into, *_runs(connection, copied, Role.VIEWER)]


def _runs_of_writer(connection: Connection, call: ops.CloseLostRuns, role: Role) -> _Needs:
    if not call.writer:
        return None
    link = schema.writer_run
    query = (
        select(_run.c.experiment_id)
        .join(link, link.c.run_pk == _run.c.pk)
        .where(link.c.writer == call.writer)
        .distinct()
    )
    return [
        Need(Thing.EXPERIMENT, int(number), role, f"experiment {number}")
        for number in connection.execute(query).scalars()
    ]


def _record_facts(connection: Connection, call: ops.RecordFacts, role: Role) -> _Needs:
    return needs_of_facts(connection, call.facts, role)


def needs_of_facts(
    connection: Connection, facts: Iterable[Fact], role: Role, writer: str = ""
) -> _Needs:
    """Find what facts are of: the run's experiment, the one it starts in, the flow's project.

    Args:
        connection: Inside a transaction.
        facts: Of a batch or a request.
        role: What they need there.
        writer: Whose journal they come from; empty: nobody's.
    """
    run_ids: set[str] = set()
    starts: set[tuple[str, str]] = set()
    started: set[str] = set()
    flow_run_ids: set[str] = set()
    model_ids: set[str] = set()
    for fact in facts:
        match fact:
            case f.RunStarted():
                run_ids.add(fact.run_id)
                started.add(fact.run_id)
                name = fact.experiment or ("" if fact.experiment_id else "Default")
                starts.add((fact.experiment_id, name))
            case f.FlowRunState() | f.TaskRunState() | f.FlowArtifactSet():
                flow_run_ids.add(fact.flow_run_id)
            case f.LoggedModelFile():
                model_ids.add(fact.model_id)
            case f.LoggedModelMeasured():
                model_ids.update(point.model_id for point in fact.points)
                run_ids.update(point.run_id for point in fact.points)
            case f.LogsWritten():
                flow_run_ids.update(line.flow_run_id for line in fact.lines)
            case f.Unreadable():
                pass
            case _:
                run_ids.add(fact.run_id)
    needs: list[Need] = []
    for experiment_id, name in sorted(starts):
        into = _into(connection, experiment_id, name, role)
        if into is None:
            return None
        needs += into
    numbers = _experiments_of(connection, run_ids)
    if run_ids - numbers.keys() - started:
        numbers[""] = DEFAULT_EXPERIMENT
    for number in sorted(set(numbers.values())):
        needs.append(Need(Thing.EXPERIMENT, number, role, f"experiment {number}"))
    needs += _logged_models(connection, model_ids, role)
    flow_run_ids -= _of_journal(connection, flow_run_ids, writer)
    return needs + _flow_runs(connection, flow_run_ids, role)


def _of_journal(connection: Connection, flow_run_ids: set[str], writer: str) -> set[str]:
    """Name the flow runs outside all projects that a journal makes, or has made: ``flow.run()``.

    They are nobody else's, and need no role but the one that lets a caller record at all.
    """
    if not writer or not flow_run_ids:
        return set()
    own = set(flow_run_ids)
    wanted = sorted(flow_run_ids)
    for start in range(0, len(wanted), TOGETHER):
        query = select(_flow_run.c.flow_run_id, _flow_run.c.project, _flow_run.c.writer).where(
            _flow_run.c.flow_run_id.in_(wanted[start : start + TOGETHER])
        )
        for row in connection.execute(query):
            if row.project or row.writer != writer:
                own.discard(row.flow_run_id)
    return own


def _logged_models(connection: Connection, model_ids: Iterable[str], role: Role) -> list[Need]:
    table = schema.logged_model
    wanted = sorted(set(model_ids))
    numbers: dict[str, int] = {}
    for start in range(0, len(wanted), TOGETHER):
        query = select(table.c.model_id, table.c.experiment_id).where(
            table.c.model_id.in_(wanted[start : start + TOGETHER])
        )
        numbers.update((model_id, int(number)) for model_id, number in connection.execute(query))
    return [
        Need(Thing.EXPERIMENT, numbers.get(model_id), role, f"logged model {model_id}")
        for model_id in wanted
    ]


def _logged_model_by_id(connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    return _logged_models(connection, [call.model_id], role)


def _logged_models_by_id(connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    return _logged_models(connection, call.model_ids, role)


def _whose_files(connection: Connection, call: ops.DeleteArtifacts, role: Role) -> _Needs:
    if call.model_id:
        return _logged_models(connection, [call.model_id], role)
    return _runs(connection, [call.run_id], role)


def _model(_connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    return [Need(Thing.MODEL, call.name, role, f"model {call.name!r}")]


def _models(_connection: Connection, call: ops.GetLatestVersions, role: Role) -> _Needs:
    return [Need(Thing.MODEL, name, role, f"model {name!r}") for name in call.names]


def _is_model(connection: Connection, name: str) -> bool:
    query = select(schema.model.c.name).where(schema.model.c.name == name)
    return connection.execute(query).first() is not None


def _register(connection: Connection, call: ops.RegisterVersion, role: Role) -> _Needs:
    if not _is_model(connection, call.name):
        return None
    needs = [Need(Thing.MODEL, call.name, role, f"model {call.name!r}")]
    if call.run_id:
        needs += _runs(connection, [call.run_id], Role.VIEWER)
    if call.logged_model_id:
        needs += _logged_models(connection, [call.logged_model_id], Role.VIEWER)
    return needs


def _copy_version(connection: Connection, call: ops.CopyVersion, role: Role) -> _Needs:
    if not _is_model(connection, call.to):
        return None
    return [
        Need(Thing.MODEL, call.name, Role.VIEWER, f"model {call.name!r}"),
        Need(Thing.MODEL, call.to, role, f"model {call.to!r}"),
    ]


def _set_policy(connection: Connection, call: ops.SetPolicy, role: Role) -> _Needs:
    name = call.policy.model
    if not _is_model(connection, name):
        return None
    return [Need(Thing.MODEL, name, role, f"model {name!r}")]


def _decision(connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    table = schema.decision
    query = select(table.c.name).where(table.c.decision_id == call.decision_id)
    name = connection.execute(query).scalar_one_or_none()
    return [Need(Thing.MODEL, name, role, f"decision {call.decision_id}")]


def _project(_connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    return [Need(Thing.PROJECT, call.project, role, f"project {call.project!r}")]


def _register_flow(connection: Connection, call: ops.RegisterFlow, role: Role) -> _Needs:
    models = [each.when.model for each in call.triggers if each.when.event in _OF_MODELS]
    needs = _about(connection, call.project, models, role)
    return _and_feeds(connection, needs, [each.when for each in call.triggers])


def _about(_connection: Connection, project: str, models: Iterable[str], role: Role) -> _Needs:
    """What an automation acts on, and the models it hears of; without a name of all."""
    needs = [Need(Thing.PROJECT, project, role, f"project {project!r}")]
    for model in models:
        if not model:
            return None
        needs.append(Need(Thing.MODEL, model, Role.VIEWER, f"model {model!r}"))
    return needs


def _create_automation(connection: Connection, call: ops.CreateAutomation, role: Role) -> _Needs:
    if not call.project:
        return None
    models = [call.when.model] if call.when.event in _OF_MODELS else []
    return _and_feeds(connection, _about(connection, call.project, models, role), [call.when])


def _and_feeds(connection: Connection, needs: _Needs, events: Iterable[When]) -> _Needs:
    """Add the feeds that an automation hears of; without a name these are all."""
    for when in events:
        if when.event is not EventKind.NEW_DATA or needs is None:
            continue
        query = select(schema.feed.c.project).where(schema.feed.c.name == when.feed)
        project = connection.execute(query).scalar_one_or_none()
        if not when.feed or project == "":
            return None
        needs.append(Need(Thing.PROJECT, project, Role.VIEWER, f"feed {when.feed!r}"))
    return needs


def _automation(connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    table = schema.automation
    query = select(table.c.project).where(table.c.automation_id == call.automation_id)
    project = connection.execute(query).scalar_one_or_none()
    if project == "":
        return None
    return [Need(Thing.PROJECT, project, role, f"automation {call.automation_id}")]


def _ensure_feed(connection: Connection, call: ops.EnsureFeed, role: Role) -> _Needs:
    query = select(schema.feed.c.name).where(schema.feed.c.name == call.name)
    if connection.execute(query).first() is not None:
        return _feed(connection, call, role)
    if not call.project:
        return None
    return [Need(Thing.PROJECT, call.project, role, f"project {call.project!r}")]


def _feed(connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    """The project that a feed belongs to; one of no project is about the whole store."""
    query = select(schema.feed.c.project).where(schema.feed.c.name == call.name)
    project = connection.execute(query).scalar_one_or_none()
    if project == "":
        return None
    return [Need(Thing.PROJECT, project, role, f"feed {call.name!r}")]


def _project_by_name(_connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    return [Need(Thing.PROJECT, call.name, role, f"project {call.name!r}")]


def _flow_or_version(connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    if not call.flow_version_id:
        return _project(connection, call, role)
    query = (
        select(_flow.c.project)
        .join(_version, _version.c.flow_id == _flow.c.id)
        .where(_version.c.flow_version_id == call.flow_version_id)
    )
    project = connection.execute(query).scalar_one_or_none()
    return [Need(Thing.PROJECT, project, role, f"flow version {call.flow_version_id}")]


def _flow_runs(connection: Connection, flow_run_ids: Iterable[str], role: Role) -> list[Need]:
    wanted = sorted(set(flow_run_ids))
    projects: dict[str, str] = {}
    own: set[str] = set()
    for start in range(0, len(wanted), TOGETHER):
        query = select(_flow_run.c.flow_run_id, _flow_run.c.project).where(
            _flow_run.c.flow_run_id.in_(wanted[start : start + TOGETHER])
        )
        projects.update(tuple(row) for row in connection.execute(query).all())
        own |= own_flow_runs(connection, wanted[start : start + TOGETHER])
    return [
        Need(Thing.PROJECT, projects.get(each), role, f"flow run {each}", is_own=each in own)
        for each in wanted
    ]


def _flow_run_by_id(connection: Connection, call: Any, role: Role) -> _Needs:  # noqa: ANN401
    return _flow_runs(connection, [call.flow_run_id], role)


def _granted_on(_connection: Connection, call: ops.SetGrant, role: Role) -> _Needs:
    thing = parse_thing(call.thing)
    if thing is Thing.EXPERIMENT:
        return [_need_experiment(call.name, role)]
    return [Need(thing, call.name, role, f"{thing.value} {call.name!r}")]


TARGETS: dict[type[Operation[Any]], Callable[[Connection, Any, Role], _Needs]] = {
    ops.EnsureExperiment: _ensure_experiment,
    ops.GetExperiment: _get_experiment,
    ops.DeleteExperiment: _experiment_by_id,
    ops.RestoreExperiment: _experiment_by_id,
    ops.RenameExperiment: _experiment_by_id,
    ops.SetExperimentTags: _experiment_by_id,
    ops.RemoveExperimentTag: _experiment_by_id,
    ops.GetRun: _run_by_id,
    ops.DeleteRun: _run_by_id,
    ops.RestoreRun: _run_by_id,
    ops.GetMetricHistory: _run_by_id,
    ops.GetMetricColumns: _run_by_id,
    ops.ListArtifacts: _run_by_id,
    ops.ListInputs: _run_by_id,
    ops.ListRunEvents: _run_by_id,
    ops.ListRefused: _run_by_id,
    ops.DeleteArtifacts: _whose_files,
    ops.DescribeRuns: _runs_by_id,
    ops.DescribeLoggedModels: _logged_models_by_id,
    ops.MoveRuns: _move_runs,
    ops.CopyRun: _copy_run,
    ops.RecordFacts: _record_facts,
    ops.CloseLostRuns: _runs_of_writer,
    ops.CreateLoggedModel: _experiment_by_id,
    ops.FinishLoggedModel: _logged_model_by_id,
    ops.GetLoggedModel: _logged_model_by_id,
    ops.DeleteLoggedModel: _logged_model_by_id,
    ops.SetLoggedModelTags: _logged_model_by_id,
    ops.RemoveLoggedModelTag: _logged_model_by_id,
    ops.LogLoggedModelParams: _logged_model_by_id,
    ops.ListLoggedModelFiles: _logged_model_by_id,
    ops.ListRunModels: _run_by_id,
    ops.ListRunUses: _runs_by_id,
    ops.GetModel: _model,
    ops.UpdateModel: _model,
    ops.RenameModel: _model,
    ops.DeleteModel: _model,
    ops.SetModelTags: _model,
    ops.RemoveModelTag: _model,
    ops.RegisterVersion: _register,
    ops.CopyVersion: _copy_version,
    ops.UpdateVersion: _model,
    ops.DeleteVersion: _model,
    ops.SetVersionTags: _model,
    ops.RemoveVersionTag: _model,
    ops.GetVersion: _model,
    ops.ListVersions: _model,
    ops.GetLatestVersions: _models,
    ops.ResolveModel: _model,
    ops.TransitionStage: _model,
    ops.TakeFiles: _model,
    ops.AddStage: _model,
    ops.RemoveStage: _model,
    ops.SetAlias: _model,
    ops.RemoveAlias: _model,
    ops.ListVersionEvents: _model,
    ops.SetPolicy: _set_policy,
    ops.GetPolicy: _model,
    ops.DeletePolicy: _model,
    ops.RecordDecision: _model,
    ops.AnswerDecision: _decision,
    ops.GetDecision: _decision,
    ops.RollBack: _model,
    ops.ExplainVersion: _model,
    ops.EnsureFeed: _ensure_feed,
    ops.GetFeed: _feed,
    ops.DeleteFeed: _feed,
    ops.AddArrival: _feed,
    ops.ListArrivals: _feed,
    ops.RefuseBatch: _feed,
    ops.ListRefusals: _feed,
    ops.GetProject: _project_by_name,
    ops.UpdateProject: _project_by_name,
    ops.DeleteProject: _project_by_name,
    ops.ListFlowVersions: _project,
    ops.RegisterFlow: _register_flow,
    ops.CreateAutomation: _create_automation,
    ops.SetAutomationActive: _automation,
    ops.DeleteAutomation: _automation,
    ops.ListFirings: _automation,
    ops.GetFlow: _flow_or_version,
    ops.SetScheduleActive: _project,
    ops.CreateFlowRun: _flow_or_version,
    ops.GetFlowRun: _flow_run_by_id,
    ops.GetFlowRunGraph: _flow_run_by_id,
    ops.ListTaskRuns: _flow_run_by_id,
    ops.ListFlowRunEvents: _flow_run_by_id,
    ops.GetLogs: _flow_run_by_id,
    ops.ListFlowArtifacts: _flow_run_by_id,
    ops.CancelFlowRun: _flow_run_by_id,
    ops.RetryFlowRun: _flow_run_by_id,
    ops.RerunFlowRun: _flow_run_by_id,
    ops.PauseFlowRun: _flow_run_by_id,
    ops.ResumeFlowRun: _flow_run_by_id,
    ops.UpdateFlowRun: _flow_run_by_id,
    ops.TakeTaskSlots: _flow_run_by_id,
    ops.GiveTaskSlots: _flow_run_by_id,
    ops.SetFlowLimit: _project,
    ops.SetGrant: _granted_on,
}
