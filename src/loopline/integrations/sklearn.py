"""scikit-learn: every fit that a program itself asks for is logged, and none inside it.

A search, a pipeline, a meta estimator or ``cross_validate`` is one run, however many fits it
makes, in whichever threads or processes.
"""

from __future__ import annotations

import copy
import functools
import inspect
from typing import TYPE_CHECKING, Any, Literal

from loopline.integrations.integration import Integration
from loopline.integrations.options import Options
from loopline.integrations.session import watched
from loopline.integrations.sklearn_fit import CrossValidation, Fit, log_score

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from loopline.integrations.patches import Around, Patches

__all__ = ["SklearnOptions", "autolog", "integration"]

#: What only prepares data is part of a model, and no model.
_PREPARING = (
    "sklearn.compose._column_transformer",
    "sklearn.feature_extraction",
    "sklearn.feature_selection",
    "sklearn.impute",
    "sklearn.preprocessing",
    "sklearn.random_projection",
)


class SklearnOptions(Options, frozen=True, kw_only=True):
    """Choices of scikit-learn's automatic logging.

    Attributes:
        log_training_metrics: Ask the fitted model about its own training data, and log errors
            and scores. Costs one ``predict`` over all rows.
        log_post_training_metrics: Log what ``score`` says about other data later on.
        serialization_format: ``"skops"``, safe to load, or ``"cloudpickle"``.
        pos_label: The positive class of a binary classifier's metrics; None: weighted averages.
    """

    log_training_metrics: bool = True
    log_post_training_metrics: bool = True
    serialization_format: Literal["skops", "cloudpickle"] = "skops"
    pos_label: Any = None


def autolog(  # noqa: PLR0913 - MLflow's names
    *,
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    log_training_metrics: bool = True,
    log_post_training_metrics: bool = True,
    serialization_format: Literal["skops", "cloudpickle"] = "skops",
    registered_model_name: str | None = None,
    pos_label: Any = None,  # noqa: ANN401 - any class label
    extra_tags: dict[str, Any] | None = None,
    exclusive: bool = False,
    silent: bool = False,
    disable: bool = False,
) -> None:
    """Log every scikit-learn fit from now on; with ``disable=True``, stop and undo the hooks.

    Args:
        log_input_examples: Keep the first rows beside the model.
        log_model_signatures: Infer what the model takes and gives from the first rows.
        log_models: Log the fitted model.
        log_datasets: Log the data as data versions; hashes every value once.
        log_training_metrics: Log errors and scores on the training data.
        log_post_training_metrics: Log what ``score`` says about other data later on.
        serialization_format: ``"skops"``, safe to load, or ``"cloudpickle"``.
        registered_model_name: Register each logged model as the next version of this one.
        pos_label: The positive class of a binary classifier's metrics; None: weighted averages.
        extra_tags: Set on every run that is logged to.
        exclusive: Do not log into runs that the program started itself.
        silent: No warnings about what could not be logged.
        disable: Turn it off.

    Example:
        >>> loopline.sklearn.autolog()
        >>> HistGradientBoostingRegressor().fit(trips, fares)
    """
    if disable:
        integration.turn_off()
        return
    integration.turn_on(
        SklearnOptions(
            log_input_examples=log_input_examples,
            log_model_signatures=log_model_signatures,
            log_models=log_models,
            log_datasets=log_datasets,
            log_training_metrics=log_training_metrics,
            log_post_training_metrics=log_post_training_metrics,
            serialization_format=serialization_format,
            registered_model_name=registered_model_name,
            pos_label=pos_label,
            extra_tags=extra_tags or {},
            exclusive=exclusive,
            silent=silent,
        )
    )


def _install(module: ModuleType, patches: Patches) -> None:
    if module.__name__ == "sklearn.base":
        _install_into_estimators(module, patches)
    else:
        _install_into_validation(module, patches)


def _install_into_estimators(module: ModuleType, patches: Patches) -> None:
    """Hook into the estimators that exist, and into those whose modules come later."""
    base: Any = module.BaseEstimator
    for kind in _subclasses(base):
        _hook(kind, patches)
    for mixin in (module.ClassifierMixin, module.RegressorMixin):
        patches.wrap(mixin, "score", _around_score)

    own = vars(base).get("__init_subclass__")

    def hook_into_it(cls: type, /, **kwargs: Any) -> None:  # noqa: ANN401 - the class's own
        if own is None:
            super(base, cls).__init_subclass__(**kwargs)
        else:
            own.__get__(None, cls)(**kwargs)
        if integration.is_on:
            _hook(cls, patches)

    patches.set(base, "__init_subclass__", classmethod(hook_into_it))


def _subclasses(kind: type) -> Iterator[type]:
    seen: set[type] = set()
    waiting = [kind]
    while waiting:
        below: type
        for below in waiting.pop().__subclasses__():
            if below not in seen:
                seen.add(below)
                waiting.append(below)
                yield below


def _hook(kind: type, patches: Patches) -> None:
    """Hook into the methods that a class defines itself.

    Only scikit-learn's own classes: they are pickled by name. A class of the user's script is
    sent to worker processes by value, and would take our hooks along.
    """
    module = kind.__module__
    if not module.startswith("sklearn.") or module.startswith(_PREPARING):
        return
    for name, around in _METHODS.items():
        found = vars(kind).get(name)
        if inspect.isfunction(found):
            patches.wrap(kind, name, around)
        elif hasattr(found, "fn") and hasattr(found, "check"):
            _wrap_conditional(kind, name, around, patches)


def _wrap_conditional(kind: type, name: str, around: Around, patches: Patches) -> None:
    """Hook into a method that only some instances have, made with ``available_if``."""
    found: Any = vars(kind)[name]
    original = found.fn

    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the original's
        return around(original, args, kwargs)

    conditional = copy.copy(found)
    conditional.fn = replacement
    patches.set(kind, name, conditional)


def _around_fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    if not args or not integration.is_on:
        return original(*args, **kwargs)
    return watched(integration, Fit(original, args, kwargs, subject=args[0]))


def _around_score(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    score = original(*args, **kwargs)
    options = integration.options
    if options is not None and options.log_post_training_metrics and args:
        log_score(original, args, kwargs, score, silent=options.silent)
    return score


def _install_into_validation(module: ModuleType, patches: Patches) -> None:
    """Hook into ``cross_validate``, where users find it and where ``cross_val_score`` does."""
    from importlib import import_module

    validation = import_module("sklearn.model_selection._validation")
    patches.wrap(validation, "cross_validate", _around_validation)
    patches.set(module, "cross_validate", validation.cross_validate)


def _around_validation(
    original: Any,  # noqa: ANN401 - a function of scikit-learn
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:  # noqa: ANN401 - what it returns
    return watched(integration, CrossValidation(original, args, kwargs, name="cross_validate"))


#: Methods that are hooked into, and what happens around them.
_METHODS: dict[str, Around] = {
    "fit": _around_fit,
    "fit_transform": _around_fit,
    "fit_predict": _around_fit,
    "score": _around_score,
}

integration: Integration[SklearnOptions] = Integration(
    "sklearn", ("sklearn.base", "sklearn.model_selection"), _install
)
