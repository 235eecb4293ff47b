"""XGBoost and LightGBM by themselves: iterations, early stopping, data, models; callbacks."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import loopline
from loopline.backend.recorder import get_recorder

if TYPE_CHECKING:
    import pandas as pd
    from tests.integrations.conftest import Runs

    from loopline.records.tracking import Run

xgboost: Any = import_module("xgboost")
lightgbm: Any = import_module("lightgbm")

SMALL: dict[str, Any] = {"num_leaves": 4, "min_data_in_leaf": 2, "verbosity": -1, "num_threads": 1}
SMALL_ESTIMATOR: dict[str, Any] = {"num_leaves": 4, "min_child_samples": 2, "verbosity": -1}


def values(run: Run, key: str) -> list[float]:
    return list(loopline.get_metric_history(run.run_id, key).values)


def number(run: Run, key: str) -> float:
    return run.metrics[key].value


def importances(run: Run) -> Any:  # noqa: ANN401 - JSON
    (found,) = [
        file for file in loopline.list_artifacts(run.run_id) if file.path.startswith("feature")
    ]
    assert found.sha256 is not None
    return json.loads(b"".join(get_recorder().backend.read_blob(found.sha256)))


# --- XGBoost ---


def test_xgboost_train_logs_iterations_early_stopping_data_and_the_booster(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.xgboost.autolog()
    train = xgboost.DMatrix(trips[:40], fares[:40])
    later = xgboost.DMatrix(trips[40:], fares[40:])
    seen: dict[str, Any] = {}
    booster = xgboost.train(
        {"max_depth": 2, "eta": 0.9, "eval_metric": ["rmse", "error@0.4"], "nthread": 1},
        train,
        200,
        evals=[(train, "train"), (later, "validation")],
        early_stopping_rounds=3,
        evals_result=seen,
        verbose_eval=False,
    )
    run = runs.only()
    assert run.params["max_depth"] == "2"
    assert run.params["num_boost_round"] == "200"
    assert values(run, "train-rmse") == pytest.approx(seen["train"]["rmse"])
    assert values(run, "validation-error_at_0.4") == seen["validation"]["error@0.4"]
    assert number(run, "best_iteration") == booster.best_iteration
    assert number(run, "stopped_iteration") == len(seen["train"]["rmse"])
    assert runs.with_data("training data") == runs.with_data("validation") == [run.run_id]
    assert "trip_distance" in importances(run)["gain"]
    loaded = loopline.load_model(f"runs:/{run.run_id}/model")
    np.testing.assert_array_equal(loaded.predict(later), booster.predict(later))


def test_xgboost_estimators_log_as_estimators(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.autolog(log_input_examples=True)
    model = xgboost.XGBRegressor(n_estimators=5, max_depth=2, n_jobs=1)
    assert model.fit(trips, fares, eval_set=[(trips, fares)], verbose=False) is model
    run = runs.only()
    assert run.tags["mlflow.autologging"] == "xgboost"
    assert run.tags["estimator_name"] == "XGBRegressor"
    assert len(values(run, "validation_0-rmse")) == 5
    assert number(run, "training_score") == pytest.approx(model.score(trips, fares))
    loaded = loopline.load_model(f"runs:/{run.run_id}/model")
    assert type(loaded) is xgboost.XGBRegressor
    np.testing.assert_array_equal(loaded.predict(trips), model.predict(trips))


def test_xgboost_cross_validation_and_own_callbacks_work_as_before(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    data = xgboost.DMatrix(trips, fares)
    with loopline.start_run() as run:
        xgboost.cv(
            {"nthread": 1},
            data,
            4,
            nfold=2,
            callbacks=[loopline.xgboost.LooplineCallback(log_every_n_iterations=2)],
        )
    assert list(loopline.get_metric_history(run.run_id, "test-rmse").steps) == [0, 2]
    loopline.xgboost.autolog(log_models=False)
    mine = loopline.xgboost.LooplineCallback()
    xgboost.train(
        {"nthread": 1}, data, 3, evals=[(data, "train")], callbacks=[mine], verbose_eval=False
    )
    assert len(values(runs.all()[-1], "train-rmse")) == 3


# --- LightGBM ---


def test_lightgbm_train_logs_iterations_early_stopping_data_and_the_booster(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.lightgbm.autolog()
    train = lightgbm.Dataset(trips[:40], fares[:40])
    later = lightgbm.Dataset(trips[40:], fares[40:], reference=train)
    seen: dict[str, Any] = {}
    booster = lightgbm.train(
        {**SMALL, "metric": "l2", "learning_rate": 0.9},
        train,
        300,
        valid_sets=[later],
        valid_names=["validation"],
        callbacks=[lightgbm.record_evaluation(seen), lightgbm.early_stopping(3, verbose=False)],
    )
    run = runs.only()
    assert run.params["num_leaves"] == "4"
    assert values(run, "validation-l2") == pytest.approx(seen["validation"]["l2"])
    assert number(run, "best_iteration") == booster.best_iteration - 1
    assert number(run, "stopped_iteration") == len(seen["validation"]["l2"])
    assert number(run, "best_score") == booster.best_score["validation"]["l2"]
    assert runs.with_data("training data") == runs.with_data("validation data") == [run.run_id]
    assert set(importances(run)) == {"gain", "split"}
    loaded = loopline.load_model(f"runs:/{run.run_id}/model")
    np.testing.assert_allclose(loaded.predict(trips), booster.predict(trips))


@pytest.mark.parametrize("kind", ["LGBMRegressor", "LGBMClassifier"])
def test_lightgbm_estimators_log_as_estimators(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs, kind: str
) -> None:
    loopline.autolog()
    targets = fares if kind == "LGBMRegressor" else (fares > 30).map({True: "long", False: "short"})
    model = getattr(lightgbm, kind)(n_estimators=4, n_jobs=1, **SMALL_ESTIMATOR)
    assert model.fit(trips, targets) is model
    run = runs.only()
    assert run.tags["estimator_name"] == kind
    assert number(run, "stopped_iteration") == 4
    loaded = loopline.load_model(f"runs:/{run.run_id}/model")
    assert (loaded.predict(trips) == model.predict(trips)).all()


def test_the_lightgbm_callback_alone_logs_to_the_active_run(
    trips: pd.DataFrame, fares: pd.Series[float]
) -> None:
    data = lightgbm.Dataset(trips, fares)
    with loopline.start_run() as run:
        lightgbm.cv(
            SMALL,
            data,
            3,
            nfold=2,
            stratified=False,
            callbacks=[loopline.lightgbm.LooplineCallback()],
        )
    metrics = loopline.get_run(run.run_id).metrics
    assert metrics["valid-l2"].count == 3


# --- both ---


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_over_boosted_trees_is_one_run_of_the_search(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs, n_jobs: int
) -> None:
    import joblib

    loopline.autolog(log_models=False)
    with joblib.parallel_config("threading", n_jobs=n_jobs):
        GridSearchCV(
            lightgbm.LGBMRegressor(n_estimators=2, n_jobs=1, **SMALL_ESTIMATOR),
            {"learning_rate": [0.1, 0.9]},
            cv=2,
        ).fit(trips, fares)
        GridSearchCV(
            xgboost.XGBRegressor(n_estimators=2, n_jobs=1), {"max_depth": [1, 2]}, cv=2
        ).fit(trips, fares)
    assert [run.tags["estimator_name"] for run in runs.all()] == ["GridSearchCV"] * 2


def test_without_scikit_learns_hooks_the_search_s_best_model_is_the_run(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.xgboost.autolog(log_models=False)
    pipeline = make_pipeline(StandardScaler(), xgboost.XGBRegressor(n_estimators=2, n_jobs=1))
    GridSearchCV(pipeline, {"xgbregressor__max_depth": [1, 2]}, cv=2).fit(trips, fares)
    assert runs.only().tags["estimator_name"] == "XGBRegressor"
    assert runs.only().params["max_depth"] == "2"


def test_disable_restores_everything_exactly() -> None:
    def found() -> list[Any]:
        return [
            *(xgboost.train, xgboost.training.train, xgboost.sklearn.train),
            *(lightgbm.train, lightgbm.engine.train, lightgbm.sklearn.train),
            *(vars(xgboost.XGBModel)["fit"], vars(xgboost.XGBClassifier)["fit"]),
            *(vars(lightgbm.LGBMModel)["fit"], vars(lightgbm.LGBMRanker)["fit"]),
        ]

    before = found()
    loopline.autolog()
    assert all(now is not then for now, then in zip(found(), before, strict=True))
    loopline.autolog(disable=True)
    assert all(now is then for now, then in zip(found(), before, strict=True))
