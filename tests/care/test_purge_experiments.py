"""A deleted experiment is removed for good when told to, and then its name may be taken again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.care.test_care_commands import as_json, loopline

from loopline.care.purge import find_purgeable, purge_logged_models, purge_runs
from loopline.care.purge_experiments import purge_experiments
from loopline.errors import AlreadyExistsError, NotFoundError
from loopline.records import operations as ops

if TYPE_CHECKING:
    from tests.care.conftest import Story

    from loopline.care.purge import Purgeable

DAY_MS = 24 * 3600 * 1000


def experiment_of(story: Story, run_id: str) -> str:
    return story.backend.call(ops.GetRun(run_id=run_id)).experiment_id


def found(story: Story, days: float = 0) -> Purgeable:
    with story.backend.store.read() as connection:
        return find_purgeable(connection, story.backend.store.clock(), days)


def removed(story: Story, doomed: Purgeable) -> int:
    purge_runs(story.backend.store, doomed.runs)
    purge_logged_models(story.backend.store, doomed.logged_models)
    return purge_experiments(story.backend.store, doomed.experiments.ids)


def test_gc_removes_an_experiment_with_all_in_it_and_frees_its_name(story: Story) -> None:
    number = experiment_of(story, story.log_run(b"january"))
    story.log_model(b"model")
    name = story.backend.call(ops.GetExperiment(experiment_id=number)).name
    story.backend.call(ops.SetExperimentTags(experiment_id=number, tags={"city": "New York"}))
    story.backend.call(ops.AddUser(name="bea"))
    story.backend.call(ops.SetGrant(user="bea", thing="experiment", name=number, role="editor"))
    story.backend.call(ops.DeleteExperiment(experiment_id=number))
    with pytest.raises(AlreadyExistsError):
        story.backend.call(ops.CreateExperiment(name=name))

    said = loopline(story, "gc", "--deleted-for", "1", "--yes")
    assert "0 deleted experiments to remove" in said
    said = loopline(story, "gc", "--deleted-for", "0", "--dry-run")
    assert "1 deleted experiment to remove for good; their names may be taken again." in said
    told = as_json(story, "gc", "--deleted-for", "0", "--yes")
    assert (told["removed_runs"], told["removed_logged_models"]) == (1, 1)
    assert told["removed_experiments"] == 1

    with pytest.raises(NotFoundError):
        story.backend.call(ops.GetExperiment(experiment_id=number))
    with story.backend.store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    assert story.backend.call(ops.ListGrants()) == []
    row = story.backend.call(ops.ListAudit()).rows[0]
    assert (row.action, row.subject) == ("purge-experiment", f"experiment/{number}")
    again = story.backend.call(ops.CreateExperiment(name=name))
    assert again.experiment_id != number  # What somebody wrote down still names the old one.
    assert again.tags == {}


def test_an_experiment_stays_while_something_of_it_does(story: Story) -> None:
    of_model = story.log_run(b"x")
    number = experiment_of(story, of_model)
    story.backend.call(ops.RegisterVersion(name="m", run_id=of_model, artifact_path="trips"))
    story.backend.call(ops.DeleteExperiment(experiment_id=number))
    story.backend.call(ops.DeleteExperiment(experiment_id="0"))  # The clients' own stays, too.
    doomed = found(story)
    assert (doomed.experiments.ids, doomed.experiments.in_use) == ([], 1)
    assert removed(story, doomed) == 0
    assert "1 more stay, for some of their runs do." in loopline(
        story, "gc", "--deleted-for", "0", "--dry-run"
    )
    assert story.backend.call(ops.GetExperiment(experiment_id="0")).lifecycle == "deleted"


def test_an_experiment_that_is_back_meanwhile_stays_with_all_in_it(story: Story) -> None:
    run_id = story.log_run(b"x")
    number = experiment_of(story, run_id)
    model_id = story.log_model(b"model")
    story.backend.call(ops.DeleteExperiment(experiment_id=number))
    now_ms = story.backend.store.clock()
    story.backend.store.clock = lambda: now_ms + DAY_MS
    assert (found(story, 2).experiments.ids, found(story, 2).experiments.recent) == ([], 1)
    doomed = found(story, 0.5)
    assert doomed.experiments.ids == [int(number)]
    assert doomed.logged_models == [model_id]
    story.backend.call(ops.RestoreExperiment(experiment_id=number))
    assert removed(story, doomed) == 0
    assert story.backend.call(ops.GetRun(run_id=run_id)).metrics["rmse"].count
    assert story.backend.call(ops.DescribeLoggedModels(model_ids=[model_id]))
