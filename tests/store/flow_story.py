"""A registered flow, and the facts that workers send of its runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.records import operations as ops
from loopline.records.facts import Fact, FlowRunState, TaskRunState
from loopline.records.flows import (
    FlowCode,
    FlowGraph,
    FlowRun,
    FlowRunLease,
    GraphEdge,
    GraphTask,
    StateKind,
)

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend

PROJECT = "wagoncab project"
START_MS = 1_700_000_000_000

#: extract → clean (mapped) → fit (mapped) → notify; load stands beside them.
GRAPH = FlowGraph(
    tasks=[
        GraphTask(slug="extract-1", name="extract"),
        GraphTask(slug="clean-1", name="clean", is_mapped=True),
        GraphTask(slug="fit-1", name="fit", is_mapped=True),
        GraphTask(slug="notify-1", name="notify"),
        GraphTask(slug="load-1", name="load"),
    ],
    edges=[
        GraphEdge(upstream="extract-1", downstream="clean-1", key="month", is_mapped=True),
        GraphEdge(upstream="clean-1", downstream="fit-1", key="rows", is_mapped=True),
        GraphEdge(upstream="fit-1", downstream="notify-1", key="fits"),
    ],
)


class Clock:
    """What time the store thinks it is."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms

    def pass_s(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


def register(backend: LocalBackend, name: str = "retrain", **options: Any) -> None:  # noqa: ANN401
    backend.call(
        ops.RegisterFlow(
            project=PROJECT,
            name=name,
            fingerprint=options.pop("fingerprint", name),
            graph=options.pop("graph", GRAPH),
            code=FlowCode(kind="import", entry="taxifare.flow:flow"),
            **options,
        )
    )


def ask(backend: LocalBackend, name: str = "retrain", **options: Any) -> str:  # noqa: ANN401
    return backend.call(ops.CreateFlowRun(project=PROJECT, name=name, **options)).flow_run_id


def claim(backend: LocalBackend, worker: str = "night", *labels: str) -> FlowRunLease | None:
    return backend.call(ops.ClaimFlowRun(worker=worker, labels=list(labels)))


def claimed(backend: LocalBackend, worker: str = "night", *labels: str) -> FlowRunLease:
    lease = claim(backend, worker, *labels)
    assert lease is not None
    return lease


def get(backend: LocalBackend, flow_run_id: str) -> FlowRun:
    return backend.call(ops.GetFlowRun(flow_run_id=flow_run_id))


def tell(
    backend: LocalBackend,
    lease: FlowRunLease,
    state: StateKind | None = None,
    **tasks: StateKind | list[StateKind],
) -> None:
    """Send the states of tasks, of a mapped one a list of its children's, and of the run."""
    facts: list[Fact] = []
    where: dict[str, Any] = {"flow_run_id": lease.flow_run.flow_run_id, "token": lease.token}
    for name, states in tasks.items():
        of = {"task_slug": f"{name}-1", "at_ms": START_MS, "attempt": 1, **where}
        if isinstance(states, list):
            facts.append(TaskRunState(**of, state=StateKind.MAPPED))
            facts += [TaskRunState(**of, map_index=i, state=s) for i, s in enumerate(states)]
        else:
            facts.append(TaskRunState(**of, state=states))
    if state is not None:
        facts.append(FlowRunState(**where, state=state, at_ms=START_MS))
    backend.call(ops.RecordFacts(facts=facts))


def known(backend: LocalBackend, flow_run_id: str) -> set[tuple[str, int]]:
    """Tell of which tasks the store knows where they stand."""
    runs = backend.call(ops.ListTaskRuns(flow_run_id=flow_run_id))
    return {(run.task_slug.partition("-")[0], run.map_index) for run in runs}
