"""What holds for every library: whose run it is, what is never broken, and how it is undone."""

from __future__ import annotations

import gc
import inspect
import pickle
import subprocess
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import loopline
from loopline.errors import InvalidInputError
from loopline.integrations import guard
from loopline.integrations import sklearn as hooks
from loopline.integrations.everything import LIBRARIES
from loopline.integrations.imports import forget, when_imported
from loopline.integrations.sklearn_fit import Fit
from loopline.records.tracking import RunStatus

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    import pandas as pd
    from tests.integrations.conftest import Runs


# --- whose run it is ---


def test_a_fit_without_a_run_gets_one_that_ends_with_it(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog()
    Ridge().fit(trips, fares)
    assert runs.only().status is RunStatus.FINISHED
    assert runs.only().tags["mlflow.autologging"] == "sklearn"
    assert loopline.active_run() is None


def test_a_fit_inside_a_run_logs_into_it_and_leaves_it_open(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(extra_tags={"city": "New York"})
    with loopline.start_run() as run:
        Ridge(alpha=2.0).fit(trips, fares)
        assert loopline.active_run() is run
        loopline.log_metric("fare_error", 1.0)
    found = runs.only()
    assert found.params["alpha"] == "2.0"
    assert found.tags["city"] == "New York"
    assert {"fare_error", "training_mean_absolute_error"} <= set(found.metrics)


def test_every_further_fit_in_a_run_gets_a_child_of_it(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(log_models=False)
    with loopline.start_run() as run:
        for alpha in (1.0, 2.0, 3.0):
            Ridge(alpha=alpha).fit(trips, fares)
    parent, *children = sorted(runs.all(), key=lambda found: found.params["alpha"])
    assert parent.run_id == run.run_id
    assert [child.params["alpha"] for child in children] == ["2.0", "3.0"]
    assert {child.parent_run_id for child in children} == {run.run_id}
    assert {child.name for child in children} == {"Ridge"}


def test_params_that_the_user_logged_are_kept_with_a_warning(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs, troubles: list[str]
) -> None:
    loopline.sklearn.autolog(log_models=False)
    with loopline.start_run(run_name="by hand"):
        loopline.log_param("alpha", "small")
        with pytest.warns(guard.AutologWarning, match="has other values of params alpha"):
            Ridge(alpha=0.1).fit(trips, fares)
    assert runs.only().params["alpha"] == "small"
    assert runs.only().params["solver"] == "auto"
    troubles.extend(guard.recent)


def test_exclusive_leaves_the_users_runs_alone(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(exclusive=True, log_models=False)
    with loopline.start_run():
        Ridge().fit(trips, fares)
    assert runs.only().params == {}
    Ridge().fit(trips, fares)
    assert len(runs.all()) == 2


def test_threads_log_a_run_each(trips: pd.DataFrame, fares: pd.Series[float], runs: Runs) -> None:
    loopline.sklearn.autolog(log_models=False)
    threads = [
        threading.Thread(target=Ridge(alpha=float(alpha)).fit, args=(trips, fares))
        for alpha in range(1, 7)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.params["alpha"] for run in runs.all()) == [f"{n}.0" for n in range(1, 7)]


# --- what is never broken ---


def test_an_error_of_the_fit_comes_through_and_its_run_has_failed(
    trips: pd.DataFrame, runs: Runs
) -> None:
    loopline.sklearn.autolog()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        Ridge().fit(trips, [1.0, 2.0])
    assert runs.only().status is RunStatus.FAILED
    assert runs.only().end_reason.startswith("ValueError: Found input variables")
    assert loopline.active_run() is None


def test_an_error_of_ours_is_a_warning_and_the_fit_goes_on(
    trips: pd.DataFrame,
    fares: pd.Series[float],
    runs: Runs,
    troubles: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    loopline.sklearn.autolog()
    for broken in ("before", "after"):
        monkeypatch.setattr(Fit, broken, no_disk)
        with pytest.warns(guard.AutologWarning, match="No space left on device"):
            model = Ridge().fit(trips, fares)
        assert model.coef_.shape == (2,)
    assert [run.status for run in runs.all()] == [RunStatus.FINISHED] * 2
    troubles.extend(guard.recent)


def test_our_warnings_break_no_program_that_turns_warnings_into_errors(
    trips: pd.DataFrame,
    fares: pd.Series[float],
    troubles: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Fit, "before", lambda *_: 1 / 0)
    loopline.sklearn.autolog(log_models=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Ridge().fit(trips, fares)
    assert "ZeroDivisionError" in capsys.readouterr().err
    loopline.sklearn.autolog(log_models=False, silent=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Ridge().fit(trips, fares)
    assert capsys.readouterr().err == ""
    troubles.extend(guard.recent)


def test_a_model_without_a_safe_form_is_a_warning_that_says_what_to_do(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs, troubles: list[str]
) -> None:
    from sklearn.preprocessing import FunctionTransformer

    loopline.sklearn.autolog()
    with pytest.warns(guard.AutologWarning, match="serialization_format='cloudpickle'"):
        Pipeline([("double", FunctionTransformer(lambda rows: rows * 2)), ("fit", Ridge())]).fit(
            trips, fares
        )
    assert runs.only().metrics["training_r2_score"].value > 0.9
    troubles.extend(guard.recent)


def test_results_signatures_and_pickles_are_as_without_us(
    trips: pd.DataFrame, fares: pd.Series[float]
) -> None:
    before = inspect.signature(Ridge.fit), Ridge.fit.__doc__, pickle.dumps(Ridge.fit)
    loopline.sklearn.autolog(log_models=False)
    model = Ridge()
    assert model.fit(trips, fares) is model
    assert (inspect.signature(Ridge.fit), Ridge.fit.__doc__) == before[:2]
    assert pickle.dumps(Ridge.fit) == before[2]
    assert b"loopline" not in pickle.dumps(model)
    assert set(vars(model)) == set(vars(pickle.loads(pickle.dumps(model))))  # noqa: S301 - ours


def test_a_value_too_long_for_a_param_is_kept_whole_in_a_file(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(log_models=False)
    weights = list(range(30_000))

    class Weighted(Ridge):  # type: ignore[misc] # scikit-learn has no types
        def __init__(self, weights: Any = None) -> None:  # noqa: ANN401
            super().__init__()
            self.weights = weights

        def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002
            return {"weights": self.weights}

    Weighted(weights).fit(trips, fares)
    assert "weights" not in runs.only().params
    assert "autolog" in runs.files(runs.only())


# --- how it is undone ---


def _functions() -> dict[str, Any]:
    """Everything of scikit-learn that is hooked into, as it is at this moment."""
    import sklearn.base
    import sklearn.model_selection
    from sklearn.model_selection import _validation

    found = {"init": vars(sklearn.base.BaseEstimator).get("__init_subclass__")}
    for kind in hooks._subclasses(BaseEstimator):
        for name in hooks._METHODS:
            found[f"{kind.__module__}.{kind.__qualname__}.{name}"] = vars(kind).get(name)
    for mixin in (RegressorMixin, sklearn.base.ClassifierMixin):
        found[mixin.__name__] = vars(mixin).get("score")
    found["cross_validate"] = sklearn.model_selection.cross_validate
    found["_cross_validate"] = _validation.cross_validate
    return found


def test_disable_restores_everything_exactly(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    gc.collect()  # Classes of other tests are found until then, and not afterwards.
    before = _functions()
    loopline.sklearn.autolog()
    changed = [name for name, found in _functions().items() if found is not before[name]]
    assert len(changed) > 50
    loopline.sklearn.autolog(disable=True)
    assert {name: id(found) for name, found in _functions().items()} == {
        name: id(found) for name, found in before.items()
    }
    Ridge().fit(trips, fares)
    assert runs.all() == []


def test_turned_on_twice_it_logs_once_and_turned_off_once_it_is_off(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(log_models=True)
    loopline.sklearn.autolog(log_models=False)
    Ridge().fit(trips, fares)
    assert "model" not in runs.files(runs.only())
    loopline.sklearn.autolog(disable=True)
    Ridge().fit(trips, fares)
    assert len(runs.all()) == 1


def test_a_method_kept_from_before_turning_off_logs_nothing(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog()
    fit = Ridge().fit
    loopline.sklearn.autolog(disable=True)
    fit(trips, fares)
    assert runs.all() == []


# --- waiting for a library ---


def test_autolog_imports_no_library_and_hooks_in_when_one_is_imported(home: Path) -> None:
    program = f"""
import sys, loopline
loopline.set_tracking_uri({str(home)!r})
loopline.autolog()
heavy = {{"keras", "lightgbm", "lightning", "numpy", "optuna", "sklearn", "torch", "xgboost"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
finder = sys.meta_path[0]
from sklearn.linear_model import LinearRegression
import sklearn.base
assert "integrations" not in type(sklearn.base.__loader__).__module__
assert "integrations" not in type(sklearn.base.__spec__.loader).__module__
LinearRegression().fit([[1.0], [2.0]], [6.0, 8.5])
print(len(loopline.search_runs(output_format="list")))
loopline.autolog(disable=True)
assert finder not in sys.meta_path
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=home, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["1"]


def test_an_action_runs_once_with_the_module_that_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fare_library.py").write_text("FARE = 3.5\n")
    (tmp_path / "broken_library.py").write_text("raise RuntimeError('no meter')\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[ModuleType] = []
    when_imported("fare_library", seen.append)
    when_imported("broken_library", seen.append)
    assert seen == []
    import fare_library  # type: ignore[import-not-found]

    assert [module.FARE for module in seen] == [3.5]
    when_imported("fare_library", seen.append)
    assert seen == [fare_library, fare_library]
    with pytest.raises(RuntimeError, match="no meter"):
        import broken_library  # type: ignore[import-not-found] # noqa: F401
    forget(seen.append)
    assert len(seen) == 2


def test_an_action_that_fails_is_a_warning_and_the_import_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, troubles: list[str]
) -> None:
    (tmp_path / "meter_library.py").write_text("FARE = 3.5\n")
    monkeypatch.syspath_prepend(tmp_path)

    def fail(_module: ModuleType) -> None:
        msg = "another version"
        raise AttributeError(msg)

    when_imported("meter_library", fail)
    with pytest.warns(guard.AutologWarning, match="could not hook into meter_library"):
        import meter_library  # type: ignore[import-not-found]
    assert meter_library.FARE == 3.5
    troubles.extend(guard.recent)


# --- all libraries at once ---


def test_the_choice_made_for_one_library_outlives_the_call_for_all(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(log_models=False)
    loopline.autolog(log_models=True)
    assert hooks.integration.options is not None
    assert not hooks.integration.options.log_models
    HistGradientBoostingRegressor(max_iter=2).fit(trips, fares)
    assert "model" not in runs.files(runs.only())
    loopline.autolog(disable=True)
    assert not hooks.integration.is_on


def test_excluded_libraries_are_left_alone_and_unknown_ones_are_named() -> None:
    loopline.autolog(exclude_flavors=["sklearn"])
    assert not hooks.integration.is_on
    with pytest.raises(InvalidInputError, match="exclude_flavors names sk-learn"):
        loopline.autolog(exclude_flavors=["sk-learn"])


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_has_a_facade_that_turns_on_and_off(library: str) -> None:
    facade = getattr(loopline, library)
    facade.autolog()
    facade.autolog(disable=True)
    with pytest.raises(AttributeError, match="no attribute"):
        _ = facade.no_such_name


def test_a_scaler_alone_is_no_model_and_gets_no_run(trips: pd.DataFrame, runs: Runs) -> None:
    loopline.autolog()
    StandardScaler().fit(trips)
    assert runs.all() == []


def test_a_users_own_estimator_is_not_touched(
    trips: pd.DataFrame, fares: pd.Series[float], runs: Runs
) -> None:
    loopline.sklearn.autolog(log_models=False)

    class FlatFare(RegressorMixin, BaseEstimator):  # type: ignore[misc] # no types
        def fit(self, rows: Any, fares: Any) -> FlatFare:  # noqa: ANN401
            self.inner_ = LinearRegression().fit(rows, fares)
            return self

    assert "integrations" not in FlatFare.fit.__code__.co_filename.rpartition("/")[2]
    assert not hasattr(FlatFare.fit, "__wrapped__")
    FlatFare().fit(trips, fares)
    assert runs.only().tags["estimator_name"] == "LinearRegression"
