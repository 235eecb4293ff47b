"""Optuna by itself: a study is a run, a trial a child of it, and the objective runs inside that."""

from __future__ import annotations

import csv
import io
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.linear_model import Ridge

import loopline
from loopline.backend.recorder import get_recorder
from loopline.records.tracking import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from tests.integrations.conftest import Runs

    from loopline.records.tracking import Run

optuna: Any = import_module("optuna")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def fare_error(trips: pd.DataFrame, fares: pd.Series[float]) -> Callable[[Any], float]:
    """An objective: fits a model, and is pruned when the third trial is under way."""

    def objective(trial: Any) -> float:  # noqa: ANN401 - Optuna's
        alpha = trial.suggest_float("alpha", 0.1, 10.0)
        trial.report(alpha, step=0)
        loopline.log_metric("rush_hour_error", alpha)
        if trial.number == 2:
            raise optuna.TrialPruned
        return 1.0 - float(Ridge(alpha=alpha).fit(trips, fares).score(trips, fares))

    return objective


def family(runs: Runs) -> tuple[Run, list[Run]]:
    """Tell the study's run from its trials'."""
    (study,) = [run for run in runs.all() if run.parent_run_id is None]
    trials = [run for run in runs.all() if run.parent_run_id == study.run_id]
    return study, sorted(trials, key=lambda run: run.tags["optuna.trial"])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_study_is_a_run_and_each_trial_a_child_of_it(
    fare_error: Callable[[Any], float], runs: Runs, n_jobs: int
) -> None:
    loopline.autolog()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(fare_error, n_trials=4, n_jobs=n_jobs)
    run, trials = family(runs)
    assert run.status is RunStatus.FINISHED
    assert run.params["best_alpha"] == str(study.best_params["alpha"])
    assert run.metrics["best_value"].value == study.best_value
    assert run.metrics["trials_pruned"].value == 1
    assert run.metrics["value"].count == 3

    assert [trial.name for trial in trials] == [f"trial {number}" for number in range(4)]
    assert [trial.tags["optuna.state"] for trial in trials] == [
        *("COMPLETE", "COMPLETE", "PRUNED", "COMPLETE")
    ]
    for trial, told in zip(trials, study.trials, strict=True):
        assert trial.params["alpha"] == str(told.params["alpha"])
        assert trial.metrics["rush_hour_error"].value == told.params["alpha"]
        assert trial.status is RunStatus.FINISHED
    assert trials[0].metrics["value"].value == study.trials[0].value
    # What was fitted inside it, without a model a trial.
    assert trials[0].tags["estimator_name"] == "Ridge"
    assert runs.files(trials[0]) == set()


def test_the_table_has_a_line_a_trial(fare_error: Callable[[Any], float], runs: Runs) -> None:
    loopline.optuna.autolog(log_trials=False)
    optuna.create_study().optimize(fare_error, n_trials=3)
    (run,) = runs.all()
    (table,) = loopline.list_artifacts(run.run_id)
    assert table.sha256 is not None
    text = b"".join(get_recorder().backend.read_blob(table.sha256)).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["state"] for row in rows] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert all(row["alpha"] for row in rows)


def test_an_objective_that_fails_ends_its_trial_and_the_study_as_failed(runs: Runs) -> None:
    def objective(trial: Any) -> float:  # noqa: ANN401 - Optuna's
        if trial.number == 1:
            msg = "no such zone"
            raise KeyError(msg)
        return 0.0

    loopline.optuna.autolog()
    with pytest.raises(KeyError, match="no such zone"):
        optuna.create_study().optimize(objective, n_trials=3)
    run, trials = family(runs)
    assert [one.status for one in (run, *trials)] == [
        *(RunStatus.FAILED, RunStatus.FINISHED, RunStatus.FAILED)
    ]
    optuna.create_study().optimize(objective, n_trials=3, catch=(KeyError,))
    assert sum(one.status is RunStatus.FAILED for one in runs.all()) == 3


def test_several_directions_give_a_metric_each(runs: Runs) -> None:
    loopline.optuna.autolog(log_trials=False)
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.optimize(lambda trial: (trial.number, 2.0 * trial.number), n_trials=2)
    assert runs.only().metrics["value_1"].value == 2.0
    assert runs.only().params["direction"] == "minimize,maximize"


def test_the_callback_alone_logs_to_the_active_run(fare_error: Callable[[Any], float]) -> None:
    with loopline.start_run() as run:
        optuna.create_study().optimize(
            fare_error, n_trials=2, n_jobs=2, callbacks=[loopline.optuna.LooplineCallback()]
        )
        assert loopline.active_run() is run
    assert loopline.get_run(run.run_id).metrics["value"].count == 2
