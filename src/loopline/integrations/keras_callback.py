"""The Keras callback: params at the start, metrics every epoch, early stopping at the end.

This module imports Keras; ``loopline.keras.LooplineCallback`` imports it when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.integrations.guard import quietly
from loopline.integrations.options import Options
from loopline.integrations.session import Session
from loopline.models.keras_backend import import_keras
from loopline.tracking.active import active_run
from loopline.tracking.fluent import start_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.tracking.run import ActiveRun

__all__ = ["LooplineCallback"]

_keras: Any = import_keras()
_Callback: Any = _keras.callbacks.Callback

#: Arguments of ``fit`` that are worth comparing between runs.
_FIT_PARAMS = (
    *("batch_size", "class_weight", "epochs", "initial_epoch", "shuffle", "steps_per_epoch"),
    *("validation_batch_size", "validation_freq", "validation_split", "validation_steps"),
)


class LooplineCallback(_Callback):  # type: ignore[misc] # Keras has no types
    """Logs a training to the active run, or to a run of its own when none is active.

    ``loopline.keras.autolog()`` adds it to every ``fit`` by itself.

    Args:
        run: Where to log; the active run when None.
        log_every_n_steps: Also log every so many batches, as ``batch_<metric>``; None: epochs
            only.

    Example:
        >>> model.fit(trips, fares, callbacks=[loopline.keras.LooplineCallback()])
    """

    def __init__(
        self, run: ActiveRun | None = None, *, log_every_n_steps: int | None = None
    ) -> None:
        super().__init__()
        self._given = run
        self._every = log_every_n_steps
        self._session: Session | None = None
        self._own = True
        self._fit: dict[str, Any] = {}
        self._batches = 0
        self._epoch = 0
        if log_every_n_steps:
            # Keras lets the device run ahead as long as no callback has a method for batches.
            self.on_train_batch_end = self._log_batch

    def watch(self, fit: Mapping[str, Any], session: Session | None = None) -> None:
        """Take what automatic logging knows: the arguments of ``fit``, and where to log."""
        self._fit = dict(fit)
        if session is not None:
            self._session, self._own = session, False

    @quietly("log the beginning of a Keras training")
    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's
        """Find the run; log params and the model's summary."""
        from loopline.integrations.keras import describe

        if self._own:
            run = self._given or active_run()
            self._session = Session(run or start_run(), Options(), owned=run is None)
        session = self._session
        if session is None:
            return
        with session.guarded("log the params of a Keras training"):
            session.log_params(self._params())
        with session.guarded("log the summary of a Keras model"):
            session.run.log_text(describe(self.model), "model_summary.txt")

    @quietly("log an epoch")
    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log every metric of the epoch, and the learning rate."""
        if self._session is None:
            return
        self._epoch = epoch
        self._session.log_metrics(logs or {}, epoch)
        rate = _learning_rate(self.model)
        if rate is not None and "learning_rate" not in (logs or {}):
            self._session.run.log_metric("learning_rate", rate, epoch)

    @quietly("log a batch")
    def _log_batch(self, _batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._batches += 1
        if self._session is not None and self._every and self._batches % self._every == 0:
            named = {f"batch_{name}": value for name, value in (logs or {}).items()}
            self._session.log_metrics(named, self._batches)

    @quietly("log the end of a Keras training")
    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's
        """Log where it stopped and which epoch was best; end a run of our own."""
        session, self._batches = self._session, 0
        if session is None:
            return
        if getattr(self.model, "stop_training", False):
            session.log_metrics({"stopped_epoch": self._epoch})
        for stopping in self._early_stoppings():
            session.log_metrics(
                {"best_epoch": stopping.best_epoch, f"best_{stopping.monitor}": stopping.best}
            )
            if stopping.stopped_epoch and stopping.restore_best_weights:
                session.log_metrics({"restored_epoch": stopping.best_epoch})
        if self._own:
            session.close(None)
            self._session = None

    def _params(self) -> dict[str, Any]:
        """Gather what distinguishes this training from others."""
        model = self.model
        found = {name: self._fit[name] for name in _FIT_PARAMS if name in self._fit}
        told = self.params or {}
        for name, known in (("epochs", "epochs"), ("steps_per_epoch", "steps")):
            if found.get(name) is None:
                found[name] = told.get(known)
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None:
            settings = optimizer.get_config()
            settings.pop("name", None)  # Such as adam_1: counted by the process.
            found["optimizer_name"] = type(optimizer).__name__
            found |= {f"optimizer_{key}": _plain(value) for key, value in settings.items()}
        found["loss"] = _plain(getattr(model, "loss", None))
        found["backend"] = _keras.config.backend()
        found["trainable_weights"] = sum(_size(weight) for weight in model.trainable_weights)
        for stopping in self._early_stoppings():
            for name in ("monitor", "patience", "min_delta", "restore_best_weights"):
                found[f"early_stopping_{name}"] = getattr(stopping, name)
        return found

    def _early_stoppings(self) -> list[Any]:
        """Find the callbacks beside this one that may stop the training."""
        callbacks = self._fit.get("callbacks")
        listed = getattr(callbacks, "callbacks", callbacks)
        if not isinstance(listed, (list, tuple)):
            listed = [listed]
        return [one for one in listed if isinstance(one, _keras.callbacks.EarlyStopping)]


def _size(weight: Any) -> int:  # noqa: ANN401 - a Keras variable
    size = 1
    for length in weight.shape:
        size *= length or 0
    return size


def _plain(value: Any) -> Any:  # noqa: ANN401 - part of a Keras configuration
    """Name functions and objects instead of writing their addresses."""
    if isinstance(value, dict) and "class_name" in value:
        return value["class_name"]
    if callable(value) or (hasattr(value, "name") and not isinstance(value, str)):
        return getattr(value, "__name__", None) or getattr(value, "name", type(value).__name__)
    return value


def _learning_rate(model: Any) -> float | None:  # noqa: ANN401 - a Keras model
    rate = getattr(getattr(model, "optimizer", None), "learning_rate", None)
    try:
        return None if rate is None else float(rate)
    except (TypeError, ValueError):
        return None
