"""Model folders between Loopline and a real MLflow, each loading what the other wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from tests.models.test_heavy_flavors import NET, catboost_model, onnx_model, torch_model
from tests.peers import python_of

import loopline.pyfunc
from loopline.errors import MissingExtraError, UnsafeModelError
from loopline.models import pyfunc

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.deep, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
#: CatBoost, ONNX and PyTorch are in our environment, and not again in MLflow's.
SITE = sysconfig.get_paths()["purelib"]
ROWS = pd.DataFrame({"trip_distance": [1.0, 2.5, 7.0], "pickup_hour": [8.0, 17.0, 23.0]})


def mlflow(tmp_path: Path, *arguments: str) -> Any:  # noqa: ANN401
    """Have a real MLflow do something with a model folder, in a process of its own."""
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(ROWS.to_dict("list")))
    done = subprocess.run(
        [python_of("mlflow-3"), str(HERE / "flavors_in_mlflow.py"), *arguments, str(rows)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            "LOOPLINE_TEST_SITE": sysconfig.get_paths()["purelib"],
            "PYTHONPATH": "",
        },
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def flat(found: Any) -> list[float]:  # noqa: ANN401
    found = next(iter(found.values())) if isinstance(found, dict) else found
    return [float(value) for value in np.asarray(found, dtype=float).reshape(-1)]


def save_catboost(folder: Path) -> None:
    model = catboost_model(ROWS, ROWS.sum(axis=1).to_numpy(), "CatBoostRegressor")
    import_module("loopline.catboost").save_model(model, folder, input_example=ROWS)


def save_onnx(folder: Path) -> None:
    import_module("loopline.onnx").save_model(onnx_model(), folder, input_example=ROWS)


def save_pytorch(folder: Path) -> None:
    flavor = import_module("loopline.pytorch")
    flavor.save_model(torch_model(), folder, input_example=ROWS)


def save_cloudpickled(folder: Path) -> None:
    flavor = import_module("loopline.pytorch")
    flavor.save_model(torch_model(), folder, serialization_format="cloudpickle")


def save_function(folder: Path) -> None:
    code = folder.parent / "imported"
    code.mkdir()
    (code / "tariff_of_tests.py").write_text("def fare(miles):\n    return 3.0 + 2.5 * miles\n")

    def fares(trips: pd.DataFrame) -> Any:  # noqa: ANN401
        from tariff_of_tests import fare  # type: ignore[import-not-found]

        return fare(trips["trip_distance"].to_numpy())

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(code)
        loopline.pyfunc.save_model(folder, fares, input_example=ROWS)


class Tariff(loopline.pyfunc.PythonModel):
    """Its price is in a file."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401
        self.price = float(Path(context.artifacts["price"]).read_text(encoding="utf-8"))

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ANN401, ARG002
        return model_input["trip_distance"].to_numpy() * self.price


def save_class(folder: Path) -> None:
    import cloudpickle

    (folder.parent / "price.txt").write_text("2.5")
    # As a class of a script or notebook is: MLflow could not import this module of tests.
    cloudpickle.register_pickle_by_value(import_module(Tariff.__module__))
    loopline.pyfunc.save_model(
        folder, Tariff(), artifacts={"price": folder.parent / "price.txt"}, input_example=ROWS
    )
    cloudpickle.unregister_pickle_by_value(import_module(Tariff.__module__))


@pytest.mark.parametrize(
    "save",
    [save_catboost, save_onnx, save_pytorch, save_cloudpickled, save_function, save_class],
)
def test_mlflow_loads_what_loopline_wrote_and_says_the_same(
    tmp_path: Path, save: Callable[[Path], None]
) -> None:
    folder = tmp_path / "model"
    save(folder)
    theirs = mlflow(tmp_path, "load", str(folder))
    scored = pyfunc.load_model(folder, allow_pickle=True)
    assert theirs["found"] == pytest.approx(flat(scored.predict(ROWS)))
    if scored.signature is not None and scored.signature.inputs is not None:
        assert theirs["names"] == list(ROWS.columns)


def test_mlflow_imports_the_classes_kept_beside_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "fare_net_for_mlflow.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path / "code")
    model = import_module("fare_net_for_mlflow").FareNet(4)
    folder = tmp_path / "model"
    import_module("loopline.pytorch").save_model(model, folder)
    theirs = mlflow(tmp_path, "load", str(folder))
    assert theirs["found"] == pytest.approx(flat(pyfunc.load_model(folder).predict(ROWS)))


@pytest.mark.parametrize("flavor", ["catboost", "onnx", "pytorch"])
def test_loopline_loads_what_mlflow_wrote_and_says_the_same(tmp_path: Path, flavor: str) -> None:
    folder = tmp_path / "model"
    expected = mlflow(tmp_path, "save", flavor, str(folder))
    rows = ROWS.astype("float32") if flavor == "pytorch" else ROWS
    if flavor == "onnx":  # MLflow's own answer to a table of two outputs is one flat column.
        found = pyfunc.load_model(folder).predict(rows.to_numpy(np.float32))
        assert flat(found) == pytest.approx(expected)
        return
    # Known layers are read without code, although MLflow pickled them.
    assert flat(pyfunc.load_model(folder).predict(rows)) == pytest.approx(expected)


def test_a_model_that_needs_mlflow_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    mlflow(tmp_path, "save", "pyfunc", str(folder))
    with pytest.raises(UnsafeModelError):
        pyfunc.load_model(folder)
    with pytest.raises(MissingExtraError, match="mlflow"):
        pyfunc.load_model(folder, allow_pickle=True)
