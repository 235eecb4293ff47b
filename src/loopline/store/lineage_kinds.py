"""Kinds of nodes in the graph of what led to what, and the steps between them.

A new kind is a row of ``KINDS``: how a node is found, and what leads up and down from many of them
at once. Every statement leaves out what the caller may not view.
"""

from __future__ import annotations

from loopline.store import lineage_decisions as decisions
from loopline.store import lineage_drift as drift
from loopline.store import lineage_feeds as feeds
from loopline.store import lineage_flows as flows
from loopline.store import lineage_runs as runs
from loopline.store import lineage_serving as serving
from loopline.store.lineage_links import Kind

__all__ = ["KINDS"]

#: Every kind by its name. A new one adds a row of its own, and steps to the rows that lead to it.
KINDS: dict[str, Kind] = {
    "flow": Kind(
        flows.find_flow,
        down=(flows.schedules_of_flows, flows.flow_runs_of("flow", is_automatic=False)),
    ),
    "schedule": Kind(
        flows.find_schedule,
        up=(flows.flow_of_schedules,),
        down=(flows.flow_runs_of("schedule", is_automatic=True),),
    ),
    "flow run": Kind(
        flows.find_flow_run, up=(flows.flow_of_flow_runs,), down=(flows.runs_of_flow_runs,)
    ),
    "task run": Kind(
        flows.find_task_run, up=(flows.flow_runs_of_tasks,), down=(flows.runs_of_tasks,)
    ),
    "run": Kind(
        runs.find_run,
        up=(flows.flow_runs_of_runs, runs.parents, runs.reproduced, runs.data_of_runs),
        down=(runs.versions_of_runs, runs.children, runs.reproductions, drift.drift_of_runs),
    ),
    "feed": Kind(feeds.find_feed, down=(feeds.data_of_feeds,)),
    "data": Kind(
        runs.find_data, up=(feeds.feeds_of_data,), down=(runs.runs_of_data, drift.drift_of_data)
    ),
    "drift": Kind(
        drift.find_drift, up=(drift.runs_of_drift, drift.versions_of_drift, drift.data_of_drift)
    ),
    "version": Kind(
        runs.find_version,
        up=(runs.runs_of_versions,),
        down=(
            decisions.decisions_on_versions,
            runs.stages_of_versions,
            serving.deployments_of_versions,
            serving.predictions_of_versions,
            drift.drift_of_versions,
        ),
    ),
    "deployment": Kind(
        serving.find_deployment,
        up=(serving.versions_of_deployments,),
        down=(serving.predictions_of_deployments,),
    ),
    "predictions": Kind(
        serving.find_predictions,
        up=(serving.deployments_of_predictions, serving.versions_of_predictions),
    ),
    "decision": Kind(
        decisions.find_decision,
        up=(decisions.weighed_in_decisions,),
        down=(decisions.stages_of_decisions,),
    ),
    "stage": Kind(runs.find_stage, up=(decisions.decisions_of_stages, runs.version_in_stages)),
}
