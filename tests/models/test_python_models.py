"""Functions and classes of a user's own as models: pickles, with their code and their files."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml

import loopline
import loopline.pyfunc as flavor
from loopline.backend.recorder import close_recorders, set_tracking_uri
from loopline.errors import IntegrityError, InvalidInputError, UnsafeModelError, UnsupportedError
from loopline.models import infer_signature, load_model
from loopline.models.python_model import LoadedPythonModel
from loopline.tracking import fluent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    home = tmp_path / ".loopline"
    set_tracking_uri(home)
    fluent.set_experiment("wagoncab taxifare")
    yield home
    fluent.end_run()
    close_recorders()
    set_tracking_uri(None)


def rows(count: int = 3) -> pd.DataFrame:
    return pd.DataFrame({"trip_distance": [1.0, 2.0, 4.0][:count]})


class Tariff(flavor.PythonModel):
    """A model that reads its prices from a file."""

    def __init__(self) -> None:
        self.price = 0.0

    def load_context(self, context: Any) -> None:  # noqa: ANN401
        with open(context.artifacts["prices"], encoding="utf-8") as file:  # noqa: PTH123
            self.price = float(file.read())

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ANN401
        assert context.artifacts
        tip = (params or {}).get("tip", 0.0)
        return model_input["trip_distance"].to_numpy() * self.price + tip


def test_a_function_comes_back_and_is_asked_by_its_signature(tmp_path: Path) -> None:
    def fare(trips: pd.DataFrame) -> Any:  # noqa: ANN401
        return np.round(3.0 + 2.5 * trips["trip_distance"].to_numpy(), 2)

    flavor.save_model(tmp_path / "model", fare, input_example=rows(2))
    scored = flavor.load_model(tmp_path / "model", allow_pickle=True)
    assert scored.predict(rows()).tolist() == [5.5, 8.0, 13.0]
    assert scored.predict({"trip_distance": [1]}).tolist() == [5.5]
    with pytest.raises(InvalidInputError, match="trip_distance"):
        scored.predict({"distance": [1.0]})
    lines = (tmp_path / "model" / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines} == {"cloudpickle", "numpy", "pandas"}


def test_a_class_gets_its_files_and_its_params(tmp_path: Path) -> None:
    prices = tmp_path / "prices.txt"
    prices.write_text("2.5")
    signature = infer_signature(rows(), np.array([1.0]), params={"tip": 0.0})
    model = Tariff()
    flavor.save_model(tmp_path / "model", model, artifacts={"prices": prices}, signature=signature)
    assert model.price == 0.0
    prices.unlink()
    scored = flavor.load_model(tmp_path / "model", allow_pickle=True)
    assert scored.predict(rows()).tolist() == [2.5, 5.0, 10.0]
    assert scored.predict(rows(), params={"tip": 1.0}).tolist() == [3.5, 6.0, 11.0]
    native = load_model(tmp_path / "model", allow_pickle=True)
    assert isinstance(native, LoadedPythonModel)
    assert native.python_model.price == 2.5
    assert native.predict(rows(1), {"tip": 2.0}).tolist() == [4.5]


@pytest.mark.usefixtures("home")
def test_files_of_a_model_may_come_from_another_run(tmp_path: Path) -> None:
    prices = tmp_path / "prices.txt"
    prices.write_text("3.0")
    with loopline.start_run() as run:
        loopline.log_artifact(prices, "tariff")
    with loopline.start_run():
        info = flavor.log_model(
            Tariff(),
            artifacts={"prices": f"runs:/{run.run_id}/tariff/prices.txt"},
            input_example=rows(1),
            registered_model_name="tariff",
        )
    assert info.signature is not None
    assert info.signature.outputs is not None
    scored = flavor.load_model("models:/tariff/1", allow_pickle=True)
    assert scored.predict(rows(2)).tolist() == [3.0, 6.0]


MODULE = """
RATE = {rate}

def rate():
    return RATE

class Fare:
    def predict(self, model_input):
        from fare_rules_{tag} import rate
        return [rate() * miles for miles in model_input["trip_distance"]]
"""


def test_the_local_modules_of_a_model_travel_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "fare_rules_a.py").write_text(MODULE.format(rate=2.0, tag="a"))
    monkeypatch.syspath_prepend(code)
    import fare_rules_a  # type: ignore[import-not-found]

    flavor.save_model(tmp_path / "model", fare_rules_a.Fare(), input_example=rows(1))
    settings = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())
    assert settings["flavors"]["python_function"]["code"] == "code"
    assert [path.name for path in (tmp_path / "model" / "code").iterdir()] == ["fare_rules_a.py"]
    program = (
        "import sys, loopline, pandas; m = loopline.pyfunc.load_model(sys.argv[1], "
        "allow_pickle=True); print(m.predict(pandas.DataFrame({'trip_distance': [1.5]})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path / "model",
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert (done.stdout, done.returncode) == ("[3.0]\n", 0), done.stderr


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.mark,)


def forge(folder: Path, mark: Path) -> None:
    import cloudpickle

    (folder / "python_model.pkl").write_bytes(cloudpickle.dumps(Bomb(mark)))


def test_a_pickle_bomb_is_not_run_unless_allowed(tmp_path: Path) -> None:
    flavor.save_model(tmp_path / "model", lambda trips: trips)
    forge(tmp_path / "model", tmp_path / "mark")
    for load in (load_model, flavor.load_model):
        with pytest.raises(UnsafeModelError, match="allow_pickle=True"):
            load(tmp_path / "model")
    assert not (tmp_path / "mark").exists()


def test_a_bomb_put_in_the_place_of_a_registered_model_is_not_run_even_then(
    home: Path, tmp_path: Path
) -> None:
    with loopline.start_run():
        flavor.log_model(lambda trips: [2.5] * len(trips), registered_model_name="flat")
    assert load_model("models:/flat/1", allow_pickle=True).predict(rows(1)) == [2.5]
    (kept,) = (home / "cache" / "models").iterdir()
    forge(kept, tmp_path / "mark")
    for load in (load_model, flavor.load_model):
        with pytest.raises(IntegrityError, match=r"python_model\.pkl is not the file"):
            load("models:/flat/1", allow_pickle=True)
    assert not (tmp_path / "mark").exists()


def test_a_model_that_names_files_outside_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    flavor.save_model(tmp_path / "model", Tariff(), artifacts={"prices": tmp_path / "secret"})
    path = tmp_path / "model" / "MLmodel"
    path.write_text(path.read_text().replace("artifacts/prices/secret", "../secret"))
    with pytest.raises(InvalidInputError, match="outside its folder"):
        flavor.load_model(tmp_path / "model", allow_pickle=True)


def test_what_cannot_be_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is no model"):
        flavor.save_model(tmp_path / "model", 5)
    with pytest.raises(InvalidInputError, match="is no model"):
        flavor.save_model(tmp_path / "model", Tariff)
    with (tmp_path / "open").open("wb") as file, pytest.raises(InvalidInputError, match="pickled"):
        flavor.save_model(tmp_path / "model", file.write)
    with pytest.raises(InvalidInputError, match="code_paths"):
        flavor.save_model(tmp_path / "model", lambda trips: trips, code_paths=["nowhere.py"])
    assert not (tmp_path / "model").exists()


def test_a_model_kept_as_a_script_is_left_to_mlflow(tmp_path: Path) -> None:
    flavor.save_model(tmp_path / "model", lambda trips: trips)
    path = tmp_path / "model" / "MLmodel"
    text = path.read_text().replace("python_model: python_model.pkl", "model_code_path: a.py")
    path.write_text(text)
    with pytest.raises(UnsupportedError, match="mlflow"):
        load_model(tmp_path / "model", allow_pickle=True)
