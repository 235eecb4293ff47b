"""LightGBM: ``train`` and the scikit-learn interface are logged by LightGBM's own callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.integrations.boosting import (
    BoostingOptions,
    EstimatorFit,
    log_importance,
    log_stop,
    metric_key,
)
from loopline.integrations.calls import bound, with_argument
from loopline.integrations.guard import quietly
from loopline.integrations.integration import Integration
from loopline.integrations.nesting import current_session
from loopline.integrations.session import Watch, watched
from loopline.tracking.active import active_run
from loopline.tracking.fluent import start_run

if TYPE_CHECKING:
    from types import ModuleType

    from loopline.integrations.patches import Patches
    from loopline.integrations.session import Session
    from loopline.tracking.run import ActiveRun

__all__ = ["LooplineCallback", "autolog", "integration"]


def autolog(  # noqa: PLR0913 - MLflow's names
    *,
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    log_every_n_iterations: int = 1,
    registered_model_name: str | None = None,
    extra_tags: dict[str, Any] | None = None,
    exclusive: bool = False,
    silent: bool = False,
    disable: bool = False,
) -> None:
    """Log every LightGBM training from now on; with ``disable=True``, stop and undo the hooks.

    Args:
        log_input_examples: Keep the first rows beside the model (scikit-learn interface).
        log_model_signatures: Infer what the model takes and gives (scikit-learn interface).
        log_models: Log the trained model: a booster as LightGBM's own text.
        log_datasets: Log the data as data versions; hashes every value once.
        log_every_n_iterations: Log scores of every so many boosting iterations.
        registered_model_name: Register each logged model as the next version of this one.
        extra_tags: Set on every run that is logged to.
        exclusive: Do not log into runs that the program started itself.
        silent: No warnings about what could not be logged.
        disable: Turn it off.

    Example:
        >>> loopline.lightgbm.autolog()
        >>> lightgbm.train({"num_leaves": 15}, trips, valid_sets=[later_trips])
    """
    if disable:
        integration.turn_off()
        return
    integration.turn_on(
        BoostingOptions(
            log_input_examples=log_input_examples,
            log_model_signatures=log_model_signatures,
            log_models=log_models,
            log_datasets=log_datasets,
            log_every_n_iterations=log_every_n_iterations,
            registered_model_name=registered_model_name,
            extra_tags=extra_tags or {},
            exclusive=exclusive,
            silent=silent,
        )
    )


class LooplineCallback:
    """Logs a training to the active run; starts one, and leaves it open, when none is active.

    ``loopline.lightgbm.autolog()`` adds it to every training by itself. LightGBM tells a
    callback nothing about the end of a training, hence the open run.

    Args:
        run: Where to log; the active run when None.
        log_every_n_iterations: Log scores of every so many boosting iterations.

    Example:
        >>> with loopline.start_run():
        ...     lightgbm.train(params, trips, valid_sets=[later_trips],
        ...                    callbacks=[loopline.lightgbm.LooplineCallback()])
    """

    #: LightGBM's way of ordering: after an iteration, before early stopping (30) ends it all.
    order = 15
    before_iteration = False

    def __init__(self, run: ActiveRun | None = None, *, log_every_n_iterations: int = 1) -> None:
        self._run = run
        self._every = max(1, log_every_n_iterations)
        self._keys: dict[tuple[str, str], str] = {}
        self.iterations = 0

    @quietly("log an iteration")
    def __call__(self, env: Any) -> None:  # noqa: ANN401 - LightGBM's CallbackEnv
        """Log the score of each metric on each data set."""
        self.iterations = env.iteration + 1
        if env.iteration % self._every:
            return
        run = self._run or active_run() or start_run()
        for data, metric, value, *_ in env.evaluation_result_list or ():
            key = self._keys.get((data, metric))
            if key is None:
                key = self._keys[data, metric] = metric_key(data, metric)
            run.log_metric(key, value, env.iteration)


class Training(Watch):
    """Around ``lightgbm.train``."""

    _callback: LooplineCallback | None = None

    def before(self, session: Session) -> None:
        """Log params and the data; add the callback."""
        data = self.data
        params = {
            key: value for key, value in (data.get("params") or {}).items() if not callable(value)
        }
        session.log_params({**params, "num_boost_round": data.get("num_boost_round")})
        if session.keeps_datasets:
            with session.guarded("describe the training data"):
                _log_data(session, data)
        self._callback = LooplineCallback(
            session.run,
            log_every_n_iterations=session.options.log_every_n_iterations,  # type: ignore[attr-defined]
        )
        self.args, self.kwargs = with_callback(
            self.original, self.args, self.kwargs, self._callback
        )

    def after(self, session: Session, result: Any) -> None:  # noqa: ANN401 - a booster
        """Log where it stopped, importances, and the model."""
        with session.guarded("log where the training stopped"):
            rounds = self._callback.iterations if self._callback is not None else 0
            _log_stop(session, rounds or result.current_iteration(), result)
        with session.guarded("log feature importances"):
            log_importance(session, result)
        with session.guarded("log the model"):
            if session.keeps_models:
                from loopline.models.lightgbm import log_model

                log_model(
                    result, "model", registered_model_name=session.options.registered_model_name
                )


class Fit(EstimatorFit):
    """Around ``fit`` of ``LGBMRegressor`` and its like."""

    @staticmethod
    def booster(estimator: Any) -> Any:  # noqa: ANN401 - an estimator, a booster
        """Give the booster of a fitted estimator."""
        return estimator.booster_

    @staticmethod
    def log_model(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as log_model has them
        """Log a model."""
        from loopline.models.lightgbm import log_model

        return log_model(*args, **kwargs)

    def after(self, session: Session, result: Any) -> None:  # noqa: ANN401 - fit's result
        """Log where it stopped, then what every estimator has."""
        with session.guarded("log where the training stopped"):
            booster = self.booster(self.subject)
            _log_stop(
                session, session.notes.get("iterations") or booster.current_iteration(), booster
            )
        super().after(session, result)


def with_callback(
    original: Any,  # noqa: ANN401 - LightGBM's `train`
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    callback: LooplineCallback,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Add our callback to a call of ``train``, unless the user has given one."""
    given = list(bound(original, args, kwargs).get("callbacks") or ())
    if any(isinstance(one, LooplineCallback) for one in given):
        return args, kwargs
    return with_argument(original, args, kwargs, "callbacks", [*given, callback])


def _log_stop(session: Session, rounds: int, booster: Any) -> None:  # noqa: ANN401 - a booster
    """Log the end; LightGBM counts the best iteration from 1, and 0 means it did not watch."""
    best = booster.best_iteration
    scores = [score for of_data in booster.best_score.values() for score in of_data.values()]
    log_stop(
        session,
        rounds=rounds,
        best=best - 1 if best and best > 0 else None,
        score=scores[0] if len(scores) == 1 else None,
    )


def _log_data(session: Session, data: dict[str, Any]) -> None:
    """Describe LightGBM's data sets, which still hold the raw data before the training."""
    train = data.get("train_set")
    session.log_data(
        getattr(train, "data", None), getattr(train, "label", None), context="training"
    )
    sets = data.get("valid_sets") or ()
    for one in sets if isinstance(sets, (list, tuple)) else [sets]:
        if one is not train:
            session.log_data(
                getattr(one, "data", None), getattr(one, "label", None), context="validation"
            )


def _install(module: ModuleType, patches: Patches) -> None:
    library: Any = module
    train = library.train
    patches.wrap(library, "train", _around_train)
    patches.set(library.engine, "train", library.train)
    # The estimators have a name of their own for it.
    if library.sklearn.train is train:
        patches.set(library.sklearn, "train", library.train)
    for name in ("LGBMModel", "LGBMRegressor", "LGBMClassifier", "LGBMRanker"):
        kind = getattr(library.sklearn, name, None)
        if kind is not None and "fit" in vars(kind):
            patches.wrap(kind, "fit", _around_fit)


def _around_train(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    options = integration.options
    if options is None:
        return original(*args, **kwargs)
    session = current_session.get()
    if session is not None and session.serves(integration.name):
        callback = LooplineCallback(
            session.run, log_every_n_iterations=options.log_every_n_iterations
        )
        with session.guarded("watch the iterations"):
            args, kwargs = with_callback(original, args, kwargs, callback)
        result = original(*args, **kwargs)
        session.notes["iterations"] = callback.iterations
        return result
    return watched(integration, Training(original, args, kwargs, name="lightgbm.train"))


def _around_fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    if not args or not integration.is_on:
        return original(*args, **kwargs)
    return watched(integration, Fit(original, args, kwargs, subject=args[0]))


integration: Integration[BoostingOptions] = Integration("lightgbm", ("lightgbm",), _install)
