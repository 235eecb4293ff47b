"""Keras models on JAX: saved as ``.keras``, loaded in safe mode, in MLflow's layout.

Keras is imported by the tests themselves, so that collecting them needs no Keras.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml

import loopline.keras
from loopline import registry
from loopline.backend.recorder import close_recorders, set_tracking_uri
from loopline.errors import InvalidInputError, UnsafeModelError, UnsupportedError
from loopline.models import load_model, pyfunc
from loopline.models.keras_backend import import_keras
from loopline.models.mlmodel import read_mlmodel
from loopline.tracking import fluent

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.deep,
    # Keras 3.15 on NumPy 2; nothing of ours can change it.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

THEIRS = Path(__file__).parent / "mlflow_folders"
ROWS = np.array([[1.0, 8.0], [4.0, 18.0], [8.0, 23.0]], dtype="float32")


@pytest.fixture(scope="module")
def keras() -> Any:  # noqa: ANN401 - a module without types
    return import_keras()


@pytest.fixture(scope="module")
def network(keras: Any) -> Any:  # noqa: ANN401 - no types
    """The demo's kind of network: normalised inputs, a hidden layer, a fare."""
    normalise = keras.layers.Normalization()
    normalise.adapt(ROWS)
    model = keras.Sequential(
        [
            keras.layers.Input((2,)),
            normalise,
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mae")
    model.fit(ROWS, np.array([6.0, 13.5, 23.5]), epochs=1, verbose=0)
    return model


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    home = tmp_path / ".loopline"
    set_tracking_uri(home)
    yield home
    fluent.end_run()
    close_recorders()
    set_tracking_uri(None)


def fares(model: Any) -> np.ndarray[Any, Any]:  # noqa: ANN401 - no types
    return np.asarray(model.predict(ROWS, verbose=0))


@pytest.mark.usefixtures("home")
def test_the_users_call_logs_registers_and_loads_again(
    network: Any,  # noqa: ANN401 - no types
) -> None:
    with fluent.start_run() as run:
        info = loopline.keras.log_model(
            keras_model=network,
            artifact_path="model",
            keras_module="tensorflow.keras",
            registered_model_name="taxifare_model",
        )
    registry.transition_stage("taxifare_model", 1, "Production")
    assert info.model_uri == f"runs:/{run.run_id}/model"
    assert info.flavors["keras"]["keras_module"] == "tensorflow.keras"
    for uri in (info.model_uri, "models:/taxifare_model/Production"):
        np.testing.assert_allclose(fares(loopline.keras.load_model(uri)), fares(network))
    np.testing.assert_allclose(fares(load_model("models:/taxifare_model/latest")), fares(network))


@pytest.mark.usefixtures("home")
def test_the_same_by_position(network: Any) -> None:  # noqa: ANN401 - no types
    with fluent.start_run():
        info = loopline.keras.log_model(network, "net", "tensorflow.keras", "taxifare_model")
    assert (info.artifact_path, info.registered_model_version) == ("net", 1)


def test_a_folder_holds_what_mlflow_puts_there(
    tmp_path: Path,
    network: Any,  # noqa: ANN401 - no types
) -> None:
    loopline.keras.save_model(network, tmp_path / "model", keras_module="tensorflow.keras")
    theirs = THEIRS / "fares_keras"

    def names(folder: Path) -> set[str]:
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}

    assert names(tmp_path / "model") == names(theirs)
    # MLflow imports this module, and TensorFlow may not be there.
    assert (tmp_path / "model" / "data" / "keras_module.txt").read_text() == "keras"
    ours = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())["flavors"]
    peer = yaml.safe_load((theirs / "MLmodel").read_text())["flavors"]
    assert ours["python_function"].keys() == peer["python_function"].keys()
    assert ours["keras"].keys() == peer["keras"].keys() | {"keras_module"}


def test_scoring_infers_checks_and_answers(
    tmp_path: Path,
    network: Any,  # noqa: ANN401 - no types
) -> None:
    loopline.keras.save_model(network, tmp_path / "model", input_example=ROWS[:2])
    model = pyfunc.load_model(tmp_path / "model")
    np.testing.assert_allclose(model.predict(ROWS), fares(network))
    np.testing.assert_allclose(model.predict(ROWS.tolist()), fares(network))
    np.testing.assert_allclose(
        model.predict(pd.DataFrame(ROWS, columns=["distance", "hour"])), fares(network)
    )
    with pytest.raises(InvalidInputError, match=r"must have shape \(-1, 2\)"):
        model.predict(ROWS[:, :1])


def test_inputs_with_names_come_as_arrays_or_as_columns(tmp_path: Path, keras: Any) -> None:  # noqa: ANN401
    distance, hour = keras.Input((1,), name="distance"), keras.Input((1,), name="hour")
    fare = keras.layers.Dense(1)(keras.layers.Concatenate()([distance, hour]))
    arrays = {"distance": ROWS[:, :1], "hour": ROWS[:, 1:]}
    two = keras.Model([distance, hour], fare)
    loopline.keras.save_model(two, tmp_path / "arrays", input_example=arrays)
    table = pd.DataFrame(ROWS, columns=["distance", "hour"])
    loopline.keras.save_model(two, tmp_path / "columns", input_example=table)
    by_array = pyfunc.load_model(tmp_path / "arrays").predict(arrays)
    by_column = pyfunc.load_model(tmp_path / "columns").predict(table)
    np.testing.assert_allclose(by_array, by_column, rtol=1e-6)


def test_a_layer_of_code_loads_only_when_allowed(tmp_path: Path, keras: Any) -> None:  # noqa: ANN401
    doubling = keras.Sequential(
        [keras.layers.Input((2,)), keras.layers.Lambda(lambda rows: rows * 2)]
    )
    loopline.keras.save_model(doubling, tmp_path / "model")
    for load in (loopline.keras.load_model, load_model, pyfunc.load_model):
        with pytest.raises(UnsafeModelError, match="allow_pickle=True"):
            load(tmp_path / "model")
    model = loopline.keras.load_model(tmp_path / "model", allow_pickle=True)
    np.testing.assert_allclose(fares(model), ROWS * 2)


def test_mlflows_own_folder_loads() -> None:
    model = pyfunc.load_model(THEIRS / "fares_keras")
    assert model.predict(np.array([[2.0]], dtype="float32")).shape == (1, 1)
    assert loopline.keras.load_model(THEIRS / "fares_keras").input_shape == (None, 1)


def test_what_is_no_keras_model_is_refused(tmp_path: Path, keras: Any) -> None:  # noqa: ANN401, ARG001
    with pytest.raises(InvalidInputError, match="builtins.dict is no Keras 3 model"):  # noqa: RUF043
        loopline.keras.save_model({}, tmp_path / "model")
    with pytest.raises(UnsupportedError, match="is no keras model"):
        loopline.keras.load_model(THEIRS / "fares_skops")


def test_requirements_name_keras_and_its_backend(
    tmp_path: Path,
    network: Any,  # noqa: ANN401 - no types
    keras: Any,  # noqa: ANN401 - no types
) -> None:
    loopline.keras.save_model(network, tmp_path / "model")
    lines = (tmp_path / "model" / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines} == {"keras", "numpy", keras.config.backend()}
    assert read_mlmodel(tmp_path / "model").flavors["keras"]["keras_backend"] == "jax"


def test_keras_takes_jax_when_nobody_chose_and_nothing_else_is_there(tmp_path: Path) -> None:
    program = (
        "from loopline.models.keras_backend import import_keras\n"
        "print(import_keras().config.backend())"
    )
    # Keras itself writes TensorFlow into its file when it is first imported without a choice.
    (tmp_path / "keras.json").write_text('{"backend": "tensorflow"}')
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"KERAS_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "jax\n"
