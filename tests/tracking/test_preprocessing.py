"""Which runs used this preprocessing? One search answers, by function, source, step, parameter."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import cloudpickle
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectFromModel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import loopline
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.errors import InvalidInputError
from loopline.models.keras_backend import import_keras
from loopline.tracking.preprocessing import describe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    loopline.set_tracking_uri(tmp_path / "home")
    loopline.set_experiment("wagoncab taxifare")
    yield tmp_path / "home"
    while loopline.active_run() is not None:
        loopline.end_run()
    close_recorders()
    loopline.set_tracking_uri(None)


@loopline.preprocessing
def clean_trips(trips: list[float], *, least: float = 0.0) -> list[float]:
    """Leave trips out that cost nothing."""
    return [fare for fare in trips if fare > least]


def log_distance(distances: Any) -> Any:  # noqa: ANN401 - an array
    return np.log1p(distances)


def taxi_pipeline(*, with_mean: bool = True) -> Pipeline:
    numbers = make_pipeline(SimpleImputer(), StandardScaler(with_mean=with_mean))
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["distance", "passengers"]),
            ("zones", OneHotEncoder(handle_unknown="ignore"), make_column_selector("zone")),
            ("logarithm", FunctionTransformer(log_distance), ["distance"]),
            ("as is", "passthrough", ["hour"]),
        ]
    )
    return Pipeline([("columns", columns), ("near", KMeans(5)), ("model", Ridge())])


def found(search: str) -> list[str]:
    return [run.run_id for run in loopline.find_runs(search)]


def test_a_marked_function_is_recorded_by_each_run_that_calls_it() -> None:
    assert clean_trips([3.0, 0.0]) == [3.0]  # Without a run nothing is recorded, nor started.
    assert loopline.active_run() is None
    with loopline.start_run() as run:
        assert clean_trips([3.0, 0.0], least=5.0) == []
        clean_trips([1.0])
    with loopline.start_run():
        pass
    digest = loopline.preprocessing_digest(clean_trips)
    assert found("preprocessing.function = 'clean_trips'") == [run.run_id]
    assert found(f"preprocessing.digest = '{digest}'") == [run.run_id]
    assert found(f"preprocessing.function.clean_trips = '{digest}'") == [run.run_id]
    assert run.run_id not in found("preprocessing.function != 'clean_trips'")
    assert found("preprocessing.function = 'clean'") == []


def test_a_marked_function_stays_what_it_was() -> None:
    assert clean_trips.__name__ == "clean_trips"
    assert clean_trips.__doc__ == "Leave trips out that cost nothing."
    assert pickle.loads(pickle.dumps(clean_trips)) is clean_trips  # noqa: S301 - our own bytes

    @loopline.preprocessing
    def local(trips: list[float]) -> int:
        return len(trips)

    again = cloudpickle.loads(cloudpickle.dumps(local))
    with loopline.start_run() as run:
        local([])
        assert again([1.0]) == 1
    assert len(found(f"preprocessing.digest = '{loopline.preprocessing_digest(again)}'")) == 1
    name = "test_a_marked_function_stays_what_it_was.local"
    assert found(f"preprocessing.function = '{name}'") == [run.run_id]


def test_coroutines_methods_and_generators_can_be_marked() -> None:
    @loopline.preprocessing
    async def fetch() -> int:
        await asyncio.sleep(0)
        return 3

    class Cleaner:
        @loopline.preprocessing
        def clean(self, trips: list[float]) -> Iterator[float]:
            yield from trips

    with loopline.start_run() as run:
        assert asyncio.run(fetch()) == 3
        assert list(Cleaner().clean([1.0])) == [1.0]
    tags = loopline.get_run(run.run_id).tags
    names = {key.rpartition(".")[2] for key in tags if ".preprocessing.function." in key}
    assert names == {"fetch", "clean"}
    assert loopline.preprocessing_digest(Cleaner().clean) in str(tags)


def test_what_is_no_function_cannot_be_marked() -> None:
    for thing in (len, 5, StandardScaler()):
        with pytest.raises(InvalidInputError, match="log_preprocessing"):
            loopline.preprocessing(thing)  # type: ignore[type-var]


def test_a_digest_is_that_of_the_source_and_not_of_what_stands_around_it(tmp_path: Path) -> None:
    function = "def clean(trips):\n    return trips\n"
    variants = {
        "plain": function,
        "marked": f"import loopline\n\n@loopline.preprocessing\n{function}",
        "inside": "if True:\n" + textwrap.indent(function, "    "),
        "changed": function.replace("return trips", "return trips[1:]"),
    }
    digests = {}
    for name, text in variants.items():
        (tmp_path / f"{name}_cleaning.py").write_text(text)
        program = (
            f"import loopline, {name}_cleaning as m; print(loopline.preprocessing_digest(m.clean))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True
        )
        digests[name] = done.stdout
    assert digests["plain"] == digests["marked"] == digests["inside"] != digests["changed"]


def test_a_function_without_source_is_told_by_its_code() -> None:
    made: dict[str, Any] = {}
    for number in (1, 1, 2):
        exec(f"def scale(x): return x * {number}", made)  # noqa: S102 - that is the case
        made.setdefault("digests", []).append(loopline.preprocessing_digest(made["scale"]))
    first, same, other = made["digests"]
    assert first == same != other


def test_a_pipeline_is_found_by_step_parameter_function_and_digest() -> None:
    with loopline.start_run() as run:
        told = loopline.log_preprocessing(taxi_pipeline())
    with loopline.start_run() as other:
        loopline.log_preprocessing(taxi_pipeline(with_mean=False))
    assert [step.kind for step in told.steps] == [
        "ColumnTransformer",
        "SimpleImputer",
        "StandardScaler",
        "OneHotEncoder",
        "FunctionTransformer",
        "passthrough",
        "KMeans",
    ]
    both = {run.run_id, other.run_id}
    assert set(found("preprocessing.step = 'StandardScaler'")) == both
    assert set(found("preprocessing.step IN ('PCA', 'KMeans')")) == both
    assert found("preprocessing.step = 'Ridge'") == []  # The model is no preprocessing.
    assert found("preprocessing.step.StandardScaler.with_mean = 'True'") == [run.run_id]
    assert found("preprocessing.step.StandardScaler.with_mean != 'True'") == [other.run_id]
    assert set(found("preprocessing.step.StandardScaler.columns LIKE '%passengers%'")) == both
    assert set(found("preprocessing.function = 'log_distance'")) == both
    digest = loopline.preprocessing_digest(log_distance)
    assert set(found(f"preprocessing.digest = '{digest}'")) == both
    assert found(f"preprocessing.digest = '{told.digest}'") == [run.run_id]
    assert loopline.preprocessing_digest(taxi_pipeline()) == told.digest


def test_a_digest_is_neither_changed_by_fitting_nor_by_the_names_of_steps() -> None:
    trips = np.arange(12.0).reshape(6, 2)
    pipeline = Pipeline([("scale", StandardScaler()), ("model", Ridge())])
    before = loopline.preprocessing_digest(pipeline)
    assert loopline.preprocessing_digest(pipeline.fit(trips, trips[:, 0])) == before
    assert loopline.preprocessing_digest(make_pipeline(StandardScaler(), Lasso())) == before
    assert loopline.preprocessing_digest(make_pipeline(PCA(), StandardScaler(), Lasso())) != before
    searched = GridSearchCV(pipeline, {"scale__with_std": [False]}, cv=2)
    assert loopline.preprocessing_digest(searched) == before
    assert loopline.preprocessing_digest(searched.fit(trips, trips[:, 0])) != before


def test_steps_inside_unions_selections_and_targets_are_found() -> None:
    union = FeatureUnion([("pca", PCA(2)), ("scaled", make_pipeline(StandardScaler(), PCA(1)))])
    model = TransformedTargetRegressor(
        make_pipeline(union, SelectFromModel(Lasso(alpha=0.5)), Ridge()),
        transformer=StandardScaler(with_std=False),
    )
    steps = describe(model).steps
    assert [step.kind for step in steps] == [
        *("FeatureUnion", "PCA", "StandardScaler", "PCA", "SelectFromModel", "StandardScaler")
    ]
    assert steps[1].path == "regressor.featureunion.pca"
    assert steps[-1].path == "transformer"
    assert "alpha: 0.5" in steps[4].params["estimator"]


def test_one_key_may_have_several_values_in_a_run_and_each_is_found() -> None:
    scalers = [StandardScaler(with_mean=False), StandardScaler()]
    with loopline.start_run() as run:
        loopline.log_preprocessing(make_pipeline(*scalers, Ridge()))
    key = "preprocessing.step.StandardScaler.with_mean"
    for value in ("True", "False"):
        assert found(f"{key} = '{value}'") == [run.run_id]
        assert found(f"{key} != '{value}'") == []
    assert found(f"{key} = 'maybe'") == []
    assert found(f"{key} IS NOT NULL") == [run.run_id]


def test_long_parameters_are_found_by_their_hash_and_kept_whole_in_the_artifact() -> None:
    categories = [[f"zone {number}" for number in range(300)]]
    with loopline.start_run() as run:
        told = loopline.log_preprocessing(OneHotEncoder(categories=categories))
    tag = loopline.get_run(run.run_id).tags["loopline.preprocessing.step.OneHotEncoder.categories"]
    assert tag.startswith("sha256:")
    assert "zone 299" in told.steps[0].params["categories"]
    artifacts = {one.path: one.sha256 for one in loopline.list_artifacts(run.run_id, "loopline")}
    data = b"".join(get_recorder().backend.read_blob(artifacts["loopline/preprocessing.json"]))
    (kept,) = json.loads(data)
    assert "zone 299" in kept["steps"][0]["params"]["categories"]


def test_a_class_of_ones_own_is_told_by_its_source_too() -> None:
    class TripCleaner:
        def __init__(self, least: float = 0.0) -> None:
            self.least = least

        def get_params(self, *, deep: bool = True) -> dict[str, Any]:
            return {"least": self.least, "deep": deep}

        def fit(self, trips: Any) -> TripCleaner:  # noqa: ANN401
            del trips
            return self

        def transform(self, trips: Any) -> Any:  # noqa: ANN401
            return trips

    (step,) = describe(TripCleaner(2.5)).steps
    assert step.params["least"] == "2.5"
    assert len(step.digest) == 64
    with loopline.start_run() as run:
        loopline.log_preprocessing(TripCleaner())
    assert found(f"preprocessing.digest = '{step.digest}'") == [run.run_id]


@pytest.mark.parametrize("thing", [Ridge(), make_pipeline(Ridge()), 5, "clean", {"a": 1}])
def test_what_holds_no_preprocessing_is_refused_with_the_next_step(thing: object) -> None:
    with loopline.start_run(), pytest.raises(InvalidInputError, match="Give a function"):
        loopline.log_preprocessing(thing)


def test_a_logged_model_brings_its_preprocessing_with_it() -> None:
    trips = np.arange(12.0).reshape(6, 2)
    model = make_pipeline(StandardScaler(), Ridge()).fit(trips, trips[:, 0])
    with loopline.start_run() as run:
        loopline.sklearn.log_model(model, "model")
    with loopline.start_run():
        loopline.sklearn.log_model(Ridge().fit(trips, trips[:, 0]), "model")
    assert found("preprocessing.step = 'StandardScaler'") == [run.run_id]
    assert found(f"preprocessing.digest = '{loopline.preprocessing_digest(model)}'") == [run.run_id]


def test_a_run_object_records_it_without_any_global_state() -> None:
    run = loopline.start_run()
    loopline.end_run()
    with loopline.start_run():
        run.log_preprocessing(clean_trips)
    assert found("preprocessing.function = 'clean_trips'") == [run.run_id]


def test_secrets_in_sources_and_parameters_are_hidden(home: Path) -> None:
    @loopline.preprocessing
    def load() -> str:
        password = "blackcap-preprocessing-1"  # noqa: S105
        return password  # noqa: RET504

    scaler = FunctionTransformer(log_distance, kw_args={"api_key": "blackcap-preprocessing-2"})
    with loopline.start_run():
        load()
        loopline.log_preprocessing(scaler)
    close_recorders()
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"log_distance" in kept
    assert b"blackcap-preprocessing-2" not in kept
    assert b"-preprocessing-1" not in kept


@pytest.mark.deep
# Keras 3.15 on NumPy 2; nothing of ours can change it.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_keras_layers_are_found_in_models_inside_models() -> None:
    keras: Any = import_keras()
    normalize = keras.layers.Normalization(axis=-1)
    normalize.adapt(np.arange(6.0).reshape(3, 2))
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(0.5), normalize])
    model = keras.Sequential([keras.Input((2,)), inner, keras.layers.Dense(1)])
    with loopline.start_run() as run:
        loopline.keras.log_model(model, "model")
        loopline.log_preprocessing(keras.layers.Discretization(bin_boundaries=[1.0, 5.0]))
        loopline.log_preprocessing(keras.layers.CategoryEncoding(num_tokens=7))
    for search in (
        "preprocessing.step = 'Normalization'",
        "preprocessing.step.Normalization.axis = '[-1]'",
        "preprocessing.step.Rescaling.scale = '0.5'",
        "preprocessing.step.Discretization.bin_boundaries = '[1.0, 5.0]'",
        "preprocessing.step.CategoryEncoding.num_tokens = '7'",
        f"preprocessing.digest = '{loopline.preprocessing_digest(model)}'",
    ):
        assert found(search) == [run.run_id], search
    assert found("preprocessing.step = 'Dense'") == []
