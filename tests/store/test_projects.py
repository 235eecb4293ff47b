"""Projects, and the history of a flow's versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select
from tests.store.flow_story import GRAPH, PROJECT, ask, claimed, known, register, tell

from loopline.errors import ConflictError, InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.flows import (
    FlowGraph,
    GraphTask,
    IntervalClock,
    ParameterSpec,
    ScheduleSpec,
    StateKind,
)
from loopline.store import schema

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend


def names(backend: LocalBackend) -> list[str]:
    return [project.name for project in backend.call(ops.ListProjects())]


def test_a_project_is_made_described_and_deleted(backend: LocalBackend) -> None:
    made = backend.call(ops.CreateProject(name="wagons", description="All wagons."))
    assert (made.name, made.description, made.flows) == ("wagons", "All wagons.", 0)
    with pytest.raises(ConflictError, match="already"):
        backend.call(ops.CreateProject(name="wagons"))
    backend.call(ops.UpdateProject(name="wagons", description="Some."))
    assert backend.call(ops.GetProject(name="wagons")).description == "Some."
    backend.call(ops.DeleteProject(name="wagons"))
    assert names(backend) == []
    with pytest.raises(NotFoundError, match="loopline projects list"):
        backend.call(ops.GetProject(name="wagons"))
    with pytest.raises(InvalidInputError, match="1 to 500"):
        backend.call(ops.CreateProject(name=" "))


def test_registering_makes_the_project_and_only_force_deletes_what_is_in_it(
    backend: LocalBackend,
) -> None:
    register(backend)
    register(backend, "score")
    flow_run_id = ask(backend)
    lease = claimed(backend)
    tell(backend, lease, StateKind.RUNNING, extract=StateKind.SUCCESS)
    project = backend.call(ops.GetProject(name=PROJECT))
    assert (project.flows, project.flow_runs, project.running) == (2, 1, 1)
    with pytest.raises(ConflictError, match="2 flows with 1 run, which"):
        backend.call(ops.DeleteProject(name=PROJECT))
    with pytest.raises(ConflictError, match=r"1 flow run of .* runs now"):
        backend.call(ops.DeleteProject(name=PROJECT, force=True))
    tell(backend, lease, StateKind.SUCCESS)
    assert known(backend, flow_run_id)
    backend.call(ops.DeleteProject(name=PROJECT, force=True))
    assert (names(backend), backend.call(ops.ListFlows())) == ([], [])
    assert backend.call(ops.ListFlowRuns()).flow_runs == []
    with backend.store.read() as connection:
        for table in (schema.task_run, schema.flow_run_event, schema.flow_version):
            assert connection.execute(select(func.count()).select_from(table)).scalar() == 0


def test_the_history_of_a_flow_says_what_changed(backend: LocalBackend) -> None:
    register(backend, fingerprint="1", environment={"pandas": "2.1", "keras": "3"})
    register(backend, fingerprint="1", environment={"pandas": "2.1", "keras": "3"})
    tasks = [*GRAPH.tasks[:-1], GraphTask(slug="score-1", name="score")]
    graph = FlowGraph(
        tasks=tasks, edges=GRAPH.edges, parameters=[ParameterSpec(name="month", default="1")]
    )
    options: dict[str, Any] = {"graph": graph, "environment": {"pandas": "2.2"}}
    every = ScheduleSpec(clocks=[IntervalClock(interval_s=18_000)])
    register(backend, fingerprint="2", **options)
    register(backend, fingerprint="3", **options)
    register(backend, fingerprint="4", **options, schedule=every, labels=["gpu"], resume="no")
    notes = backend.call(ops.ListFlowVersions(project=PROJECT, name="retrain"))
    assert [(note.version, note.changes) for note in notes] == [
        (
            4,
            [
                "schedule: none → every 5 hours",
                "labels: none → gpu",
                "when its worker dies: continue → no",
            ],
        ),
        (3, ["code changed"]),
        (
            2,
            [
                "task new: score-1",
                "task gone: load-1",
                "parameter changed: month",
                "keras 3 → absent",
                "pandas 2.1 → 2.2",
            ],
        ),
        (1, []),
    ]
