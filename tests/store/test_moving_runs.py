"""Runs are moved and copied on both databases, and experiments searched."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from loopline.records import operations as ops
from loopline.records.facts import (
    Batch,
    LoggedModelUsed,
    MetricPoints,
    ParamsLogged,
    RunEnded,
    RunStarted,
)
from loopline.records.logged_models import ModelRole, RunModel
from loopline.records.tracking import RunStatus

if TYPE_CHECKING:
    from loopline.backend.local import LocalBackend

RUN, CHILD = "a" * 32, "b" * 32


def fill(backend: LocalBackend) -> None:
    """Record a run and a child of it, both over."""
    column = struct.pack("<3q", 0, 1, 2)
    values = struct.pack("<3d", 1.0, float("nan"), 3.9)
    facts = [
        fact
        for run_id, parent in ((RUN, None), (CHILD, RUN))
        for fact in (
            RunStarted(
                run_id=run_id, experiment="taxifare", name="gbm", start_ms=5, parent_run_id=parent
            ),
            ParamsLogged(run_id=run_id, params={"model": "gbm"}),
            MetricPoints(
                run_id=run_id, key="rmse", steps=column, timestamps_ms=column, values=values
            ),
            RunEnded(run_id=run_id, status=RunStatus.FINISHED, end_ms=9),
        )
    ]
    backend.send(Batch(writer="c" * 32, start=0, end=1, facts=list(facts)))


def test_a_moved_run_is_found_only_where_it_is(backend: LocalBackend) -> None:
    fill(backend)
    backend.call(ops.MoveRuns(run_ids=[RUN], experiment="night shift"))
    for name, count in (("taxifare", 0), ("night shift", 2)):
        page = backend.call(
            ops.SearchRuns(
                experiment_names=[name], filter="metrics.rmse = 3.9 and params.model = 'gbm'"
            )
        )
        assert len(page.runs) == count


def test_a_copied_run_has_the_same_points_and_its_own_children(backend: LocalBackend) -> None:
    fill(backend)
    copy = backend.call(ops.CopyRun(run_id=RUN, experiment="night shift", with_children=True))
    original = backend.call(ops.GetRun(run_id=RUN))
    assert copy.params == original.params
    assert copy.metrics["rmse"].count == 3
    assert copy.tags["loopline.copied_from"] == RUN
    history = backend.call(ops.GetMetricHistory(run_id=copy.run_id, key="rmse"))
    assert history.steps == [0, 1, 2]
    (child,) = backend.call(
        ops.SearchRuns(filter=f"attributes.parent_run_id = '{copy.run_id}'")
    ).runs
    assert child.experiment_name == "night shift"


def log_models(backend: LocalBackend) -> tuple[str, str]:
    """Let the run make a model in its experiment, and one in another."""
    experiment_id = backend.call(ops.GetRun(run_id=RUN)).experiment_id
    other = backend.call(ops.EnsureExperiment(name="elsewhere")).experiment_id
    made, apart = (
        backend.call(
            ops.CreateLoggedModel(experiment_id=place, name="fare", source_run_id=RUN)
        ).model_id
        for place in (experiment_id, other)
    )
    link = LoggedModelUsed(run_id=RUN, model_id=made, role=ModelRole.OUTPUT, step=3)
    backend.call(ops.RecordFacts(facts=[link]))
    return made, apart


def test_the_models_that_a_run_made_go_with_it(backend: LocalBackend) -> None:
    fill(backend)
    made, apart = log_models(backend)
    (run,) = backend.call(ops.MoveRuns(run_ids=[RUN], experiment="night shift"))
    assert backend.call(ops.GetLoggedModel(model_id=made)).experiment_id == run.experiment_id
    elsewhere = backend.call(ops.EnsureExperiment(name="elsewhere")).experiment_id
    assert backend.call(ops.GetLoggedModel(model_id=apart)).experiment_id == elsewhere
    page = backend.call(ops.SearchLoggedModels(experiment_ids=[run.experiment_id]))
    assert [model.model_id for model in page.models] == [made]


def test_a_copied_run_shares_the_models_that_it_made(backend: LocalBackend) -> None:
    fill(backend)
    made, _ = log_models(backend)
    copy = backend.call(ops.CopyRun(run_id=RUN, experiment="night shift"))
    link = RunModel(model_id=made, role=ModelRole.OUTPUT, step=3)
    for run_id in (RUN, copy.run_id):
        assert backend.call(ops.ListRunModels(run_id=run_id)) == [link]
    model = backend.call(ops.GetLoggedModel(model_id=made))
    assert (model.source_run_id, model.experiment_id) != (copy.run_id, copy.experiment_id)


def test_experiments_are_tagged_and_found(backend: LocalBackend) -> None:
    made = backend.call(ops.CreateExperiment(name="night shift", tags={"team": "fares"}))
    backend.call(ops.SetExperimentTags(experiment_id=made.experiment_id, tags={"team": "Tips"}))
    page = backend.call(ops.SearchExperiments(filter="tags.team LIKE 'T%' and name ILIKE 'NIGHT%'"))
    assert [one.experiment_id for one in page.experiments] == [made.experiment_id]
    assert not backend.call(ops.SearchExperiments(filter="tags.team LIKE 't%'")).experiments
