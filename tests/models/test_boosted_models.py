"""XGBoost and LightGBM models: the libraries' own formats, in MLflow's layout, without code."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

import loopline.models.lightgbm as lightgbm_flavor
import loopline.models.xgboost as xgboost_flavor
from loopline.errors import InvalidInputError, UnsafeModelError, UnsupportedError
from loopline.models import load_model, pyfunc

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

xgboost: Any = import_module("xgboost")
lightgbm: Any = import_module("lightgbm")

THEIRS = Path(__file__).parent / "mlflow_folders"
NUMBERS = ["trip_distance", "pickup_hour"]
FLAVORS = {"xgboost": xgboost_flavor, "lightgbm": lightgbm_flavor}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def models(trips: pd.DataFrame, fares: NDArray[np.float64]) -> dict[str, Any]:
    """A booster, a regressor and a classifier of each library."""
    rows = trips[NUMBERS].astype(float)
    lengths = np.where(fares > 30, "long", "short")
    small = {"num_leaves": 4, "min_data_in_leaf": 2, "verbosity": -1, "num_threads": 1}
    shape = {"n_estimators": 3, "n_jobs": 1}
    leaves = {"num_leaves": 4, "min_child_samples": 2, "verbosity": -1}
    return {
        "xgboost booster": xgboost.train({"nthread": 1}, xgboost.DMatrix(rows, fares), 3),
        "xgboost regressor": xgboost.XGBRegressor(**shape).fit(rows, fares),
        "xgboost classifier": xgboost.XGBClassifier(**shape).fit(rows, fares > 30),
        "lightgbm booster": lightgbm.train(small, lightgbm.Dataset(rows, fares), 3),
        "lightgbm regressor": lightgbm.LGBMRegressor(**shape, **leaves).fit(rows, fares),
        "lightgbm classifier": lightgbm.LGBMClassifier(**shape, **leaves).fit(rows, lengths),
    }


@pytest.mark.parametrize("kind", ["booster", "regressor", "classifier"])
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_a_model_comes_back_as_what_it_was(
    folder: Path, trips: pd.DataFrame, fares: NDArray[np.float64], library: str, kind: str
) -> None:
    model = models(trips, fares)[f"{library} {kind}"]
    rows = trips[NUMBERS].astype(float)
    FLAVORS[library].save_model(model, folder, input_example=rows.head(2))
    scored = pyfunc.load_model(folder)
    assert type(scored.native) is type(model)
    needs_matrix = (library, kind) == ("xgboost", "booster")
    expected = model.predict(xgboost.DMatrix(rows) if needs_matrix else rows)
    assert (scored.predict(rows) == expected).all()
    assert scored.signature is not None
    assert scored.signature.inputs is not None
    assert scored.signature.inputs.names == NUMBERS


@pytest.mark.parametrize("name", ["fares_xgboost", "fares_lightgbm"])
def test_a_folder_holds_what_mlflow_puts_there(
    folder: Path, trips: pd.DataFrame, fares: NDArray[np.float64], name: str
) -> None:
    library = name.removeprefix("fares_")
    kind = "regressor" if library == "xgboost" else "booster"
    model = models(trips, fares)[f"{library} {kind}"]
    rows = trips[NUMBERS].astype(float)
    FLAVORS[library].save_model(model, folder, input_example=rows.head(2))
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in (THEIRS / name).iterdir()
    }
    ours = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]
    peer = yaml.safe_load((THEIRS / name / "MLmodel").read_text())["flavors"]
    for flavor in peer:
        assert ours[flavor].keys() == peer[flavor].keys()
    assert ours[library]["model_class"] == peer[library]["model_class"]


def test_mlflows_own_folders_load() -> None:
    trip = np.array([[0.5, 0.0]])
    assert load_model(THEIRS / "fares_xgboost").predict(trip) == pytest.approx([19.856], abs=1e-3)
    assert load_model(THEIRS / "fares_lightgbm").predict(trip) == pytest.approx([28.625])
    with pytest.raises(UnsafeModelError, match=r"model\.pkl is a pickle"):
        load_model(THEIRS / "fares_lightgbm_estimator")
    estimator = load_model(THEIRS / "fares_lightgbm_estimator", allow_pickle=True)
    assert type(estimator) is lightgbm.LGBMRegressor


def test_an_mlmodel_cannot_name_a_class_of_its_own_choice(
    folder: Path, trips: pd.DataFrame, fares: NDArray[np.float64]
) -> None:
    xgboost_flavor.save_model(models(trips, fares)["xgboost booster"], folder)
    text = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(text.replace("xgboost.core.Booster", "subprocess.Popen"))
    with pytest.raises(UnsupportedError, match=r"subprocess\.Popen"):
        load_model(folder)


def test_a_model_with_code_of_the_users_has_no_safe_form(
    folder: Path, trips: pd.DataFrame, fares: NDArray[np.float64]
) -> None:
    def flat(_true: Any, said: Any) -> Any:  # noqa: ANN401 - arrays
        return said * 0 + 1, said * 0 + 1

    rows = trips[NUMBERS].astype(float)
    model = lightgbm.LGBMRegressor(objective=flat, n_estimators=1, verbosity=-1).fit(rows, fares)
    with pytest.raises(UnsafeModelError):
        lightgbm_flavor.save_model(model, folder)
    assert not folder.exists()


def test_other_models_and_formats_are_refused(folder: Path) -> None:
    for flavor in FLAVORS.values():
        with pytest.raises(InvalidInputError, match="is no"):
            flavor.save_model(object(), folder)
    with pytest.raises(InvalidInputError, match="'ubj' or 'json'"):
        xgboost_flavor.save_model(object(), folder, model_format="deprecated")  # type: ignore[arg-type]
