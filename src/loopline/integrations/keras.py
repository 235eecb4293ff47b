"""Keras 3, on any backend: every ``fit`` is logged by a callback that joins the user's own."""

from __future__ import annotations

import functools
import io
import weakref
from typing import TYPE_CHECKING, Any

from loopline.integrations.calls import with_argument
from loopline.integrations.content import EXAMPLE_ROWS, first_rows, signature_of
from loopline.integrations.guard import guarded
from loopline.integrations.integration import Integration
from loopline.integrations.nesting import is_part_of_another
from loopline.integrations.options import Options
from loopline.integrations.session import Watch, watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from loopline.integrations.patches import Patches
    from loopline.integrations.session import Session
    from loopline.models.schema import Signature
    from loopline.tracking.run import ActiveRun

__all__ = ["KerasOptions", "autolog", "integration"]

#: The run of each model that was fitted here, for an evaluation that comes later.
_runs: weakref.WeakKeyDictionary[Any, ActiveRun] = weakref.WeakKeyDictionary()


class KerasOptions(Options, frozen=True, kw_only=True):
    """Choices of Keras's automatic logging.

    Attributes:
        log_every_n_steps: Also log every so many batches, as ``batch_<metric>``; None: epochs
            only. Reading a metric makes the program wait for the device.
        log_post_training_metrics: Log what ``evaluate`` says about other data later on.
    """

    log_every_n_steps: int | None = None
    log_post_training_metrics: bool = True


def autolog(  # noqa: PLR0913 - MLflow's names
    *,
    log_every_n_steps: int | None = None,
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    log_post_training_metrics: bool = True,
    registered_model_name: str | None = None,
    extra_tags: dict[str, Any] | None = None,
    exclusive: bool = False,
    silent: bool = False,
    disable: bool = False,
) -> None:
    """Log every Keras ``fit`` from now on; with ``disable=True``, stop and undo the hooks.

    Args:
        log_every_n_steps: Also log every so many batches; None: epochs only.
        log_input_examples: Keep the first rows beside the model.
        log_model_signatures: Write down what the model takes and gives.
        log_models: Log the fitted model, as a ``.keras`` file.
        log_datasets: Log arrays and tables as data versions; hashes every value once.
        log_post_training_metrics: Log what ``evaluate`` says about other data later on.
        registered_model_name: Register each logged model as the next version of this one.
        extra_tags: Set on every run that is logged to.
        exclusive: Do not log into runs that the program started itself.
        silent: No warnings about what could not be logged.
        disable: Turn it off.

    Example:
        >>> loopline.keras.autolog()
        >>> model.fit(trips, fares, validation_split=0.2, epochs=10)
    """
    if disable:
        integration.turn_off()
        return
    integration.turn_on(
        KerasOptions(
            log_every_n_steps=log_every_n_steps,
            log_input_examples=log_input_examples,
            log_model_signatures=log_model_signatures,
            log_models=log_models,
            log_datasets=log_datasets,
            log_post_training_metrics=log_post_training_metrics,
            registered_model_name=registered_model_name,
            extra_tags=extra_tags or {},
            exclusive=exclusive,
            silent=silent,
        )
    )


class Fit(Watch):
    """Around ``Model.fit``."""

    _undo: Callable[[], None] | None = None

    def before(self, session: Session) -> None:
        """Add the callback; log the data."""
        from loopline.integrations.keras_callback import LooplineCallback

        options: Any = session.options
        given = self.data.get("callbacks")
        theirs = [one for one in _listed(given) if isinstance(one, LooplineCallback)]
        if theirs:
            theirs[0].watch(self.data)
        else:
            ours = LooplineCallback(session.run, log_every_n_steps=options.log_every_n_steps)
            ours.watch(self.data, session)
            self._add(given, ours)
        if session.keeps_datasets:
            session.log_data(self.data.get("x"), self.data.get("y"), context="training")
            validation = self.data.get("validation_data")
            if isinstance(validation, (list, tuple)) and len(validation) > 1:
                session.log_data(*validation[:2], context="validation")

    def _add(self, given: Any, ours: Any) -> None:  # noqa: ANN401 - what `callbacks` takes
        """Pass our callback along, last of all, in a list of our own."""
        from importlib import import_module

        container: Any = import_module("keras").callbacks.CallbackList
        if isinstance(given, container):  # The user's own container, ready made.
            ours.set_model(self.subject)
            ours.set_params(getattr(given, "params", None))
            given.callbacks.append(ours)
            self._undo = functools.partial(given.callbacks.remove, ours)
            return
        self.args, self.kwargs = with_argument(
            self.original, self.args, self.kwargs, "callbacks", [*_listed(given), ours]
        )

    def call(self) -> Any:  # noqa: ANN401 - a History
        """Fit, and leave the user's container of callbacks as it was."""
        try:
            return super().call()
        finally:
            if self._undo is not None:
                self._undo()

    def after(self, session: Session, result: Any) -> None:  # noqa: ANN401, ARG002 - a History
        """Log the model."""
        model: Any = self.subject
        _runs[model] = session.run
        if not session.keeps_models:
            return
        with session.guarded("log the model"):
            from loopline.models.keras import log_model

            options: Any = session.options
            features = self.data.get("x")
            log_model(
                model,
                "model",
                signature=_signature(model, features) if options.log_model_signatures else None,
                input_example=first_rows(features, EXAMPLE_ROWS)
                if options.log_input_examples
                else None,
                registered_model_name=options.registered_model_name,
            )


def _listed(callbacks: Any) -> list[Any]:  # noqa: ANN401 - what `callbacks` takes
    if callbacks is None:
        return []
    if isinstance(callbacks, (list, tuple)):
        return list(callbacks)
    return list(getattr(callbacks, "callbacks", [callbacks]))


def _signature(model: Any, features: Any) -> Signature | None:  # noqa: ANN401 - any data
    """Tell a signature: by the shapes the model knows, or by asking it about the first rows.

    Asking compiles the model anew for prediction, which takes a second; hence the shapes first.
    """
    from loopline.models.schema import Schema, Signature, Tensor
    from loopline.models.signature import is_table

    try:
        inputs, outputs = list(model.inputs), list(model.outputs)
    except (AttributeError, TypeError, ValueError):
        inputs, outputs = [], []
    if is_table(features) or not inputs or not outputs:
        return signature_of(features, lambda rows: model.predict(rows, verbose=0))

    def schema(tensors: list[Any]) -> Schema:
        return Schema(
            tensors=tuple(
                Tensor(
                    name=tensor.name if len(tensors) > 1 else None,
                    dtype=str(tensor.dtype),
                    shape=tuple(-1 if size is None else int(size) for size in tensor.shape),
                )
                for tensor in tensors
            )
        )

    return Signature(inputs=schema(inputs), outputs=schema(outputs))


def describe(model: Any) -> str:  # noqa: ANN401 - a Keras model
    """Write the model's summary as text."""
    text = io.StringIO()
    model.summary(print_fn=lambda line, **_: text.write(f"{line}\n"), line_length=100)
    return text.getvalue()


def _install(module: ModuleType, patches: Patches) -> None:
    model: Any = module.Model
    patches.wrap(model, "fit", _around_fit)
    patches.wrap(model, "evaluate", _around_evaluate)


def _around_fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    if not args or not integration.is_on:
        return original(*args, **kwargs)
    return watched(integration, Fit(original, args, kwargs, subject=args[0]))


def _around_evaluate(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    result = original(*args, **kwargs)
    options = integration.options
    if options is None or not options.log_post_training_metrics or not args:
        return result
    with guarded("log an evaluation", silent=options.silent):
        model = args[0]
        run = _runs.get(model)
        if run is not None and not is_part_of_another(model):
            named = result if isinstance(result, dict) else model.get_metrics_result()
            for name, value in named.items():
                run.log_metric(f"evaluation_{name}", float(value))
    return result


integration: Integration[KerasOptions] = Integration("keras", ("keras",), _install)
