"""The graph of what led to what: both ways, within bounds, and what people decided on it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select
from tests.store import flow_story
from tests.store.registry_story import NAME, log_model, register

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.records.decisions import Check, Decision
from loopline.records.flows import StateKind
from loopline.records.tracking import Dataset, RunStatus
from loopline.store import schema

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend
    from loopline.records.lineage import Lineage

TRIPS = Dataset(name="trips 2022-01", digest="a" * 64, rows=100)
LATER = Dataset(name="trips 2022-02", digest="b" * 64, rows=90)


def send(backend: LocalBackend, *facts: f.Fact) -> None:
    backend.send(f.Batch(writer=uuid.uuid4().hex, start=0, end=len(facts), facts=list(facts)))


def train(backend: LocalBackend, *data: Dataset, flow_run_id: str | None = None) -> str:
    """Log a run that read data, inside a flow run's task if there is one; return its id."""
    run_id = uuid.uuid4().hex
    send(
        backend,
        f.RunStarted(
            run_id=run_id,
            experiment="fares",
            name="train",
            start_ms=1000,
            flow_run_id=flow_run_id,
            task_slug="fit-1" if flow_run_id else None,
        ),
        *(f.InputLogged(run_id=run_id, dataset=one, context="training") for one in data),
    )
    log_model(backend, run_id)
    return run_id


def flow_run(backend: LocalBackend) -> str:
    flow_story.register(backend)
    flow_run_id = flow_story.ask(backend)
    lease = flow_story.claimed(backend)
    send(
        backend,
        f.FlowRunState(
            flow_run_id=flow_run_id, state=StateKind.RUNNING, at_ms=1000, token=lease.token
        ),
        f.TaskRunState(
            flow_run_id=flow_run_id,
            task_slug="fit-1",
            state=StateKind.RUNNING,
            at_ms=1000,
            token=lease.token,
        ),
    )
    return flow_run_id


def lineage(
    backend: LocalBackend, node: str, direction: str = "both", *, depth: int = 5, limit: int = 200
) -> Lineage:
    return backend.call(ops.GetLineage(node=node, direction=direction, depth=depth, limit=limit))


def kinds(found: Lineage) -> list[str]:
    return [node.kind for node in found.nodes]


def test_a_version_came_of_a_flow_run_a_task_a_run_and_its_data(backend: LocalBackend) -> None:
    flow_run_id = flow_run(backend)
    run_id = train(backend, TRIPS, LATER, flow_run_id=flow_run_id)
    register(backend, run_id=run_id)
    found = lineage(backend, f"version:{NAME}/1", "up")
    assert kinds(found) == ["version", "run", "task run", "data", "data", "flow run", "flow"]
    assert found.is_whole
    pairs = {(edge.source.partition(":")[0], edge.target.partition(":")[0]) for edge in found.edges}
    assert pairs == {
        ("flow", "flow-run"),
        ("flow-run", "task-run"),
        ("task-run", "run"),
        ("data", "run"),
        ("run", "version"),
    }


def test_from_a_flow_one_comes_down_to_what_is_in_production(backend: LocalBackend) -> None:
    flow_run_id = flow_run(backend)
    register(backend, run_id=train(backend, TRIPS, flow_run_id=flow_run_id))
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Production"))
    found = lineage(backend, f"flow:{flow_story.PROJECT}/retrain", "down")
    assert kinds(found) == ["flow", "flow run", "task run", "run", "version", "stage"]
    assert found.nodes[-1].title == f"models:/{NAME}/Production"
    up = lineage(backend, f"stage:{NAME}/Production", "up", depth=20)
    assert kinds(up)[-1] == "flow"


def test_data_led_to_every_run_that_read_them_and_to_their_versions(backend: LocalBackend) -> None:
    for _ in range(3):
        register(backend, run_id=train(backend, TRIPS))
    found = lineage(backend, f"data:{TRIPS.digest}")
    assert kinds(found) == ["data", *3 * ["run"], *3 * ["version"]]
    assert {edge.label for edge in found.edges} == {"training", "made"}


def test_what_is_cut_off_by_depth_or_number_says_so(backend: LocalBackend) -> None:
    for _ in range(4):
        register(backend, run_id=train(backend, TRIPS))
    near = lineage(backend, f"data:{TRIPS.digest}", "down", depth=1)
    assert kinds(near) == ["data", *4 * ["run"]]
    assert [node.has_more_down for node in near.nodes] == [False, True, True, True, True]
    few = lineage(backend, f"data:{TRIPS.digest}", "down", limit=3)
    assert len(few.nodes) == 3
    assert few.nodes[0].has_more_down
    none = lineage(backend, f"data:{TRIPS.digest}", depth=0)
    assert (kinds(none), none.nodes[0].has_more_down) == (["data"], True)
    assert not none.nodes[0].has_more_up


def test_children_and_reproductions_are_found_from_both_ends(backend: LocalBackend) -> None:
    first, again, child = train(backend, TRIPS), train(backend, TRIPS), uuid.uuid4().hex
    send(backend, f.TagsSet(run_id=again, tags={"loopline.reproduction_of": first}))
    send(
        backend,
        f.RunStarted(run_id=child, experiment="fares", start_ms=5, parent_run_id=first),
    )
    down = lineage(backend, f"run:{first}", "down")
    assert {node.key for node in down.nodes} == {first, again, child}
    assert f"run:{first}" in {node.node for node in lineage(backend, f"run:{again}", "up").nodes}
    assert f"run:{first}" in {node.node for node in lineage(backend, f"run:{child}", "up").nodes}


def test_what_is_not_there_and_what_is_no_node_are_told_apart(backend: LocalBackend) -> None:
    for node in (f"run:{'f' * 32}", "version:nobody/1", "data:" + "0" * 64, "version:x/y"):
        with pytest.raises(NotFoundError, match="that you may view"):
            lineage(backend, node)
    for node in ("nothing", "planet:earth", "run:"):
        with pytest.raises(InvalidInputError, match="names no node"):
            lineage(backend, node)
    with pytest.raises(InvalidInputError, match="must lie between"):
        lineage(backend, f"run:{'f' * 32}", depth=21)
    with pytest.raises(InvalidInputError, match="must lie between"):
        lineage(backend, f"run:{'f' * 32}", limit=0)
    with pytest.raises(InvalidInputError, match="up, down, both"):
        lineage(backend, f"run:{'f' * 32}", "sideways")


def test_a_deleted_run_is_neither_shown_nor_crossed(backend: LocalBackend) -> None:
    run_id = train(backend, TRIPS)
    register(backend, run_id=run_id)
    backend.call(ops.DeleteRun(run_id=run_id))
    assert kinds(lineage(backend, f"version:{NAME}/1")) == ["version"]


# --- why ----------------------------------------------------------------------------------------


def test_why_a_version_is_in_production_is_one_answer(backend: LocalBackend) -> None:
    old = train(backend, TRIPS)
    register(backend, run_id=old)
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Production", actor="ada"))
    run_id = train(backend, LATER)
    register(backend, run_id=run_id)
    scored = uuid.uuid4().hex
    new_month = Dataset(name="trips 2022-03", digest="c" * 64)
    send(
        backend,
        f.RunStarted(run_id=scored, experiment="fares", name="compare", start_ms=2000),
        f.ParamsLogged(run_id=scored, params={"challenger": "2", "champion": "1"}),
        f.InputLogged(run_id=scored, dataset=new_month, context="evaluation"),
        f.RunEnded(run_id=scored, status=RunStatus.FINISHED, end_ms=2001),
    )
    backend.call(
        ops.TransitionStage(
            name=NAME, version=2, stage="Production", actor="night", reason="promoted v2 over v1"
        )
    )
    found = backend.call(ops.ExplainVersion(name=NAME, stage="Production"))
    assert (found.version.version, found.before) == (2, 1)
    assert found.decision is not None
    assert found.decision.reason == "promoted v2 over v1"
    assert found.decided_by == "a gate, run by night"
    assert found.run is not None
    assert found.run.run_id == run_id
    assert [one.dataset for one in found.inputs] == [LATER]
    assert [run.run_id for run in found.compared] == [scored]
    assert [one.dataset for one in found.compared_on] == [new_month]
    assert [node.title for node in found.consequences] == [f"models:/{NAME}/Production"]

    first = backend.call(ops.ExplainVersion(name=NAME, version=1))
    assert first.decision is not None
    assert (first.decision.after, first.decision.reason) == ("Archived", "version 2 took its place")
    assert [event.after for event in first.history if event.kind == "stage"] == [
        "Archived",
        "Production",
    ]


def test_a_version_that_nobody_moved_has_no_decision(backend: LocalBackend) -> None:
    register(backend)
    found = backend.call(ops.ExplainVersion(name=NAME, version=1))
    assert (found.decision, found.decided_by, found.run) == (None, "", None)
    with pytest.raises(InvalidInputError, match="Say which version"):
        backend.call(ops.ExplainVersion(name=NAME))
    with pytest.raises(NotFoundError):
        backend.call(ops.ExplainVersion(name=NAME, stage="Production"))


def test_a_decision_on_record_stands_between_the_versions_and_the_stage(
    backend: LocalBackend,
) -> None:
    first = train(backend, TRIPS)
    register(backend, run_id=first)
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Production"))
    register(backend, run_id=train(backend, LATER))
    sentence = "promoted v2 over v1: better by 20 %"
    weighed = Decision(
        promote=True,
        rule="better",
        sentence=sentence,
        champion=1,
        challenger=2,
        data=TRIPS.digest,
        checks=[Check(gate="gain", passed=True, sentence="better by 20 %")],
    )
    kept = backend.call(
        ops.RecordDecision(name=NAME, decision=weighed, run_id=first, actor="night")
    )
    node = f"decision:{kept.decision_id}"
    up = lineage(backend, f"stage:{NAME}/Production", "up", depth=2)
    pairs = {(edge.source, edge.target) for edge in up.edges}
    assert {(of, f"stage:{NAME}/Production") for of in (node, f"version:{NAME}/2")} <= pairs
    found = lineage(backend, node, depth=1)
    assert {(edge.source, edge.label) for edge in found.edges if edge.target == node} == {
        (f"version:{NAME}/1", "was champion"),
        (f"version:{NAME}/2", "weighed"),
        (f"data:{TRIPS.digest}", "decided on"),
        (f"run:{first}", "compared"),
    }
    assert (node, f"stage:{NAME}/Production") in {(e.source, e.target) for e in found.edges}

    why = backend.call(ops.ExplainVersion(name=NAME, stage="Production"))
    assert why.weighed == kept
    assert why.decided_by == "a gate, run by night"
    assert [run.run_id for run in why.compared] == [first]
    assert why.before == 1


def test_a_rollback_is_the_decision_by_which_a_version_stands_there(backend: LocalBackend) -> None:
    for number in (1, 2):
        register(backend, run_id=train(backend, TRIPS))
        weighed = Decision(
            promote=True, rule="better", sentence="promoted", champion=number - 1 or None,
            challenger=number,
        )  # fmt: skip
        backend.call(ops.RecordDecision(name=NAME, decision=weighed, actor="night"))
    backend.call(ops.RollBack(name=NAME, reason="fares fell", actor="ada"))
    why = backend.call(ops.ExplainVersion(name=NAME, stage="Production"))
    assert why.decided_by == "ada, who rolled it back"
    assert why.weighed is not None
    assert why.weighed.decision.sentence == "rolled back from v2 to v1: fares fell"
    up = lineage(backend, f"stage:{NAME}/Production", "up", depth=1)
    back = f"decision:{why.weighed.decision_id}"
    assert (back, "rolled back") in {(edge.source, edge.label) for edge in up.edges}
    down = lineage(backend, back, "down", depth=1)
    assert [node.kind for node in down.nodes] == ["decision", "stage"]


def test_decisions_on_a_version_are_found_by_an_index(backend: LocalBackend) -> None:
    on = schema.decision.c
    query = select(schema.decision).where(on.name == NAME, on.challenger == 3)
    long_history = [
        {
            "decision_id": f"d{number}", "name": NAME, "stage": "Production", "status": "kept",
            "at_ms": number, "challenger": number, "document": "{}",
        }
        for number in range(3000)
    ]  # fmt: skip
    with backend.store.write() as connection:
        connection.execute(insert(schema.decision), long_history)
        connection.exec_driver_sql("ANALYZE ll_decision")
        text = query.compile(connection, compile_kwargs={"literal_binds": True})
        is_sqlite = connection.dialect.name == "sqlite"
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        plan = str(connection.exec_driver_sql(f"{explain} {text}").all())
    assert "ix_ll_decision_on" in plan


def test_eight_digits_of_an_id_are_enough_where_only_one_begins_so(backend: LocalBackend) -> None:
    twin = Dataset(name="twin", digest="a" * 60 + "beef")
    run_id = train(backend, TRIPS, LATER, twin)
    assert lineage(backend, f"data:{'b' * 8}").root == f"data:{LATER.digest}"
    assert lineage(backend, f"run:{run_id[:12]}").root == f"run:{run_id}"
    for unclear in ("a" * 8, "b" * 7, "c" * 8):
        with pytest.raises(NotFoundError, match="eight digits are enough"):
            lineage(backend, f"data:{unclear}")
    assert lineage(backend, f"data:{'a' * 60}b").root == f"data:{twin.digest}"
