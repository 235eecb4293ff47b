"""Which function of the store carries out which operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import delete, insert, select

from loopline.errors import InvalidInputError
from loopline.records import operations as ops
from loopline.records.identity import Caller
from loopline.records.operations import Operation, answer_type, name_of
from loopline.store import (
    artifacts,
    audit,
    automations,
    decisions,
    experiment_commands,
    experiments,
    feeds,
    flow_artifacts,
    flow_changes,
    flow_limits,
    flow_run_search,
    flow_runs,
    flows,
    key_values,
    leases,
    lineage,
    lineage_graph,
    logged_model_search,
    logged_models,
    moving,
    policies,
    projects,
    reasons,
    registry,
    registry_files,
    registry_models,
    registry_moves,
    registry_search,
    registry_stages,
    registry_versions,
    run_uses,
    runs,
    schedule_runs,
    schema,
    search,
    secrets,
    tokens,
    transfer,
    transfer_logged_models,
    transfer_registry,
    users,
    webhooks,
    workers,
)
from loopline.store.audit_subjects import QUIET, is_audited, look_at, subject_of
from loopline.store.automation_events import carry_out_automations, pass_over_models
from loopline.store.callers import act_for
from loopline.store.ingest import record_facts
from loopline.store.metrics import get_metric_columns, get_metric_history
from loopline.store.permits import IDENTITY, permit

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from loopline.store.database import Store

__all__ = ["HANDLERS", "carry_out"]

R = TypeVar("R")

#: How long a command's answer is kept for somebody who sends it again.
KEEP_ANSWERS_MS = 24 * 3600 * 1000

#: Commands that automations need not look after: workers send them all the time.
UNHEARD = frozenset({ops.Heartbeat, ops.RenewLease, ops.ReportWorker, ops.GiveTaskSlots})

#: Commands whose events are history.
IMPORTS = frozenset({ops.ImportModel, ops.ImportVersion})

#: Who owns the store, in the audit log.
STORE = Caller(how="store")

HANDLERS: dict[type[Operation[Any]], Callable[[Store, Connection, Any], Any]] = {
    ops.EnsureExperiment: experiments.ensure_experiment,
    ops.GetExperiment: experiments.get_experiment,
    ops.ListExperiments: experiments.list_experiments,
    ops.DeleteExperiment: experiments.delete_experiment,
    ops.RestoreExperiment: experiments.restore_experiment,
    ops.CreateExperiment: experiment_commands.create_experiment,
    ops.RenameExperiment: experiment_commands.rename_experiment,
    ops.SetExperimentTags: experiment_commands.set_experiment_tags,
    ops.RemoveExperimentTag: experiment_commands.remove_experiment_tag,
    ops.SearchExperiments: experiment_commands.search_experiments,
    ops.GetRun: runs.get_run,
    ops.CountRuns: search.count_runs,
    ops.SearchRunTable: search.search_run_table,
    ops.SearchRuns: search.search_runs,
    ops.DeleteRun: runs.delete_run,
    ops.RestoreRun: runs.restore_run,
    ops.MoveRuns: moving.move_runs,
    ops.CopyRun: moving.copy_run,
    ops.RecordFacts: record_facts,
    ops.GetMetricColumns: get_metric_columns,
    ops.GetMetricHistory: get_metric_history,
    ops.ListArtifacts: runs.list_artifacts,
    ops.DeleteArtifacts: artifacts.delete_artifacts,
    ops.ListInputs: runs.list_inputs,
    ops.ListRunEvents: runs.list_run_events,
    ops.ListRefused: runs.list_refused,
    ops.Heartbeat: runs.heartbeat,
    ops.CloseLostRuns: runs.close_lost_runs,
    ops.GetDataUses: lineage.get_data_uses,
    ops.ListDatasets: lineage.list_datasets,
    ops.FindSnapshot: lineage.find_snapshot,
    ops.GetLineage: lineage_graph.get_lineage,
    ops.ExplainVersion: reasons.explain_version,
    ops.CreateLoggedModel: logged_models.create_logged_model,
    ops.FinishLoggedModel: logged_models.finish_logged_model,
    ops.GetLoggedModel: logged_models.get_logged_model,
    ops.DeleteLoggedModel: logged_models.delete_logged_model,
    ops.SearchLoggedModels: logged_model_search.search_logged_models,
    ops.SetLoggedModelTags: logged_models.set_logged_model_tags,
    ops.RemoveLoggedModelTag: logged_models.remove_logged_model_tag,
    ops.LogLoggedModelParams: logged_models.log_logged_model_params,
    ops.ListLoggedModelFiles: logged_models.list_logged_model_files,
    ops.ListRunModels: logged_models.list_run_models,
    ops.ListRunUses: run_uses.list_run_uses,
    ops.CreateModel: registry_models.create_model,
    ops.UpdateModel: registry_models.update_model,
    ops.RenameModel: registry_models.rename_model,
    ops.DeleteModel: registry_models.delete_model,
    ops.SetModelTags: registry_models.set_model_tags,
    ops.RemoveModelTag: registry_models.remove_model_tag,
    ops.ListModels: registry.list_models,
    ops.GetModel: registry.get_model,
    ops.SearchModels: registry_search.search_models,
    ops.RegisterVersion: registry_versions.register_version,
    ops.TakeFiles: registry_files.take_files,
    ops.CopyVersion: registry_versions.copy_version,
    ops.UpdateVersion: registry_versions.update_version,
    ops.DeleteVersion: registry_versions.delete_version,
    ops.SetVersionTags: registry_versions.set_version_tags,
    ops.RemoveVersionTag: registry_versions.remove_version_tag,
    ops.GetVersion: registry.get_version,
    ops.ListVersions: registry.list_versions,
    ops.GetLatestVersions: registry.get_latest_versions,
    ops.SearchVersions: registry_search.search_versions,
    ops.ResolveModel: registry.resolve_model,
    ops.TransitionStage: registry_moves.transition_stage,
    ops.AddStage: registry_stages.add_stage,
    ops.RemoveStage: registry_stages.remove_stage,
    ops.SetAlias: registry_moves.set_alias,
    ops.RemoveAlias: registry_moves.remove_alias,
    ops.ListVersionEvents: registry.list_version_events,
    ops.SetPolicy: policies.set_policy,
    ops.GetPolicy: policies.get_policy,
    ops.ListPolicies: policies.list_policies,
    ops.DeletePolicy: policies.delete_policy,
    ops.RecordDecision: decisions.record_decision,
    ops.AnswerDecision: decisions.answer_decision,
    ops.GetDecision: decisions.get_decision,
    ops.ListDecisions: decisions.list_decisions,
    ops.RollBack: decisions.roll_back,
    ops.CreateAutomation: automations.create_automation,
    ops.SetAutomationActive: automations.set_automation_active,
    ops.DeleteAutomation: automations.delete_automation,
    ops.ListAutomations: automations.list_automations,
    ops.ListFirings: automations.list_firings,
    ops.EnsureFeed: feeds.ensure_feed,
    ops.GetFeed: feeds.get_feed,
    ops.ListFeeds: feeds.list_feeds,
    ops.DeleteFeed: feeds.delete_feed,
    ops.AddArrival: feeds.add_arrival,
    ops.ListArrivals: feeds.list_arrivals,
    ops.RefuseBatch: feeds.refuse_batch,
    ops.ListRefusals: feeds.list_refusals,
    ops.CreateProject: projects.create_project,
    ops.GetProject: projects.get_project,
    ops.ListProjects: projects.list_projects,
    ops.UpdateProject: projects.update_project,
    ops.DeleteProject: projects.delete_project,
    ops.ListFlowVersions: projects.list_flow_versions,
    ops.RegisterFlow: flows.register_flow,
    ops.ListFlows: flows.list_flows,
    ops.GetFlow: flows.get_flow,
    ops.SetScheduleActive: flows.set_schedule_active,
    ops.CreateFlowRun: flow_runs.create_flow_run,
    ops.ListFlowRuns: flow_run_search.list_flow_runs,
    ops.GetFlowRun: flow_run_search.get_flow_run,
    ops.GetFlowRunGraph: flow_runs.get_flow_run_graph,
    ops.ListTaskRuns: flow_runs.list_task_runs,
    ops.ListFlowRunEvents: flow_runs.list_flow_run_events,
    ops.GetLogs: flow_runs.get_logs,
    ops.MaterialiseSchedules: schedule_runs.materialise_schedules,
    ops.ListOwnSchedules: schedule_runs.list_own_schedules,
    ops.AddDueTimes: schedule_runs.add_due_times,
    ops.ListFlowArtifacts: flow_artifacts.list_flow_artifacts,
    ops.SetKeyValue: key_values.set_key_value,
    ops.GetKeyValue: key_values.get_key_value,
    ops.FindKeyValues: key_values.find_key_values,
    ops.DeleteKeyValue: key_values.delete_key_value,
    ops.ClaimFlowRun: leases.claim_flow_run,
    ops.RenewLease: leases.renew_lease,
    ops.ReleaseFlowRun: leases.release_flow_run,
    ops.CancelFlowRun: leases.cancel_flow_run,
    ops.CloseLostFlowRuns: leases.close_lost_flow_runs,
    ops.RetryFlowRun: flow_changes.retry_flow_run,
    ops.RerunFlowRun: flow_changes.rerun_flow_run,
    ops.PauseFlowRun: flow_changes.pause_flow_run,
    ops.ResumeFlowRun: flow_changes.resume_flow_run,
    ops.UpdateFlowRun: flow_changes.update_flow_run,
    ops.SetFlowLimit: flow_limits.set_flow_limit,
    ops.SetTagLimit: flow_limits.set_tag_limit,
    ops.ListTagLimits: flow_limits.list_tag_limits,
    ops.TakeTaskSlots: flow_limits.take_task_slots,
    ops.GiveTaskSlots: flow_limits.give_task_slots,
    ops.CheckWork: workers.check_work,
    ops.ReportWorker: workers.report_worker,
    ops.ListWorkers: workers.list_workers,
    ops.DescribeRuns: transfer.describe_runs,
    ops.DescribeLoggedModels: transfer_logged_models.describe_logged_models,
    ops.ImportExperiment: transfer.import_experiment,
    ops.SettleRuns: transfer.settle_runs,
    ops.ImportLoggedModel: transfer_logged_models.import_logged_model,
    ops.ImportVersion: transfer_registry.import_version,
    ops.ImportModel: transfer_registry.import_model,
    ops.AddUser: users.add_user,
    ops.ChangeUser: users.change_user,
    ops.RemoveUser: users.remove_user,
    ops.InviteUser: users.invite_user,
    ops.ListUsers: users.list_users,
    ops.WhoAmI: users.who_am_i,
    ops.CreateToken: tokens.create_token,
    ops.RevokeToken: tokens.revoke_token,
    ops.ListTokens: tokens.list_tokens,
    ops.SetGrant: users.set_grant,
    ops.ListGrants: users.list_grants,
    ops.ListAudit: audit.list_audit,
    ops.VerifyAudit: audit.verify_audit,
    ops.SetSecret: secrets.set_secret,
    ops.GetSecret: secrets.get_secret,
    ops.ListSecrets: secrets.list_secrets,
    ops.DeleteSecret: secrets.delete_secret,
    ops.CreateWebhook: webhooks.create_webhook,
    ops.UpdateWebhook: webhooks.update_webhook,
    ops.DeleteWebhook: webhooks.delete_webhook,
    ops.GetWebhook: webhooks.get_webhook,
    ops.ListWebhooks: webhooks.list_webhooks,
    ops.ListWebhookDeliveries: webhooks.list_webhook_deliveries,
}


def carry_out(
    store: Store, operation: Operation[R], *, key: str = "", caller: Caller | None = None
) -> R:
    """Answer a query, or carry out a command once for its idempotency key.

    Args:
        store: Where.
        operation: What.
        key: Idempotency key of a command.
        caller: Who asks a server: what they may not do is refused, what they may not view is not
            there, and what they change is in the audit log. None: who owns the store.

    Raises:
        InvalidInputError: The key was used for another operation.
        ForbiddenError: The caller may not do it.
        NotFoundError: The caller may not view it, or it is not there.
    """
    handler = HANDLERS[type(operation)]
    if caller is None and type(operation) in IDENTITY | secrets.SECRETS | webhooks.WEBHOOKS:
        caller = STORE  # What is made here counts in servers, whose log must tell of it.
    if not operation.changes:
        with store.read() as connection:
            if caller is not None:
                act_for(connection, caller)
                permit(connection, caller, operation)
            answer: R = handler(store, connection, operation)
            return answer
    with store.write() as connection:
        if caller is not None:
            act_for(connection, caller)
            permit(connection, caller, operation)
            if caller.name:
                operation = _signed(operation, caller.name)
                key = key and f"{caller.name}/{key}"  # Another's key finds nothing of theirs.
        if key:
            given = _given_before(connection, key, operation)
            if given is not None:
                again: R = msgspec.msgpack.decode(given, type=answer_type(type(operation)))
                return again
        if caller is None or type(operation) in QUIET:
            answer = handler(store, connection, operation)
        else:
            answer = _audited(store, connection, operation, caller)
        webhooks.announce(store, connection, operation, answer)
        if type(operation) in IMPORTS:
            pass_over_models(connection)
        elif type(operation) not in UNHEARD:
            carry_out_automations(store, connection)
        if key and not operation.answers_secret:
            _keep(store, connection, key, operation, answer)
        return answer


def _signed(operation: Operation[R], name: str) -> Operation[R]:
    """Say who acts in an operation that tells it: whoever is known cannot be another."""
    if "actor" not in operation.__struct_fields__:
        return operation
    return msgspec.structs.replace(operation, actor=name)


def _audited(store: Store, connection: Connection, operation: Operation[R], caller: Caller) -> R:
    """Carry out a command, and tell in the audit log who did what to what."""
    subject = subject_of(connection, operation)
    before = look_at(connection, subject)
    answer: R = HANDLERS[type(operation)](store, connection, operation)
    subject = subject_of(connection, operation, answer)
    after = look_at(connection, subject)
    if is_audited(operation, before, after):
        action = name_of(type(operation))
        audit.add_audit_row(
            store, connection, caller, action, str(subject), before=before, after=after
        )
    return answer


def _given_before(connection: Connection, key: str, operation: Operation[Any]) -> bytes | None:
    table = schema.command
    row = connection.execute(select(table).where(table.c.key == key)).first()
    if row is None:
        return None
    if row.operation != type(operation).__name__:
        msg = f"The idempotency key {key!r} was used for {row.operation}. Use a new key."
        raise InvalidInputError(msg)
    return bytes(row.answer)


def _keep(
    store: Store, connection: Connection, key: str, operation: Operation[Any], answer: object
) -> None:
    table = schema.command
    now_ms = store.clock()
    connection.execute(delete(table).where(table.c.at_ms < now_ms - KEEP_ANSWERS_MS))
    connection.execute(
        insert(table).values(
            key=key,
            operation=type(operation).__name__,
            answer=msgspec.msgpack.encode(answer),
            at_ms=now_ms,
        )
    )
