"""PyTorch Lightning: ``Trainer.fit`` is logged by a callback that joins the trainer's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.integrations.integration import Integration
from loopline.integrations.options import Options
from loopline.integrations.session import Watch, watched
from loopline.integrations.torch_content import log_weights

if TYPE_CHECKING:
    from types import ModuleType

    from loopline.integrations.patches import Patches
    from loopline.integrations.session import Session

__all__ = ["LightningOptions", "autolog", "integration"]


class LightningOptions(Options, frozen=True, kw_only=True):
    """Choices of Lightning's automatic logging.

    Attributes:
        log_every_n_epoch: Log metrics of every so many epochs.
        checkpoint: Log the best checkpoint's file as well.
    """

    log_every_n_epoch: int = 1
    checkpoint: bool = False


def autolog(
    *,
    log_every_n_epoch: int = 1,
    log_models: bool = True,
    log_datasets: bool = True,
    checkpoint: bool = False,
    extra_tags: dict[str, Any] | None = None,
    exclusive: bool = False,
    silent: bool = False,
    disable: bool = False,
) -> None:
    """Log every ``Trainer.fit`` from now on; with ``disable=True``, stop and undo the hooks.

    Args:
        log_every_n_epoch: Log metrics of every so many epochs.
        log_models: Log the module's weights as a safetensors file.
        log_datasets: Log tensors held in memory as data versions; hashes every value once.
        checkpoint: Log the best checkpoint's file as well; it holds a pickle.
        extra_tags: Set on every run that is logged to.
        exclusive: Do not log into runs that the program started itself.
        silent: No warnings about what could not be logged.
        disable: Turn it off.

    Example:
        >>> loopline.lightning.autolog()
        >>> Trainer(max_epochs=10).fit(fare_network, trips)
    """
    if disable:
        integration.turn_off()
        return
    integration.turn_on(
        LightningOptions(
            log_every_n_epoch=log_every_n_epoch,
            log_models=log_models,
            log_datasets=log_datasets,
            checkpoint=checkpoint,
            extra_tags=extra_tags or {},
            exclusive=exclusive,
            silent=silent,
        )
    )


class Fit(Watch):
    """Around ``Trainer.fit``."""

    _ours: Any = None

    def before(self, session: Session) -> None:
        """Add the callback to the trainer."""
        from loopline.integrations.lightning_callback import LooplineCallback

        trainer: Any = self.subject
        given = [one for one in trainer.callbacks if isinstance(one, LooplineCallback)]
        if given:
            given[0].watch(session)
            return
        options: Any = session.options
        self._ours = LooplineCallback(session.run, log_every_n_epoch=options.log_every_n_epoch)
        self._ours.watch(session, model=self.data.get("model"))
        trainer.callbacks.append(self._ours)

    def call(self) -> Any:  # noqa: ANN401 - None, as Lightning has it
        """Fit, and leave the trainer's callbacks as they were."""
        try:
            return super().call()
        finally:
            callbacks = self.subject.callbacks  # type: ignore[attr-defined]
            if self._ours in callbacks:
                callbacks.remove(self._ours)

    def after(self, session: Session, result: Any) -> None:  # noqa: ANN401, ARG002 - fit's result
        """Log the weights, and the best checkpoint when asked for."""
        trainer: Any = self.subject
        with session.guarded("log the weights"):
            if session.keeps_models and trainer.lightning_module is not None:
                log_weights(session, trainer.lightning_module, "model")
        with session.guarded("log the best checkpoint"):
            best = getattr(trainer.checkpoint_callback, "best_model_path", "")
            if best and session.options.checkpoint:  # type: ignore[attr-defined]
                session.run.log_artifact(best, "checkpoints")


def _install(module: ModuleType, patches: Patches) -> None:
    library: Any = module
    patches.wrap(library.Trainer, "fit", _around_fit)


def _around_fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    if not args or not integration.is_on or not getattr(args[0], "is_global_zero", True):
        return original(*args, **kwargs)  # Of several processes, one logs.
    return watched(integration, Fit(original, args, kwargs, subject=args[0]))


integration: Integration[LightningOptions] = Integration(
    "lightning", ("lightning.pytorch", "pytorch_lightning"), _install
)
