"""Hugging Face Trainer: ``train`` is logged by a callback that joins the trainer's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.integrations.integration import Integration
from loopline.integrations.options import Options
from loopline.integrations.session import Watch, watched
from loopline.integrations.torch_content import log_loader

if TYPE_CHECKING:
    from types import ModuleType

    from loopline.integrations.patches import Patches
    from loopline.integrations.session import Session

__all__ = ["autolog", "integration"]


def autolog(
    *,
    log_models: bool = False,
    log_datasets: bool = True,
    extra_tags: dict[str, Any] | None = None,
    exclusive: bool = False,
    silent: bool = False,
    disable: bool = False,
) -> None:
    """Log every ``Trainer.train`` from now on; with ``disable=True``, stop and undo the hooks.

    While it is on, ``TrainingArguments(report_to="loopline")`` is understood as well.

    Args:
        log_models: Log the trained model's folder: weights as safetensors, configuration,
            tokenizer. Off by default, for such models are large.
        log_datasets: Log Hugging Face datasets by their fingerprint, and tensors in memory.
        extra_tags: Set on every run that is logged to.
        exclusive: Do not log into runs that the program started itself.
        silent: No warnings about what could not be logged.
        disable: Turn it off.

    Example:
        >>> loopline.transformers.autolog()
        >>> Trainer(fare_model, training_arguments, train_dataset=trips).train()
    """
    if disable:
        integration.turn_off()
        return
    integration.turn_on(
        Options(
            log_models=log_models,
            log_datasets=log_datasets,
            extra_tags=extra_tags or {},
            exclusive=exclusive,
            silent=silent,
        )
    )


class Training(Watch):
    """Around ``Trainer.train``."""

    _ours: Any = None

    def before(self, session: Session) -> None:
        """Add the callback to the trainer; log the data."""
        from loopline.integrations.transformers_callback import LooplineCallback

        trainer: Any = self.subject
        given = [
            one for one in trainer.callback_handler.callbacks if isinstance(one, LooplineCallback)
        ]
        if given:
            given[0].watch(session)
        else:
            self._ours = LooplineCallback()
            self._ours.watch(session)
            trainer.add_callback(self._ours)
        with session.guarded("describe the training data"):
            if session.keeps_datasets:
                for context, data in (
                    ("training", trainer.train_dataset),
                    ("evaluation", trainer.eval_dataset),
                ):
                    log_loader(session, data, context)

    def call(self) -> Any:  # noqa: ANN401 - a TrainOutput
        """Train, and leave the trainer's callbacks as they were."""
        try:
            return super().call()
        finally:
            if self._ours is not None:
                self.subject.remove_callback(self._ours)  # type: ignore[attr-defined]

    def after(self, session: Session, result: Any) -> None:  # noqa: ANN401 - a TrainOutput
        """Log the summary that ``train`` returns, and the model when asked for."""
        from loopline.integrations.transformers_callback import log_folder_of

        with session.guarded("log the summary of a training"):
            session.log_metrics({"train_loss": result.training_loss, **result.metrics})
        with session.guarded("log the model"):
            if session.keeps_models:
                log_folder_of(session, self.subject)


def _install(module: ModuleType, patches: Patches) -> None:
    library: Any = module
    patches.wrap(library.Trainer, "train", _around_train)
    from loopline.integrations.transformers_callback import register

    register()


def _around_train(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    if not args or not integration.is_on or not args[0].is_world_process_zero():
        return original(*args, **kwargs)  # Of several processes, one logs.
    return watched(integration, Training(original, args, kwargs, subject=args[0]))


integration: Integration[Options] = Integration("transformers", ("transformers.trainer",), _install)
