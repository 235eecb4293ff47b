"""What a walk through the graph costs: what it finds, and not what the store holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.store.registry_story import NAME, register
from tests.store.test_lineage_drift import report
from tests.store.test_lineage_feeds import SPEC, rows_of
from tests.store.test_lineage_graph import LATER, flow_run, train
from tests.store.test_lineage_serving import predict, serve

from loopline.records import operations as ops
from loopline.records.identity import Access, Caller, Role
from loopline.store.operations import carry_out

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend

#: Tables that grow with what people do.
LARGE = ("ll_run", "ll_tag", "ll_metric", "ll_run_input", "ll_dataset", "ll_decision")
#: What walks through all runs, and is called a search since it begins with their lifecycle.
WALKS = "ix_ll_run_newest"


@pytest.mark.parametrize("roles", [None, Role.VIEWER])
def test_no_step_goes_through_a_whole_table(backend: LocalBackend, roles: Role | None) -> None:
    backend.call(ops.EnsureFeed(name="taxi", project="city", spec=SPEC))
    rows = rows_of("taxi", "1")
    run_id = train(backend, rows, LATER, flow_run_id=flow_run(backend))
    register(backend, run_id=run_id)
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Production"))
    process = serve(backend)
    predict(backend, process, 1, 5, 1)
    report(backend)
    everything = dict.fromkeys(range(1, 9), Role.VIEWER)
    projects = dict.fromkeys(("city", "wagoncab project"), Role.VIEWER)
    access = Access(experiments=everything, models={NAME: Role.VIEWER}, projects=projects)
    caller = None if roles is None else Caller(name="eve", how="token x", access=access)
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, sql: str, values: Any, *_more: Any) -> None:  # noqa: ANN401
        asked.append((sql, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for node in (f"version:{NAME}/1", "feed:taxi", f"run:{run_id}", f"data:{LATER.digest}"):
            found = carry_out(backend.store, ops.GetLineage(node=node, depth=9), caller=caller)
            assert len(found.nodes) > 4
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    with backend.store.read() as connection:
        if connection.dialect.name != "sqlite":
            pytest.skip("tables as small as these are scanned, and rightly")
        for sql, values in [(sql, values) for sql, values in asked if sql.startswith("SELECT")]:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
            for step in [row[-1] for row in plan]:
                assert WALKS not in step, sql
                assert not any(step.startswith(f"SCAN {table}") for table in LARGE), sql
