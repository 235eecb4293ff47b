"""scikit-learn models: saved safely, loaded without running code, in MLflow's layout."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier

import loopline.models.sklearn as flavor
from loopline.errors import (
    AlreadyExistsError,
    InvalidInputError,
    NotFoundError,
    UnsafeModelError,
    UnsupportedError,
)
from loopline.models import infer_signature, load_model, pyfunc
from loopline.models.example import read_example
from loopline.models.mlmodel import read_mlmodel

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

THEIRS = Path(__file__).parent / "mlflow_folders"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def test_the_demos_model_comes_back_without_pickle_and_predicts_the_same(
    folder: Path,
    fare_model: Any,  # noqa: ANN401
    trips: pd.DataFrame,
) -> None:
    flavor.save_model(fare_model, folder)
    assert (folder / "model.skops").is_file()
    assert (flavor.load_model(folder).predict(trips) == fare_model.predict(trips)).all()
    assert (load_model(folder).predict(trips) == fare_model.predict(trips)).all()


@pytest.mark.parametrize(
    "model",
    [
        AdaBoostRegressor(n_estimators=2),
        BaggingRegressor(n_estimators=2, max_features=0.5),
        DecisionTreeClassifier(),
        ExtraTreesRegressor(2),
        GradientBoostingRegressor(n_estimators=2),
        HistGradientBoostingClassifier(max_iter=2),
        IsolationForest(n_estimators=2, max_features=0.5),
        KNeighborsRegressor(algorithm="brute"),
        RandomForestRegressor(2, max_leaf_nodes=5),
        SVR(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_common_estimators_have_a_safe_form(
    folder: Path,
    model: Any,  # noqa: ANN401
    trips: pd.DataFrame,
    fares: NDArray[np.float64],
) -> None:
    rows = trips[["trip_distance", "pickup_hour"]].to_numpy()
    model.fit(rows, (fares // 10).astype(int))
    flavor.save_model(model, folder)
    assert (flavor.load_model(folder).predict(rows) == model.predict(rows)).all()


def test_a_folder_holds_what_mlflow_puts_there(
    folder: Path,
    fare_model: Any,  # noqa: ANN401
    trips: pd.DataFrame,
) -> None:
    flavor.save_model(
        fare_model, folder, input_example=trips.head(2), metadata={"city": "New York"}
    )
    theirs = THEIRS / "fares_skops"
    assert {path.name for path in folder.iterdir()} == {path.name for path in theirs.iterdir()}

    ours = yaml.safe_load((folder / "MLmodel").read_text())
    peer = yaml.safe_load((theirs / "MLmodel").read_text())
    assert ours["flavors"].keys() == peer["flavors"].keys()
    for name in ours["flavors"]:
        assert ours["flavors"][name].keys() == peer["flavors"][name].keys()
    assert ours["signature"]["inputs"] == peer["signature"]["inputs"]
    assert ours["saved_input_example_info"] == peer["saved_input_example_info"]
    assert ours["metadata"] == peer["metadata"]
    files = [path for path in folder.iterdir() if path.name != "MLmodel"]
    assert ours["model_size_bytes"] == sum(path.stat().st_size for path in files)


def test_the_example_is_kept_twice_and_read_back(
    folder: Path,
    fare_model: Any,  # noqa: ANN401
    trips: pd.DataFrame,
) -> None:
    flavor.save_model(fare_model, folder, input_example=trips.head(2))
    model = read_mlmodel(folder)
    assert model.saved_input_example_info is not None
    assert read_example(folder, model.saved_input_example_info).equals(trips.head(2))
    body = json.loads((folder / "serving_input_example.json").read_text())
    assert body["dataframe_split"]["columns"] == list(trips.columns)


def test_an_example_the_model_cannot_take_costs_the_signature_and_not_the_model(
    folder: Path,
    fare_model: Any,  # noqa: ANN401
) -> None:
    with pytest.warns(UserWarning, match="cannot predict its input example"):
        flavor.save_model(fare_model, folder, input_example=[[1.0]])
    assert read_mlmodel(folder).signature is None
    assert flavor.load_model(folder) is not None


def test_a_model_of_code_is_refused_with_the_way_out(folder: Path) -> None:
    model = FunctionTransformer(lambda rows: rows)
    with pytest.raises(UnsafeModelError, match="serialization_format='cloudpickle'"):
        flavor.save_model(model, folder)
    assert list(folder.parent.iterdir()) == []  # Nor is half a folder left behind.


def test_a_pickle_warns_when_saved_and_loads_only_when_allowed(folder: Path) -> None:
    with pytest.warns(UserWarning, match="allow_pickle=True"):
        flavor.save_model(
            FunctionTransformer(lambda rows: rows * 2), folder, serialization_format="cloudpickle"
        )
    for load in (flavor.load_model, load_model, pyfunc.load_model):
        with pytest.raises(UnsafeModelError, match="allow_pickle=True"):
            load(folder)
    doubling = flavor.load_model(folder, allow_pickle=True)
    assert doubling.transform(np.array([[2.0]])).tolist() == [[4.0]]


class Bomb:
    """Leaves a mark when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("claims", ["cloudpickle", "pickle", "skops", "joblib", None])
def test_a_pickle_bomb_does_not_go_off_whatever_its_mlmodel_claims(
    folder: Path, tmp_path: Path, claims: str | None
) -> None:
    flavor.save_model(LinearRegression().fit([[1.0], [2.0]], [6.0, 8.5]), folder)
    (folder / "model.skops").write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    document = yaml.safe_load((folder / "MLmodel").read_text())
    document["flavors"]["sklearn"]["serialization_format"] = claims
    document["flavors"]["sklearn"]["skops_trusted_types"] = ["posix.mkdir", "builtins.eval"]
    (folder / "MLmodel").write_text(yaml.safe_dump(document))
    for load in (flavor.load_model, load_model, pyfunc.load_model):
        with pytest.raises(Exception):  # noqa: B017, PT011 - what matters is that nothing ran
            load(folder)
    assert not (tmp_path / "boom").exists()


def test_what_a_file_says_is_trusted_does_not_count(folder: Path) -> None:
    model = FunctionTransformer(os.path.basename)
    flavor.save_model(model, folder, skops_trusted_types=["posixpath.basename"])
    named = read_mlmodel(folder).flavors["sklearn"]["skops_trusted_types"]
    assert named == ["posixpath.basename"]
    with pytest.raises(UnsafeModelError, match=r"posixpath\.basename"):
        flavor.load_model(folder)
    loaded = flavor.load_model(folder, skops_trusted_types=["posixpath.basename"])
    assert loaded.func is os.path.basename


@pytest.mark.parametrize("name", ["../elsewhere/model.skops", "/etc/passwd"])
def test_an_mlmodel_cannot_point_out_of_its_folder(folder: Path, name: str) -> None:
    flavor.save_model(LinearRegression().fit([[1.0], [2.0]], [6.0, 8.5]), folder)
    text = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(
        text.replace("pickled_model: model.skops", f"pickled_model: {name}")
    )
    with pytest.raises(InvalidInputError, match="outside its folder"):
        flavor.load_model(folder)


def test_nothing_is_overwritten(folder: Path, fare_model: Any) -> None:  # noqa: ANN401
    flavor.save_model(fare_model, folder)
    with pytest.raises(AlreadyExistsError, match="is there already"):
        flavor.save_model(fare_model, folder)


def test_an_unknown_format_is_refused_with_the_known_ones(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="'skops'"):
        flavor.save_model(LinearRegression(), folder, serialization_format="joblib")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_mlflows_own_folders_load(trips: pd.DataFrame) -> None:
    fares = load_model(THEIRS / "fares_skops").predict(trips[trips["borough"] != "Manhattan"])
    assert np.isfinite(fares).all()
    boosted = flavor.load_model(THEIRS / "fares_boosted")
    assert boosted.predict(trips[["trip_distance", "pickup_hour"]]).shape == (60,)
    with pytest.raises(UnsafeModelError, match=r"model\.pkl is a pickle"):
        load_model(THEIRS / "fares_pickle")
    linear = load_model(THEIRS / "fares_pickle", allow_pickle=True)
    assert linear.predict([[16.0]]) == pytest.approx([43.5])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_scoring_checks_the_signature_of_mlflows_folders_too() -> None:
    model = pyfunc.load_model(THEIRS / "fares_skops")
    assert model.metadata.metadata == {"city": "New York"}
    trip = {"trip_distance": 4, "pickup_hour": 18, "borough": "Queens"}
    assert model.predict(trip) == pytest.approx([13.5])
    with pytest.raises(InvalidInputError, match="needs column 'borough'"):
        model.predict({"trip_distance": 4, "pickup_hour": 18})


def test_scoring_calls_the_method_and_the_params_that_were_logged(
    folder: Path, trips: pd.DataFrame, fares: NDArray[np.float64]
) -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor

    rows = trips[["trip_distance"]]
    model = GaussianProcessRegressor(optimizer=None).fit(rows, fares)
    signature = infer_signature(rows, fares, params={"return_std": False})
    flavor.save_model(model, folder, signature=signature)
    scored = pyfunc.load_model(folder)
    assert len(scored.predict(rows)) == 60
    fare, spread = scored.predict(rows, params={"return_std": True})
    assert fare.shape == spread.shape
    with pytest.raises(InvalidInputError, match="does not know parameter 'return_sdt'"):
        scored.predict(rows, params={"return_sdt": True})


def test_a_model_that_only_transforms_loads_but_does_not_score(folder: Path) -> None:
    flavor.save_model(StandardScaler().fit([[1.0], [2.0]]), folder, input_example=[[1.0]])
    assert load_model(folder).transform([[1.5]]).tolist() == [[0.0]]
    with pytest.raises(InvalidInputError, match="no method 'predict'"):
        pyfunc.load_model(folder)


def test_another_flavor_is_named(folder: Path) -> None:
    with pytest.raises(UnsupportedError, match="its flavors are keras"):
        flavor.load_model(THEIRS / "fares_keras")
    flavor.save_model(LinearRegression().fit([[1.0], [2.0]], [6.0, 8.5]), folder)
    text = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(text.replace("  sklearn:", "  prophet:"))
    with pytest.raises(UnsupportedError, match="prophet"):
        load_model(folder)


def test_a_folder_without_an_mlmodel_is_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is no model folder"):
        load_model(tmp_path)
    (tmp_path / "MLmodel").write_text("flavors: 3")
    with pytest.raises(InvalidInputError, match="cannot be read as an MLmodel file"):
        load_model(tmp_path)
