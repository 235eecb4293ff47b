"""scikit-learn by itself: one run a fit, a search, a pipeline or a cross-validation."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.linear_model import LassoCV, LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import loopline
from loopline import data
from loopline.backend.recorder import get_recorder
from loopline.integrations.content import data_version
from loopline.models import pyfunc
from loopline.records.tracking import RunStatus

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from tests.integrations.conftest import Runs

    from loopline.records.tracking import Run


def read(run: Run, path: str) -> str:
    """Read an artifact's text."""
    folder, _, _ = path.rpartition("/")
    found = {file.path: file for file in loopline.list_artifacts(run.run_id, folder)}
    sha256 = found[path].sha256
    assert sha256 is not None
    return b"".join(get_recorder().backend.read_blob(sha256)).decode()


def test_a_fit_logs_params_data_scores_and_the_model(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(log_input_examples=True)
    model = make_pipeline(StandardScaler(), Ridge(alpha=0.5)).fit(trips, fares)
    run = runs.only()
    assert run.params["ridge__alpha"] == "0.5"
    assert run.tags["estimator_class"] == "sklearn.pipeline.Pipeline"
    assert run.metrics["training_r2_score"].value == pytest.approx(model.score(trips, fares))
    assert run.metrics["training_root_mean_squared_error"].value == pytest.approx(
        run.metrics["training_mean_squared_error"].value ** 0.5
    )
    assert runs.with_data("training data") == [run.run_id]

    loaded = pyfunc.load_model(f"runs:/{run.run_id}/model")
    assert loaded.signature is not None
    assert loaded.signature.inputs is not None
    assert loaded.signature.inputs.names == ["trip_distance", "pickup_hour"]
    assert loaded.metadata.saved_input_example_info is not None
    assert (loaded.predict(trips) == model.predict(trips)).all()


def test_the_runs_that_used_data_are_found_by_the_data_themselves(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(log_models=False)
    Ridge().fit(trips, fares)
    Ridge().fit(trips.copy(), fares + 1)
    first, second = runs.all()
    assert {use.run_id for use in data.uses(trips).runs} == {first.run_id, second.run_id}
    assert {use.run_id for use in data.uses(fares).runs} == {first.run_id}


def test_data_are_described_in_whichever_form_they_come(
    trips: pd.DataFrame, fares: pd.Series[float]
) -> None:
    def digest(part: Any) -> str:  # noqa: ANN401 - any data
        version = data_version(part, name="training data")
        assert version is not None
        return version.digest

    rows = trips.to_numpy()
    assert digest(rows) == digest(rows.tolist())
    assert digest(rows) != digest(trips)
    assert digest({"trips": rows, "hours": rows[:, 1]}) == digest(
        {"trips": rows.copy(), "hours": rows[:, 1]}
    )
    assert data_version(iter([1, 2]), name="a generator") is None
    named = trips.copy()
    named.attrs["name"] = "green taxi 2022-01"
    version = data_version(named, name="training data")
    assert version is not None
    assert (version.name, version.rows) == ("green taxi 2022-01", len(fares))


def test_iterations_and_early_stopping_become_a_history(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(log_models=False)
    model = HistGradientBoostingRegressor(
        max_iter=50, early_stopping=True, n_iter_no_change=2, min_samples_leaf=5, random_state=0
    )
    make_pipeline(StandardScaler(), model).fit(trips, fares)
    run = runs.only()
    history = loopline.get_metric_history(run.run_id, "validation_score")
    assert list(history.values) == pytest.approx(list(model.validation_score_))
    assert list(history.steps) == list(range(model.n_iter_ + 1))
    assert run.metrics["stopped_iteration"].value == model.n_iter_
    assert run.metrics["best_iteration"].value == np.argmax(model.validation_score_)


def test_a_classifier_logs_what_classifiers_are_judged_by(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(pos_label=1, log_models=False)
    model = LogisticRegression().fit(trips, (fares > 30).astype(int))
    metrics = runs.only().metrics
    accuracy = model.score(trips, (fares > 30).astype(int))
    assert metrics["training_accuracy_score"].value == pytest.approx(accuracy)
    for name in ("f1_score", "log_loss", "precision_score", "recall_score", "roc_auc"):
        assert f"training_{name}" in metrics


def test_clusters_have_their_own_numbers(trips: pd.DataFrame, runs: Runs) -> None:
    loopline.sklearn.autolog(log_models=False)
    model = KMeans(3, n_init=1, random_state=0)
    model.fit_predict(trips)
    metrics = runs.only().metrics
    assert metrics["inertia"].value == pytest.approx(model.inertia_)
    assert metrics["training_score"].value == pytest.approx(-model.inertia_, rel=0.01)


def test_a_score_on_other_data_goes_to_the_run_of_the_fit(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(log_models=False)
    model = make_pipeline(StandardScaler(), Ridge()).fit(trips[:40], fares[:40])
    later_trips, later_fares = trips[40:], fares[40:]
    score = model.score(later_trips, later_fares)
    assert runs.only().metrics["Pipeline_score_later_trips"].value == score
    assert len(runs.all()) == 1


# Of JAX, when it is in this process for another test's sake.
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
@pytest.mark.parametrize("backend", ["sequential", "threading", "loky", "multiprocessing"])
def test_a_search_is_one_run_however_its_fits_are_spread(
    trips: pd.DataFrame,
    fares: pd.Series[float],
    runs: Runs,
    backend: str,
) -> None:
    loopline.autolog()
    with joblib.parallel_config(backend, n_jobs=2):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [0.1, 1.0, 9.0]}, cv=3
        ).fit(trips, fares)
    run = runs.only()
    assert run.params["best_ridge__alpha"] == str(search.best_params_["ridge__alpha"])
    assert run.metrics["best_cv_score"].value == pytest.approx(search.best_score_)
    rows = list(csv.DictReader(io.StringIO(read(run, "cv_results.csv"))))
    assert [row["param_ridge__alpha"] for row in rows] == ["0.1", "1.0", "9.0"]
    assert isinstance(loopline.load_model(f"runs:/{run.run_id}/model"), Pipeline)


def test_a_search_that_does_not_refit_logs_its_table_alone(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog()
    RandomizedSearchCV(Ridge(), {"alpha": [1.0, 2.0]}, n_iter=2, cv=2, refit=False).fit(
        trips, fares
    )
    assert runs.files(runs.only()) == {"cv_results.csv"}
    assert "best_alpha" in runs.only().params


@pytest.mark.parametrize(
    "model",
    [
        VotingRegressor([("ridge", Ridge()), ("line", LinearRegression())], n_jobs=2),
        StackingRegressor([("ridge", Ridge()), ("line", LinearRegression())], cv=2),
        RandomForestRegressor(4, n_jobs=2),
        LassoCV(cv=2, n_jobs=2),
        Pipeline([("search", GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=2))]),
    ],
    ids=lambda model: type(model).__name__,
)
def test_what_fits_others_is_one_run(
    trips: pd.DataFrame,
    fares: pd.Series[float],
    runs: Runs,
    model: Any,  # noqa: ANN401 - an estimator
) -> None:
    loopline.sklearn.autolog()
    with joblib.parallel_config("threading"):
        model.fit(trips, fares)
    assert runs.only().tags["estimator_name"] == type(model).__name__
    assert "model" in runs.files(runs.only())


def test_several_outputs_are_scored_together(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(log_models=False)
    MultiOutputRegressor(Ridge()).fit(trips, np.column_stack([fares, fares * 0.2]))
    assert runs.only().metrics["training_r2_score"].value > 0.9


def test_cross_validation_is_one_run_with_a_step_a_fold(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog()
    scores = cross_val_score(Ridge(alpha=3.0), trips, fares, cv=4)
    run = runs.only()
    assert run.params["alpha"] == "3.0"
    assert run.metrics["mean_test_score"].value == pytest.approx(scores.mean())
    assert run.metrics["std_test_score"].value == pytest.approx(scores.std())
    history = loopline.get_metric_history(run.run_id, "test_score")
    assert list(history.values) == list(scores)


def test_options_leave_things_out(trips: pd.DataFrame, fares: pd.Series[float], runs: Runs) -> None:
    loopline.sklearn.autolog(
        log_models=False,
        log_datasets=False,
        log_training_metrics=False,
        log_post_training_metrics=False,
    )
    Ridge().fit(trips, fares).score(trips, fares)
    run = runs.only()
    assert (run.metrics, runs.files(run), runs.with_data("training data")) == ({}, set(), [])


def test_each_fit_becomes_a_version_when_a_name_is_given(
    trips: pd.DataFrame,
    fares: pd.Series[float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    loopline.sklearn.autolog(registered_model_name="taxifare_model")
    Ridge().fit(trips, fares)
    Ridge().fit(trips, fares)
    assert "Registered version 2" in capsys.readouterr().err
    assert loopline.load_model("models:/taxifare_model/2").predict(trips).shape == (60,)


@pytest.mark.deep  # Four processes that import scikit-learn.
def test_a_worker_process_that_turns_autolog_on_itself_starts_no_runs(
    home: Path, runs: Runs
) -> None:
    (home / "fare_models.py").write_text(
        f"import loopline\nloopline.set_tracking_uri({str(home / '.loopline')!r})\n"
        "loopline.set_experiment('wagoncab taxifare')\n"
        "loopline.sklearn.autolog()\n"
        "from sklearn.linear_model import Ridge\n"
        "class FareRidge(Ridge): pass\n"
    )
    (home / "search.py").write_text(
        "from fare_models import FareRidge\n"
        "from sklearn.model_selection import GridSearchCV\n"
        "search = GridSearchCV(FareRidge(), {'alpha': [1.0, 2.0]}, cv=2, n_jobs=2)\n"
        "search.fit([[1.0], [2.0], [3.0], [4.0]], [6.0, 8.5, 11.0, 13.5])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "search.py"],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert runs.only().status is RunStatus.FINISHED
    assert runs.only().tags["estimator_name"] == "GridSearchCV"
