"""All that a store holds, filled with a bit of everything, and read back through operations."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from tests.server import story

from loopline.backend.local import LocalBackend
from loopline.records import facts
from loopline.records import operations as ops
from loopline.records.automations import Action, EventKind, Then, When
from loopline.records.decisions import Decision
from loopline.records.feeds import Arrival, FeedSpec, RefusedBatch
from loopline.records.flows import StateKind
from loopline.records.identity import Caller
from loopline.records.logged_models import LoggedModelPoint, ModelRole
from loopline.records.policies import Approval, Gain, Policy
from loopline.store.ingest import ingest
from loopline.store.sign_in import start_session

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend

__all__ = ["content_of", "fill", "missing_in"]


def fill(backend: Backend, folder: Path) -> None:
    """Put something into every table."""
    story.fill(backend, folder)
    # Several blocks, a step logged twice, and points that came late.
    for start in (0, 5000, 2500):
        values = [1 / (start + step + 1) for step in range(4000)]
        points = story.points(story.run_id(5), "loss/long", values, start_ms=story.NOW_MS + start)
        story.send(backend, points)
    long = {"notes": "§ a fare\n" * 3000, "clean": "x" * 6000}
    story.send(backend, facts.ParamsLogged(run_id=story.run_id(5), params=long))
    story.send(backend, facts.TagsSet(run_id=story.run_id(5), tags=long))
    experiment = backend.call(ops.EnsureExperiment(name=story.EXPERIMENT))
    backend.call(
        ops.SetExperimentTags(experiment_id=experiment.experiment_id, tags={"team": "fares"}),
        key="set-tags",
    )
    gone = backend.call(ops.EnsureExperiment(name="given up"))
    backend.call(ops.DeleteExperiment(experiment_id=gone.experiment_id))
    backend.call(ops.DeleteRun(run_id=story.run_id(13)))
    backend.call(ops.UpdateModel(name=story.MODEL, description="What a ride will cost."))
    backend.call(ops.SetModelTags(name=story.MODEL, tags={"team": "fares"}))
    backend.call(
        ops.CreateWebhook(
            name="ci",
            url="https://ci.example/hook",
            events=["model_version_tag.set"],
            secret="hush",  # noqa: S106 - made up
        )
    )
    backend.call(ops.SetSecret(name="LOT", value="the key of the taxi lot"))
    backend.call(ops.SetVersionTags(name=story.MODEL, version=5, tags={"gate": "passed"}))
    backend.call(
        ops.RegisterVersion(
            name=story.MODEL,
            source="s3://models/6",
            logged_model_id="m-6",
            run_link="https://runs.example/6",
            allow_empty=True,
        )
    )
    _log_model(backend)
    asked = backend.call(ops.CreateFlowRun(project=story.PROJECT, name=story.FLOW))
    backend.call(ops.CancelFlowRun(flow_run_id=asked.flow_run_id, reason="not tonight"))
    _decide(backend)
    _work(backend)
    _let_in(backend)


def _decide(backend: Backend) -> None:
    """Have a policy, a decision that waits, and a feed with an arrival and a refused batch."""
    backend.call(ops.SetPolicy(policy=Policy(model=story.MODEL, gates=[Gain(), Approval()])))
    decision = Decision(
        promote=True, rule="better", sentence="may be", challenger=5, decision_id="d" * 32
    )
    backend.call(ops.RecordDecision(name=story.MODEL, decision=decision, actor="nightly"))
    spec = FeedSpec(source="folder:trips", table="files", key=["id"], order_by="at")
    backend.call(ops.EnsureFeed(name="taxi", spec=spec))
    backend.call(ops.AddArrival(name="taxi", arrival=Arrival(first=0, rows=3, late=1)))
    refused = RefusedBatch(batch="april", rows=2, problems=["fare is missing"], content="c" * 64)
    backend.call(ops.RefuseBatch(name="taxi", refused=refused))


def _work(backend: Backend) -> None:
    """Have a worker in the middle of a flow run, with limits, and an automation that acted."""
    backend.call(ops.SetKeyValue(key="last month", value='"2023-02"'))
    backend.call(ops.SetTagLimit(tag="warehouse", most=2))
    backend.call(ops.ReportWorker(worker_id="w" * 32, name="cab-8", host="cab-8", labels=["night"]))
    backend.call(ops.CreateFlowRun(project=story.PROJECT, name=story.FLOW, run_name="by hand"))
    lease = backend.call(ops.ClaimFlowRun(worker="cab-8"))
    assert lease is not None
    flow_run, token = lease.flow_run.flow_run_id, lease.token
    backend.call(
        ops.TakeTaskSlots(
            flow_run_id=flow_run, task_slug="eval_perf-1", token=token, tags=["warehouse"]
        )
    )
    shown = facts.FlowArtifactSet(
        artifact_id="a" * 32, flow_run_id=flow_run, task_slug="eval_perf-1",
        artifact_kind="markdown", data='{"markdown": "# A good month"}', at_ms=story.NOW_MS,
        token=token,
    )  # fmt: skip
    story.send(backend, shown)
    backend.call(
        ops.CreateAutomation(
            name="score what is staged",
            project=story.PROJECT,
            when=When(event=EventKind.STAGE, model=story.MODEL, stage="Staging"),
            then=Then(action=Action.RUN, flow=story.FLOW),
        )
    )
    backend.call(ops.TransitionStage(name=story.MODEL, version=4, stage="Staging", actor="vera"))


def _let_in(backend: Backend) -> None:
    backend.call(ops.AddUser(name="vera", role="viewer"))
    backend.call(ops.SetGrant(user="vera", thing="model", name=story.MODEL, role="editor"))
    backend.call(ops.CreateToken(user="vera", name="laptop", scope="write"))
    backend.call(ops.InviteUser(name="vera"))
    assert isinstance(backend, LocalBackend)
    start_session(backend.store, "vera", how="password", address="10.0.0.7")
    hers = facts.FlowRunState(
        flow_run_id="f" * 32, flow_name="on a laptop", state=StateKind.SUCCESS, at_ms=story.NOW_MS
    )
    batch = facts.Batch(writer="laptop", start=0, end=1, facts=[hers])
    ingest(backend.store, batch, caller=Caller(name="vera"))


def _log_model(backend: Backend) -> None:
    """Log a model as MLflow 3's clients do."""
    run_id = story.run_id(5)
    made = backend.call(
        ops.CreateLoggedModel(
            experiment_id="1", model_id="m-7", name="gbm", source_run_id=run_id,
            params={"depth": "8"}, tags={"city": "New York"},
        )
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "MLmodel")
        file.write_text("flavors: {}")
        sha256, size = backend.put_blob(file)
    rmse = LoggedModelPoint(
        model_id=made.model_id, key="rmse", value=3.5, timestamp_ms=story.NOW_MS, run_id=run_id,
        dataset_name="trips", dataset_digest="d1",
    )  # fmt: skip
    said: list[facts.Fact] = [
        facts.LoggedModelFile(
            model_id="m-7", path="MLmodel", sha256=sha256, size_bytes=size, at_ms=story.NOW_MS
        ),
        facts.LoggedModelMeasured(points=[rmse]),
        facts.LoggedModelUsed(run_id=run_id, model_id="m-7", role=ModelRole.OUTPUT, step=2),
    ]
    backend.call(ops.RecordFacts(facts=said))


def content_of(backend: Backend) -> dict[str, Any]:
    """Read everything, as plain data that JSON can hold."""
    call = backend.call
    runs = call(ops.SearchRuns(lifecycle="all")).runs
    models = call(ops.ListModels())
    flows = call(ops.ListFlows())
    flow_runs = call(ops.ListFlowRuns()).flow_runs
    hooks = call(ops.ListWebhooks())
    secrets = call(ops.ListSecrets())
    automations = call(ops.ListAutomations())
    found = {
        "automations": automations,
        "firings": [
            call(ops.ListFirings(automation_id=each.automation_id)) for each in automations
        ],
        "key_values": call(ops.FindKeyValues()),
        # How many slots are taken goes by leases, and those by the clock, as workers do.
        "tag_limits": {limit.tag: limit.most for limit in call(ops.ListTagLimits())},
        "secrets": secrets,
        "webhooks": hooks,
        "deliveries": [
            call(ops.ListWebhookDeliveries(webhook_id=hook.webhook_id)) for hook in hooks
        ],
        "experiments": call(ops.ListExperiments(include_deleted=True)),
        "runs": {run.run_id: _run(backend, run.run_id) for run in runs},
        "order": [run.run_id for run in runs],
        "best": [run.run_id for run in call(ops.SearchRuns(order_by=["metrics.rmse ASC"])).runs],
        "models": {
            model.name: {
                "model": call(ops.GetModel(name=model.name)),
                "versions": call(ops.ListVersions(name=model.name)),
                "events": call(ops.ListVersionEvents(name=model.name)),
                "champions": [
                    call(ops.ResolveModel(name=model.name, stage=stage))
                    for stage in model.champions
                ],
                "aliases": [
                    call(ops.ResolveModel(name=model.name, alias=alias)) for alias in model.aliases
                ],
            }
            for model in models
        },
        "policies": call(ops.ListPolicies()),
        "decisions": call(ops.ListDecisions()),
        "feeds": call(ops.ListFeeds()),
        "arrivals": call(ops.ListArrivals(name="taxi")),
        "refusals": call(ops.ListRefusals(name="taxi")),
        "logged_models": call(ops.SearchLoggedModels()),
        "users": call(ops.ListUsers()),
        "tokens": call(ops.ListTokens(everybody=True)),
        "grants": call(ops.ListGrants()),
        "audit": [call(ops.ListAudit()).rows, call(ops.VerifyAudit())],
        "flows": [call(ops.GetFlow(project=flow.project, name=flow.name)) for flow in flows],
        "flow_runs": {run.flow_run_id: _flow_run(backend, run.flow_run_id) for run in flow_runs},
    }
    # Last, for the log tells who got them.
    found["values"] = [call(ops.GetSecret(name=secret.name)).value for secret in secrets]
    return dict(_plain(msgspec.to_builtins(found)))


def _run(backend: Backend, run_id: str) -> dict[str, object]:
    call = backend.call
    run = call(ops.GetRun(run_id=run_id))
    artifacts = call(ops.ListArtifacts(run_id=run_id, recursive=True))
    return {
        "run": run,
        "events": call(ops.ListRunEvents(run_id=run_id)),
        "inputs": call(ops.ListInputs(run_id=run_id)),
        "logged_models": call(ops.ListRunModels(run_id=run_id)),
        "refused": call(ops.ListRefused(run_id=run_id)),
        "histories": {
            key: call(ops.GetMetricHistory(run_id=run_id, key=key)) for key in run.metrics
        },
        "artifacts": artifacts,
        "bytes": [
            hashlib.sha256(b"".join(backend.read_blob(artifact.sha256))).hexdigest()
            for artifact in artifacts
        ],
    }


def _flow_run(backend: Backend, flow_run_id: str) -> dict[str, object]:
    call = backend.call
    return {
        # What it waits for goes by the clock, as workers and leases do.
        "flow_run": msgspec.structs.replace(
            call(ops.GetFlowRun(flow_run_id=flow_run_id)), waits_for=""
        ),
        "graph": call(ops.GetFlowRunGraph(flow_run_id=flow_run_id)),
        "tasks": call(ops.ListTaskRuns(flow_run_id=flow_run_id)),
        "events": call(ops.ListFlowRunEvents(flow_run_id=flow_run_id)),
        "artifacts": call(ops.ListFlowArtifacts(flow_run_id=flow_run_id)),
        "logs": call(ops.GetLogs(flow_run_id=flow_run_id)),
    }


def _plain(found: Any) -> Any:  # noqa: ANN401 - JSON
    """Write numbers such that JSON keeps all of them, and long lists of them as one hash."""
    match found:
        case float():
            return repr(found)
        case dict():
            return {key: _plain(value) for key, value in found.items()}
        case list() if len(found) > 200:
            return f"{len(found)} items, {hashlib.sha256(repr(found).encode()).hexdigest()}"
        case list() | tuple():
            return [_plain(each) for each in found]
    return found


def missing_in(found: object, expected: object, where: str = "") -> list[str]:
    """List what of ``expected`` is not in ``found``: later releases may know more, never less."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            each
            for key, value in expected.items()
            for each in missing_in(found.get(key), value, f"{where}/{key}")
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [
            each
            for index, (value, other) in enumerate(zip(expected, found, strict=True))
            for each in missing_in(other, value, f"{where}/{index}")
        ]
    return [] if found == expected else [f"{where}: {found!r}, and it was {expected!r}"]
