"""The other model: a small Keras network, on JAX unless ``KERAS_BACKEND`` says otherwise."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

import loopline

os.environ.setdefault("KERAS_BACKEND", "jax")

if TYPE_CHECKING:
    import keras
    import pandas as pd

__all__ = ["build", "fit", "log", "params"]

SEED = 0
EPOCHS = 12
BATCH_SIZE = 512
LEARNING_RATE = 3e-3
ZONES = 266  # TLC numbers its zones 1 to 265.


def params() -> dict[str, Any]:
    """Tell what the model is made with."""
    return {
        "model": "Keras 64-32-1",
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "loss": "mae",
        "seed": SEED,
    }


def build(features: np.ndarray) -> keras.Model:
    """Make the network, which prepares its own inputs, and fit its normalisation.

    Args:
        features: Columns as in ``preprocess.FEATURES``, shape (n, 6).
    """
    import keras
    from keras import layers, ops

    inputs = keras.Input((features.shape[1],), name="features")
    distance, hour, weekday, passengers = (inputs[:, i : i + 1] for i in (0, 1, 2, 5))
    day = hour * (2 * math.pi / 24)
    week = weekday * (2 * math.pi / 7)
    numbers = layers.Concatenate()(
        [
            distance,
            ops.log1p(distance),
            ops.sin(day),
            ops.cos(day),
            ops.sin(week),
            ops.cos(week),
            passengers,
        ]
    )
    scale = layers.Normalization()
    scale.adapt(keras.Model(inputs, numbers).predict(features, batch_size=8192, verbose=0))
    zones = ops.cast(ops.clip(inputs[:, 3:5], 0, ZONES - 1), "int32")
    places = layers.Flatten()(layers.Embedding(ZONES, 8)(zones))
    hidden = layers.Concatenate()([scale(numbers), places])
    hidden = layers.Dense(64, activation="relu")(hidden)
    hidden = layers.Dense(32, activation="relu")(hidden)
    model = keras.Model(inputs, layers.Dense(1)(hidden), name="taxifare")
    model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE), loss="mae")
    return model


def fit(features: pd.DataFrame, fares: pd.Series[float]) -> keras.Model:
    """Train on trips and what they cost; log the mean absolute error after each epoch."""
    import keras

    keras.utils.set_random_seed(SEED)
    matrix = features.to_numpy(np.float32)
    model = build(matrix)
    target = fares.to_numpy(np.float32)
    steps = EPOCHS * math.ceil(len(matrix) / BATCH_SIZE)
    # The steps get smaller to the end, or the last batches decide what the model is.
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mae")
    history = model.fit(matrix, target, epochs=EPOCHS, batch_size=BATCH_SIZE, verbose=0)
    for epoch, loss in enumerate(history.history["loss"]):
        loopline.log_metric("train_mae", loss, step=epoch)
    return model


def log(model: keras.Model, **options: Any) -> Any:  # noqa: ANN401 - passed on
    """Store the model with the current run."""
    import loopline.keras

    return loopline.keras.log_model(model, artifact_path="model", **options)
