"""The Hugging Face Trainer callback: arguments, logged metrics, early stopping, the model.

This module imports transformers; ``loopline.transformers`` imports it when it is used.
"""

from __future__ import annotations

import dataclasses
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.integrations.guard import quietly
from loopline.integrations.libraries import require
from loopline.integrations.options import Options
from loopline.integrations.session import Session
from loopline.integrations.torch_content import numbers
from loopline.tracking.active import active_run
from loopline.tracking.fluent import start_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.tracking.run import ActiveRun

__all__ = ["LooplineCallback", "log_folder_of", "register"]

_trainer: Any = require(
    "transformers.trainer_callback", extra="transformers", purpose="A Trainer callback"
)
_Callback: Any = _trainer.TrainerCallback

#: Arguments that are params whatever their value; of the others, those that differ from default.
_ALWAYS = (
    *("gradient_accumulation_steps", "learning_rate", "lr_scheduler_type", "max_steps"),
    *("num_train_epochs", "optim", "per_device_train_batch_size", "seed", "weight_decay"),
)
#: Arguments that tell nothing about the training: places, names and secrets.
_NEVER = ("hub_token", "logging_dir", "output_dir", "push_to_hub_token", "report_to", "run_name")


class LooplineCallback(_Callback):  # type: ignore[misc] # known at run time only
    """Logs a training to the active run, or to a run of its own when none is active.

    ``loopline.transformers.autolog()`` adds it to every trainer by itself;
    ``TrainingArguments(report_to="loopline")`` does too, once this class was imported.

    Args:
        run: Where to log; the active run when None.

    Example:
        >>> Trainer(model, callbacks=[loopline.transformers.LooplineCallback()])
    """

    def __init__(self, run: ActiveRun | None = None) -> None:
        super().__init__()
        self._given = run
        self._session: Session | None = None
        self._own = True

    def watch(self, session: Session) -> None:
        """Take what automatic logging knows: where to log."""
        self._session, self._own = session, False

    @quietly("log the beginning of a Trainer's training")
    def on_train_begin(
        self,
        args: Any,  # noqa: ANN401 - TrainingArguments
        state: Any,  # noqa: ANN401 - TrainerState
        control: Any,  # noqa: ANN401, ARG002 - TrainerControl
        model: Any = None,  # noqa: ANN401 - a module
        **_: Any,  # noqa: ANN401 - Trainer's
    ) -> None:
        """Find the run; log arguments and the model's configuration."""
        if not state.is_world_process_zero:
            return
        if self._own:
            run = self._given or active_run()
            self._session = Session(run or start_run(), Options(), owned=run is None)
        session = self._session
        if session is None:
            return
        with session.guarded("log the arguments of a training"):
            session.log_params(_params(args, model))
            # Trainer's own form, in which tokens are masked.
            session.run.log_dict(args.to_dict(), "training_arguments.json")
        config: Any = getattr(model, "config", None)
        with session.guarded("log the model's configuration"):
            if hasattr(config, "to_dict"):
                session.run.log_dict(config.to_dict(), "model_config.json")

    @quietly("log metrics of a training")
    def on_log(
        self,
        args: Any,  # noqa: ANN401, ARG002 - TrainingArguments
        state: Any,  # noqa: ANN401 - TrainerState
        control: Any,  # noqa: ANN401, ARG002 - TrainerControl
        logs: Mapping[str, Any] | None = None,
        **_: Any,  # noqa: ANN401 - Trainer's
    ) -> None:
        """Log what the trainer reports, at its global step."""
        if self._session is not None and state.is_world_process_zero:
            self._session.log_metrics(numbers(logs or {}), state.global_step)

    @quietly("log the end of a Trainer's training")
    def on_train_end(
        self,
        args: Any,  # noqa: ANN401, ARG002 - TrainingArguments
        state: Any,  # noqa: ANN401 - TrainerState
        control: Any,  # noqa: ANN401, ARG002 - TrainerControl
        **_: Any,  # noqa: ANN401 - Trainer's
    ) -> None:
        """Log where it stopped and what was best; end a run of our own."""
        session = self._session
        if session is None:
            return
        found = numbers(
            {
                "best_metric": state.best_metric,
                "best_step": getattr(state, "best_global_step", None),
                "stopped_step": state.global_step,
                "stopped_epoch": state.epoch,
            }
        )
        session.log_metrics(found)
        if self._own:
            session.close(None)
            self._session = None


def _params(args: Any, model: Any) -> dict[str, Any]:  # noqa: ANN401 - the Trainer's
    found: dict[str, Any] = {}
    for field in dataclasses.fields(args):
        value = getattr(args, field.name, None)
        if field.name in _NEVER or not field.init:
            continue
        default = field.default
        if field.name in _ALWAYS or (
            default is not dataclasses.MISSING
            and value != default
            and isinstance(value, (bool, int, float, str))
        ):
            found[field.name] = getattr(value, "value", value)
    config = getattr(model, "config", None)
    found["model_type"] = getattr(config, "model_type", None) or type(model).__name__
    if hasattr(model, "parameters"):
        found["trainable_weights"] = sum(
            weight.numel() for weight in model.parameters() if weight.requires_grad
        )
    return found


def log_folder_of(session: Session, trainer: Any) -> None:  # noqa: ANN401 - a Trainer
    """Log the folder that a trainer saves its model to, without the pickle of its arguments."""
    with tempfile.TemporaryDirectory(prefix="loopline-model-") as parent:
        folder = Path(parent) / "model"
        trainer.save_model(str(folder))
        (folder / "training_args.bin").unlink(missing_ok=True)
        session.run.log_artifacts(folder, "model")


def register() -> None:
    """Have transformers understand ``report_to="loopline"``."""
    known: dict[str, Any] = import_module(
        "transformers.integrations.integration_utils"
    ).INTEGRATION_TO_CALLBACK
    known["loopline"] = LooplineCallback


register()
