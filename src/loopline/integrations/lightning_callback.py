"""Lightning's callback and logger: metrics of every epoch or step, early stopping, checkpoints.

This module imports Lightning; ``loopline.lightning`` imports it when one of these is used.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from loopline.errors import MissingExtraError
from loopline.integrations.guard import quietly
from loopline.integrations.options import Options
from loopline.integrations.session import Session
from loopline.integrations.torch_content import (
    first_of,
    flat,
    log_loader,
    numbers,
    stopping_params,
)
from loopline.tracking.active import active_run, leave
from loopline.tracking.fluent import start_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.tracking.run import ActiveRun

__all__ = ["LooplineCallback", "LooplineLogger"]


def _lightning() -> Any:  # noqa: ANN401 - one of two modules
    """Find the Lightning that the program uses: it goes by two names, with classes of their own."""
    names = ("lightning.pytorch", "pytorch_lightning")
    for name in names:
        if name in sys.modules:
            return sys.modules[name]
    for name in names:
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            return import_module(name)
    purpose = "A Lightning callback"
    raise MissingExtraError("lightning", extra="lightning", purpose=purpose)


_library: Any = _lightning()
_Callback: Any = _library.callbacks.Callback
_Logger: Any = import_module(f"{_library.__name__}.loggers").Logger
_on_rank_zero: Any = import_module(f"{_library.__name__}.utilities").rank_zero_only

#: Attributes of a trainer that are worth comparing between runs.
_TRAINER_PARAMS = (
    *("accumulate_grad_batches", "gradient_clip_val", "max_epochs", "max_steps", "min_epochs"),
    *("num_devices", "num_nodes", "precision"),
)


class LooplineCallback(_Callback):  # type: ignore[misc] # known at run time only
    """Logs a training to the active run, or to a run of its own when none is active.

    ``loopline.lightning.autolog()`` adds it to every ``fit`` by itself.

    Args:
        run: Where to log; the active run when None.
        log_every_n_epoch: Log metrics of every so many epochs.

    Example:
        >>> Trainer(callbacks=[loopline.lightning.LooplineCallback()]).fit(fare_network, trips)
    """

    def __init__(self, run: ActiveRun | None = None, *, log_every_n_epoch: int = 1) -> None:
        super().__init__()
        self._given = run
        self._every = max(1, log_every_n_epoch)
        self._session: Session | None = None
        self._own = True
        self._model: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the run behind: another process that trains has no part in it."""
        state = {**self.__dict__, "_given": None, "_session": None, "_model": None}
        state["_own"] = False
        return state

    def watch(self, session: Session, model: Any = None) -> None:  # noqa: ANN401 - a LightningModule
        """Take what automatic logging knows: where to log, and what is trained."""
        self._session, self._own, self._model = session, False, model

    @quietly("log the beginning of a Lightning training")
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401 - Lightning's
        """Find the run; log params, the module's layers, and the data."""
        if not trainer.is_global_zero:
            return
        if self._own:
            run = self._given or active_run()
            self._session = Session(run or start_run(), Options(), owned=run is None)
        session = self._session
        if session is None:
            return
        with session.guarded("log the params of a Lightning training"):
            session.log_params(_params(trainer, pl_module))
        with session.guarded("log the layers of a module"):
            session.run.log_text(f"{pl_module}\n", "model_summary.txt")
        with session.guarded("describe the training data"):
            if session.keeps_datasets:
                for context, loaders in (
                    ("training", trainer.train_dataloader),
                    ("validation", trainer.val_dataloaders),
                ):
                    log_loader(session, first_of(loaders), context)

    @quietly("log an epoch")
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002
        """Log every metric that the module logged in this epoch."""
        epoch = trainer.current_epoch
        if self._session is not None and epoch % self._every == 0:
            self._session.log_metrics(numbers(trainer.callback_metrics), epoch)

    @quietly("log the end of a Lightning training")
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002
        """Log where it stopped and what was best; end a run of our own."""
        session = self._session
        if session is None:
            return
        for one in trainer.callbacks:
            if type(one).__name__ == "EarlyStopping":
                stopped = getattr(one, "stopped_epoch", 0)
                best = numbers({"best_score": getattr(one, "best_score", None)})
                session.log_metrics({**best, **({"stopped_epoch": stopped} if stopped else {})})
        if self._own:
            session.close(None)
            self._session = None

    @quietly("end the run of a Lightning training")
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:  # noqa: ANN401, ARG002
        """End a run of our own as failed."""
        if self._own and self._session is not None:
            self._session.close(exception)
            self._session = None


def _params(trainer: Any, module: Any) -> dict[str, Any]:  # noqa: ANN401 - Lightning's
    found = {name: getattr(trainer, name, None) for name in _TRAINER_PARAMS}
    found["model"] = type(module).__name__
    found["trainable_weights"] = sum(
        weight.numel() for weight in module.parameters() if weight.requires_grad
    )
    for optimizer in trainer.optimizers[:1]:
        found["optimizer_name"] = type(optimizer).__name__
        for key, value in optimizer.defaults.items():
            found[f"optimizer_{key}"] = value
    found |= stopping_params(trainer.callbacks)
    return found | flat(getattr(module, "hparams", {}))


class LooplineLogger(_Logger):  # type: ignore[misc] # known at run time only
    """A Lightning logger: what modules ``log`` by step goes to a run.

    Args:
        run_name: Name of a new run; one is made up when None.
        run_id: Go on with this run instead.
        run: Log to this run; by default to the active run, else to a new one that ends with the
            training.
        tags: Tags of a new run.
        prefix: Put before each metric's name, with a ``-`` between.
        log_model: Log the best checkpoint at the end; ``"all"``: each when it is written.

    Example:
        >>> Trainer(logger=loopline.lightning.LooplineLogger("night shift"))
    """

    def __init__(
        self,
        run_name: str | None = None,
        *,
        run_id: str | None = None,
        run: ActiveRun | None = None,
        tags: Mapping[str, Any] | None = None,
        prefix: str = "",
        log_model: bool | str = False,
    ) -> None:
        super().__init__()
        self._run_name = run_name
        self._run_id = run_id
        self._run = run
        self._tags = dict(tags or {})
        self._prefix = prefix
        self._log_model = log_model
        self._owned = False
        self._best = ""
        self._logged: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Take the run along by its id: another process goes on with it."""
        run_id = self._run.run_id if self._run is not None else self._run_id
        return {**self.__dict__, "_run": None, "_run_id": run_id, "_owned": False}

    @property
    def experiment(self) -> ActiveRun:
        """The run, found or started at first use."""
        if self._run is None:
            active = active_run()
            if self._run_id is None and self._run_name is None and active is not None:
                self._run = active
            else:
                run = start_run(
                    run_id=self._run_id,
                    run_name=self._run_name,
                    tags=self._tags,
                    nested=active is not None,
                )
                leave(run)  # Known to this logger alone: what a program logs elsewhere stays there.
                self._run, self._owned = run, True
        return self._run

    @property
    def name(self) -> str | None:
        """Name of the experiment; None before the first use."""
        return self._run.experiment_name if self._run is not None else None

    @property
    def version(self) -> str | None:
        """Id of the run; None before the first use."""
        return self._run.run_id if self._run is not None else self._run_id

    @_on_rank_zero  # type: ignore[untyped-decorator] # Lightning's
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Log params; nested ones get keys such as ``optimizer/lr``."""
        self._log_params(params)

    @quietly("log hyperparameters")
    def _log_params(self, params: Any) -> None:  # noqa: ANN401 - a dict or a namespace
        Session(self.experiment, Options(), owned=False).log_params(flat(params))

    @_on_rank_zero  # type: ignore[untyped-decorator] # Lightning's
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log a point of several metrics."""
        self._log_numbers(metrics, step)

    @quietly("log metrics")
    def _log_numbers(self, metrics: Mapping[str, Any], step: int | None) -> None:
        prefix = f"{self._prefix}-" if self._prefix else ""
        named = {f"{prefix}{name}": value for name, value in numbers(metrics).items()}
        Session(self.experiment, Options(), owned=False).log_metrics(named, step)

    @quietly("log a checkpoint")
    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:  # noqa: ANN401 - Lightning's
        """Note the best checkpoint; log each one when that was asked for."""
        self._best = checkpoint_callback.best_model_path
        if self._log_model == "all":
            self._log_checkpoint(getattr(checkpoint_callback, "last_model_path", "") or self._best)
            self._log_checkpoint(self._best)

    def _log_checkpoint(self, path: str) -> None:
        if path and path not in self._logged:
            self._logged.add(path)
            self.experiment.log_artifact(path, "checkpoints")

    @_on_rank_zero  # type: ignore[untyped-decorator] # Lightning's
    def finalize(self, status: str) -> None:
        """Log the best checkpoint when asked for, and end a run of our own."""
        self._finish(status)

    @quietly("end the run of a Lightning training")
    def _finish(self, status: str) -> None:
        if self._run is None:
            return
        if self._log_model:
            self._log_checkpoint(self._best)
        if self._owned:
            self._run.end("FINISHED" if status in {"success", "finished"} else "FAILED")
