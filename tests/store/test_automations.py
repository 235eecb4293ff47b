"""What is done by itself when something happens: once for each event, and never without end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy import select
from tests.store.flow_story import PROJECT, Clock, ask, claim, claimed, get, register, tell

from loopline.errors import ConflictError, InvalidInputError
from loopline.records import operations as ops
from loopline.records.automations import (
    Action,
    Automation,
    EventKind,
    Firing,
    FiringStatus,
    FlowTrigger,
    Then,
    When,
)
from loopline.records.facts import Batch, FlowRunState, RunStarted
from loopline.records.flows import (
    FlowGraph,
    IntervalClock,
    Origin,
    ParameterSpec,
    ScheduleSpec,
    StateKind,
)
from loopline.records.registry import ModelVersion
from loopline.records.webhooks import WebhookStatus
from loopline.rules.origins import started_by_words
from loopline.store import schema
from loopline.store.automation_events import MOST_DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend

FAILED = When(event=EventKind.FLOW_RUN, states=["Failed"])
SCORE = FlowGraph(
    parameters=[ParameterSpec(name="model", default=""), ParameterSpec(name="version", default=0)]
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backend(open_backend: Callable[..., LocalBackend], clock: Clock) -> LocalBackend:
    backend = open_backend(clock=clock)
    register(backend)
    return backend


def automate(backend: LocalBackend, when: When, project: str = "", **then: Any) -> Automation:  # noqa: ANN401
    return backend.call(
        ops.CreateAutomation(
            name=f"{when.event} {then['action']}", project=project, when=when, then=Then(**then)
        )
    )


def firings(backend: LocalBackend, automation: Automation) -> list[Firing]:
    return backend.call(ops.ListFirings(automation_id=automation.automation_id))


def runs_of(backend: LocalBackend, name: str) -> list[dict[str, Any]]:
    page = backend.call(ops.ListFlowRuns(flow_name=name, max_results=1000))
    return [run.parameters for run in page.flow_runs]


def new_version(backend: LocalBackend, number: int) -> None:
    run_id = f"{number:032x}"
    backend.call(ops.RecordFacts(facts=[RunStarted(run_id=run_id, start_ms=1)]))
    backend.call(
        ops.RegisterVersion(name="taxifare", run_id=run_id, artifact_path="m", allow_empty=True)
    )


def test_a_failed_run_starts_another_flow_in_the_same_transaction(backend: LocalBackend) -> None:
    register(backend, "mend", graph=SCORE)
    made = automate(
        backend, FAILED, action=Action.RUN, flow="mend", parameters={"model": "{flow} {state}"}
    )
    ask(backend)
    lease = claimed(backend)
    state = FlowRunState(
        flow_run_id=lease.flow_run.flow_run_id, token=lease.token, state=StateKind.FAILED, at_ms=1
    )
    state = msgspec.structs.replace(state, at_ms=backend.store.clock())
    batch = Batch(writer="w" * 32, start=0, end=9, facts=[state])
    backend.send(batch)
    backend.send(batch)  # As after an answer that was lost.
    assert runs_of(backend, "mend") == [{"model": "retrain Failed"}]
    (firing,) = firings(backend, made)
    assert (firing.status, firing.detail) == (FiringStatus.DONE, f"runs {PROJECT}/mend")
    mended = get(backend, firing.flow_run_id)
    assert (mended.origin, mended.started_by) == (Origin.AUTOMATION, made.name)
    assert started_by_words(mended) == f"automation {made.name!r}"
    assert get(backend, firing.flow_run_id).note.startswith("made after flow-run/")
    assert backend.call(ops.ListAutomations())[0].fired == 1


def test_a_new_version_runs_the_flow_that_was_registered_for_it(backend: LocalBackend) -> None:
    trigger = FlowTrigger(
        when=When(event=EventKind.MODEL_VERSION, model="taxifare"),
        parameters={"model": "{model}", "version": "{version}"},
    )
    new_version(backend, 1)
    register(backend, "score", graph=SCORE, triggers=[trigger])
    register(backend, "score", graph=SCORE, triggers=[trigger])
    assert runs_of(backend, "score") == [], "what was there before is no news"
    new_version(backend, 2)
    assert runs_of(backend, "score") == [{"model": "taxifare", "version": 2}]
    (scored,) = backend.call(ops.ListFlowRuns(flow_name="score")).flow_runs
    assert (scored.origin, scored.started_by) == (Origin.EVENT, "version/taxifare/2")
    register(backend, "score", graph=SCORE)
    new_version(backend, 3)
    assert len(runs_of(backend, "score")) == 1
    assert backend.call(ops.ListAutomations()) == []


def test_a_move_to_a_stage_is_heard_of(backend: LocalBackend) -> None:
    register(backend, "score", graph=SCORE)
    when = When(event=EventKind.STAGE, model="taxifare", stage="Production")
    automate(backend, when, action=Action.RUN, project=PROJECT, flow="score")
    new_version(backend, 1)
    backend.call(ops.TransitionStage(name="taxifare", version=1, stage="Staging"))
    assert runs_of(backend, "score") == []
    backend.call(ops.TransitionStage(name="taxifare", version=1, stage="Production"))
    assert runs_of(backend, "score") == [{}]


def test_a_task_that_fails_cancels_its_run_and_pauses_the_schedule(
    backend: LocalBackend,
) -> None:
    every = ScheduleSpec(clocks=[IntervalClock(interval_s=3600)])
    register(backend, fingerprint="2", schedule=every)
    when = When(event=EventKind.TASK, states=["Failed"], task="extract", flow="retrain")
    automate(backend, when, action=Action.CANCEL)
    automate(backend, when, action=Action.PAUSE_SCHEDULE)
    flow_run_id = ask(backend)
    lease = claimed(backend)
    tell(backend, lease, load=StateKind.FAILED)
    assert not get(backend, flow_run_id).cancel_requested
    tell(backend, lease, extract=StateKind.FAILED)
    assert get(backend, flow_run_id).cancel_requested
    assert not backend.call(ops.ListFlows())[0].schedule_active


def test_a_late_run_is_told_once_to_the_log_and_the_webhook(
    backend: LocalBackend, clock: Clock
) -> None:
    backend.call(
        ops.CreateWebhook(
            name="pager",
            url="https://93.184.215.14/",
            events=["model_version.created"],
            status=WebhookStatus.ACTIVE,
        )
    )
    when = When(event=EventKind.LATE, late_s=60.0)
    automate(backend, when, action=Action.LOG, message="{flow} waits")
    automate(backend, when, action=Action.WEBHOOK, webhook="pager")
    flow_run_id = ask(backend)
    clock.pass_s(59)
    backend.call(ops.CloseLostFlowRuns())
    assert backend.call(ops.GetLogs(flow_run_id=flow_run_id)) == []
    for _ in range(3):
        clock.pass_s(2)
        backend.call(ops.CloseLostFlowRuns())
    (line,) = backend.call(ops.GetLogs(flow_run_id=flow_run_id))
    assert line.message == "Automation 'late log': retrain waits"
    with backend.store.read() as connection:
        (body,) = connection.execute(select(schema.webhook_delivery.c.body)).scalars()
    assert msgspec.json.decode(body)["data"]["flow_run_id"] == flow_run_id


def test_automations_that_go_round_in_a_circle_are_held_back(backend: LocalBackend) -> None:
    register(backend, "other")
    for one, other in (("retrain", "other"), ("other", "retrain")):
        backend.call(
            ops.CreateAutomation(
                name=one,
                when=When(event=EventKind.FLOW_RUN, states=["Scheduled"], flow=one),
                then=Then(action=Action.RUN, flow=other),
            )
        )
    ask(backend)
    made = len(runs_of(backend, "retrain")) + len(runs_of(backend, "other"))
    assert made == 1 + MOST_DEPTH
    found = [each for a in backend.call(ops.ListAutomations()) for each in firings(backend, a)]
    (held,) = [each for each in found if each.status is FiringStatus.HELD_BACK]
    chain = " → ".join(["retrain", "other"] * 5 + ["retrain"])
    assert held.detail.startswith(f"10 automations led to this already ({chain}); they seem")
    listed = {
        each.name: (each.fired, each.held_back) for each in backend.call(ops.ListAutomations())
    }
    assert listed == {"retrain": (5, 1), "other": (5, 0)}
    (line,) = backend.call(ops.GetLogs(flow_run_id=held.subject.removeprefix("flow-run/")))
    assert line.message == f"Automation 'retrain' is held back: {held.detail}."


def test_a_flow_that_starts_flows_is_no_way_out_of_a_circle(backend: LocalBackend) -> None:
    register(backend, "other")
    automate(backend, When(event=EventKind.FLOW_RUN, states=["Failed"], flow="retrain"),
             action=Action.RUN, flow="other")  # fmt: skip
    ask(backend)
    while lease := claim(backend):
        if lease.flow_run.flow_name == "retrain":
            tell(backend, lease, StateKind.FAILED)
        else:  # A task of it starts the first flow again.
            ask(backend, parent=lease.flow_run.flow_run_id)
            tell(backend, lease, StateKind.SUCCESS)
    assert len(runs_of(backend, "other")) == MOST_DEPTH


def test_what_fails_is_told_and_stops_nothing_else(backend: LocalBackend) -> None:
    made = automate(backend, FAILED, action=Action.RUN, flow="gone")
    flow_run_id = ask(backend)
    tell(backend, claimed(backend), StateKind.FAILED)
    (firing,) = firings(backend, made)
    assert (firing.status, "'gone'" in firing.detail) == (FiringStatus.FAILED, True)
    assert get(backend, flow_run_id).state is StateKind.FAILED


def test_what_happens_while_an_automation_is_off_is_not_made_up_for(backend: LocalBackend) -> None:
    made = automate(backend, FAILED, action=Action.LOG)
    switch = {"automation_id": made.automation_id}
    backend.call(ops.SetAutomationActive(**switch, active=False))
    ask(backend)
    tell(backend, claimed(backend), StateKind.FAILED)
    backend.call(ops.SetAutomationActive(**switch, active=True))
    assert firings(backend, made) == []
    ask(backend)
    tell(backend, claimed(backend), StateKind.FAILED)
    assert len(firings(backend, made)) == 1
    backend.call(ops.DeleteAutomation(**switch))
    assert backend.call(ops.ListAutomations()) == []


def test_an_automation_of_a_project_stays_in_it(backend: LocalBackend) -> None:
    backend.call(ops.CreateProject(name="theirs"))
    for when, then in (
        (FAILED, Then(action=Action.RUN, project=PROJECT, flow="retrain")),
        (When(event=EventKind.LATE, project=PROJECT), Then(action=Action.LOG)),
        (FAILED, Then(action=Action.WEBHOOK, webhook="pager")),
    ):
        with pytest.raises(InvalidInputError):
            backend.call(ops.CreateAutomation(name="a", project="theirs", when=when, then=then))
    when = When(event=EventKind.MODEL_VERSION, model="taxifare")
    made = automate(backend, when, project="theirs", action=Action.RUN, flow="retrain")
    new_version(backend, 1)
    (firing,) = firings(backend, made)
    assert firing.status is FiringStatus.FAILED
    assert runs_of(backend, "retrain") == []


@pytest.mark.parametrize(
    ("when", "then"),
    [
        (When(event=EventKind.FLOW_RUN, states=["Faild"]), Then(action=Action.LOG)),
        (When(event=EventKind.STAGE), Then(action=Action.CANCEL)),
        (When(event=EventKind.STAGE), Then(action=Action.RUN)),
        (When(event=EventKind.LATE, late_s=-1), Then(action=Action.LOG)),
        (FAILED, Then(action=Action.WEBHOOK)),
        (When(event=EventKind.FLOW_RUN), Then(action=Action.RUN)),  # each state: a run more
        (When(event=EventKind.TASK), Then(action=Action.RUN, flow="retrain")),
    ],
)
def test_what_cannot_work_is_refused(backend: LocalBackend, when: When, then: Then) -> None:
    with pytest.raises(InvalidInputError):
        backend.call(ops.CreateAutomation(name="a", when=when, then=then))


def test_a_name_is_taken_once(backend: LocalBackend) -> None:
    automate(backend, FAILED, action=Action.LOG)
    with pytest.raises(ConflictError, match="already"):
        automate(backend, FAILED, action=Action.LOG)


def test_what_is_imported_is_history(backend: LocalBackend) -> None:
    made = automate(backend, When(event=EventKind.MODEL_VERSION), action=Action.LOG)
    times: dict[str, Any] = {"created_ms": 1, "updated_ms": 1}
    version = ModelVersion(
        name="imported", version=3, run_id="", artifact_path="", digest="", **times
    )
    backend.call(ops.ImportVersion(version=version))
    backend.call(ops.CreateProject(name="other"))
    assert firings(backend, made) == []
    new_version(backend, 1)
    assert len(firings(backend, made)) == 1
