"""Keras by itself, on JAX: params, epochs, early stopping, data and model; and as a callback.

Keras is imported by the tests themselves, so that collecting them needs no Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import loopline
from loopline.models.keras_backend import import_keras
from loopline.records.tracking import RunStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tests.integrations.conftest import Runs

pytestmark = [
    pytest.mark.deep,
    # Keras 3.15 on NumPy 2; nothing of ours can change it.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

ROWS = np.random.default_rng(2023).uniform(0, 1, (64, 2)).astype("float32")
FARES = 3 + 2.5 * ROWS[:, 0]


@pytest.fixture(scope="module")
def keras() -> Any:  # noqa: ANN401 - a module without types
    return import_keras()


@pytest.fixture
def network(keras: Any) -> Any:  # noqa: ANN401 - no types
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def values(run_id: str, key: str) -> list[float]:
    return list(loopline.get_metric_history(run_id, key).values)


def fares(model: Any) -> NDArray[np.float32]:  # noqa: ANN401 - no types
    return np.asarray(model.predict(ROWS, verbose=0))


def test_a_fit_logs_params_epochs_data_and_the_model(network: Any, runs: Runs) -> None:  # noqa: ANN401
    loopline.keras.autolog(log_input_examples=True)
    history = network.fit(ROWS, FARES, 16, epochs=3, validation_split=0.25, verbose=0)
    run = runs.only()
    assert run.status is RunStatus.FINISHED
    assert run.params["epochs"] == "3"
    assert run.params["batch_size"] == "16"
    assert run.params["steps_per_epoch"] == "3"
    assert run.params["optimizer_name"] == "Adam"
    assert run.params["trainable_weights"] == "3"
    assert set(history.history) == {"loss", "mae", "val_loss", "val_mae"}
    for key, seen in history.history.items():
        assert values(run.run_id, key) == pytest.approx(seen)
    assert values(run.run_id, "learning_rate") == pytest.approx([0.001] * 3)
    assert runs.with_data("training data") == [run.run_id]
    assert {"model", "model_summary.txt"} == runs.files(run)

    info = loopline.models.pyfunc.load_model(f"runs:/{run.run_id}/model")
    assert info.signature is not None
    assert info.signature.inputs is not None
    assert info.signature.inputs.tensors[0].shape == (-1, 2)
    np.testing.assert_allclose(fares(info.native), fares(network), rtol=1e-5)


def test_early_stopping_tells_the_best_epoch_and_where_it_stopped(
    keras: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    runs: Runs,
) -> None:
    loopline.keras.autolog(log_models=False)
    stopping = keras.callbacks.EarlyStopping(
        "loss", patience=2, min_delta=100.0, restore_best_weights=True
    )
    given = [stopping]
    network.fit(ROWS, FARES, epochs=20, callbacks=given, verbose=0)
    metrics = {name: summary.value for name, summary in runs.only().metrics.items()}
    assert (metrics["stopped_epoch"], metrics["best_epoch"], metrics["restored_epoch"]) == (2, 0, 0)
    assert metrics["best_loss"] == pytest.approx(stopping.best)
    assert runs.only().params["early_stopping_patience"] == "2"
    assert given == [stopping]  # The user's list is the user's.


def test_a_container_of_callbacks_is_left_as_it_was(
    keras: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    runs: Runs,
) -> None:
    loopline.keras.autolog(log_models=False)
    container = keras.callbacks.CallbackList([], add_history=True, model=network, epochs=2)
    before = list(container.callbacks)
    network.fit(ROWS, FARES, epochs=2, callbacks=container, verbose=0)
    assert container.callbacks == before
    assert len(values(runs.only().run_id, "loss")) == 2


def test_an_evaluation_goes_to_the_run_of_the_fit(network: Any, runs: Runs) -> None:  # noqa: ANN401
    loopline.keras.autolog(log_models=False)
    network.fit(ROWS, FARES, validation_data=(ROWS, FARES), verbose=0)
    loss, error = network.evaluate(ROWS, FARES, verbose=0)
    metrics = runs.only().metrics
    assert metrics["evaluation_loss"].value == pytest.approx(loss)
    assert metrics["evaluation_mae"].value == pytest.approx(error)
    assert metrics["evaluation_mae"].count == 1


def test_an_error_in_a_training_comes_through(keras: Any, network: Any, runs: Runs) -> None:  # noqa: ANN401
    class Flat(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ANN401, ARG002
            if epoch == 1:
                msg = "flat tyre"
                raise RuntimeError(msg)

    loopline.keras.autolog()
    with pytest.raises(RuntimeError, match="flat tyre"):
        network.fit(ROWS, FARES, epochs=5, callbacks=[Flat()], verbose=0)
    run = runs.only()
    assert (run.status, run.end_reason) == (RunStatus.FAILED, "RuntimeError: flat tyre")
    assert len(values(run.run_id, "loss")) == 1


def test_disable_leaves_no_attribute_behind(keras: Any, network: Any, runs: Runs) -> None:  # noqa: ANN401
    before = dict(vars(keras.Model))
    loopline.keras.autolog()
    assert "fit" in vars(keras.Model)
    loopline.keras.autolog(disable=True)
    assert dict(vars(keras.Model)) == before
    network.fit(ROWS, FARES, verbose=0)
    assert runs.all() == []


def test_the_callback_alone_logs_to_the_active_run_or_to_its_own(
    network: Any,  # noqa: ANN401
    runs: Runs,
) -> None:
    network.fit(ROWS, FARES, callbacks=[loopline.keras.LooplineCallback()], verbose=0)
    assert runs.only().status is RunStatus.FINISHED
    with loopline.start_run() as run:
        callback = loopline.keras.LooplineCallback(log_every_n_steps=1)
        network.fit(ROWS, FARES, 16, callbacks=[callback], verbose=0)
        assert loopline.active_run() is run
    assert len(values(run.run_id, "batch_loss")) == 4


def test_the_users_own_callback_is_not_joined_by_another(network: Any, runs: Runs) -> None:  # noqa: ANN401
    loopline.keras.autolog(log_models=False)
    network.fit(ROWS, FARES, callbacks=[loopline.keras.LooplineCallback()], epochs=2, verbose=0)
    assert len(values(runs.only().run_id, "loss")) == 2


def test_the_callbacks_work_an_epoch_is_small(network: Any) -> None:  # noqa: ANN401
    callback = loopline.keras.LooplineCallback()
    callback.set_model(network)
    callback.set_params({"epochs": 1000})
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    import sys

    with loopline.start_run():
        callback.on_train_begin()
        logs = {"loss": 1.0, "mae": 0.5, "val_loss": 1.5, "val_mae": 0.75}
        callback.on_epoch_end(0, logs)
        sys.setprofile(count)
        callback.on_epoch_end(1, logs)
        sys.setprofile(None)
    assert calls < 500  # Counted and not timed: how fast the machine is, is not ours to say.
