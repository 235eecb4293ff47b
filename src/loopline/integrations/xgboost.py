"""XGBoost: ``train`` and the scikit-learn interface are logged by XGBoost's own callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.integrations.boosting import BoostingOptions, EstimatorFit, log_importance
from loopline.integrations.calls import bound, with_argument
from loopline.integrations.integration import Integration
from loopline.integrations.nesting import current_session
from loopline.integrations.session import Watch, watched

if TYPE_CHECKING:
    from types import ModuleType

    from loopline.integrations.patches import Patches
    from loopline.integrations.session import Session
    from loopline.records.tracking import Dataset

__all__ = ["autolog", "integration"]

_ESTIMATORS = ("XGBModel", "XGBClassifier", "XGBRFClassifier", "XGBRFRegressor", "XGBRanker")


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
    """Log every XGBoost training from now on; with ``disable=True``, stop and undo the hooks.

    Args:
        log_input_examples: Keep the first rows beside the model (scikit-learn interface).
        log_model_signatures: Infer what the model takes and gives (scikit-learn interface).
        log_models: Log the trained model, in XGBoost's own UBJSON format.
        log_datasets: Log the data as data versions; hashes every value once.
        log_every_n_iterations: Log scores of every so many boosting iterations.
        registered_model_name: Register each logged model as the next version of this one.
        extra_tags: Set on every run that is logged to.
        exclusive: Do not log into runs that the program started itself.
        silent: No warnings about what could not be logged.
        disable: Turn it off.

    Example:
        >>> loopline.xgboost.autolog()
        >>> xgboost.train({"max_depth": 4}, trips, evals=[(later_trips, "validation")])
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


class Training(Watch):
    """Around ``xgboost.train``."""

    def before(self, session: Session) -> None:
        """Log params and the data; add the callback."""
        data = self.data
        session.log_params({**(data.get("params") or {}), **_settings(data)})
        if session.keeps_datasets:
            with session.guarded("describe the training data"):
                session.log_dataset(_version(data.get("dtrain"), "training data"), "training")
                for matrix, name in data.get("evals") or ():
                    if matrix is not data.get("dtrain"):
                        session.log_dataset(_version(matrix, name), "validation")
        self.args, self.kwargs = with_callback(self.original, self.args, self.kwargs, session)

    def after(self, session: Session, result: Any) -> None:  # noqa: ANN401 - a booster
        """Log importances and the model."""
        with session.guarded("log feature importances"):
            log_importance(session, result)
        with session.guarded("log the model"):
            if session.keeps_models:
                from loopline.models.xgboost import log_model

                log_model(
                    result, "model", registered_model_name=session.options.registered_model_name
                )


class Fit(EstimatorFit):
    """Around ``fit`` of ``XGBRegressor`` and its like."""

    @staticmethod
    def booster(estimator: Any) -> Any:  # noqa: ANN401 - an estimator, a booster
        """Give the booster of a fitted estimator."""
        return estimator.get_booster()

    @staticmethod
    def log_model(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as log_model has them
        """Log a model."""
        from loopline.models.xgboost import log_model

        return log_model(*args, **kwargs)


def with_callback(
    original: Any,  # noqa: ANN401 - XGBoost's `train`
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    session: Session,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Add our callback to a call of ``train``, unless the user has given one."""
    from loopline.integrations.xgboost_callback import LooplineCallback

    given = list(bound(original, args, kwargs).get("callbacks") or ())
    if any(isinstance(one, LooplineCallback) for one in given):
        return args, kwargs
    options: Any = session.options
    ours = LooplineCallback(session.run, log_every_n_iterations=options.log_every_n_iterations)
    return with_argument(original, args, kwargs, "callbacks", [*given, ours])


def _settings(data: dict[str, Any]) -> dict[str, Any]:
    """Pick the arguments of ``train`` beside the params that change what comes out."""
    names = ("num_boost_round", "early_stopping_rounds", "maximize")
    return {name: data[name] for name in names if data.get(name) is not None}


def _version(matrix: Any, name: str) -> Dataset | None:  # noqa: ANN401 - a DMatrix
    """Describe a DMatrix: its values, its labels, and the names of its features."""
    from hashlib import sha256

    from loopline.records.tracking import Dataset

    if not hasattr(matrix, "get_data"):
        return None
    values, labels = matrix.get_data(), matrix.get_label()
    hasher = sha256(f"{matrix.num_row()}\0{matrix.num_col()}\0{matrix.feature_names}".encode())
    for part in (values.data, values.indices, values.indptr, labels):
        hasher.update(part.tobytes())
    names = matrix.feature_names or [f"f{number}" for number in range(matrix.num_col())]
    kinds = matrix.feature_types or ["float"] * len(names)
    return Dataset(
        name=name,
        digest=hasher.hexdigest(),
        rows=matrix.num_row(),
        columns=dict(zip(names, kinds, strict=True)),
    )


def _install(module: ModuleType, patches: Patches) -> None:
    library: Any = module
    train = library.train
    patches.wrap(library, "train", _around_train)
    patches.set(library.training, "train", library.train)
    # The estimators have a name of their own for it.
    if library.sklearn.train is train:
        patches.set(library.sklearn, "train", library.train)
    for name in _ESTIMATORS:
        kind = getattr(library.sklearn, name, None)
        if kind is not None and "fit" in vars(kind):
            patches.wrap(kind, "fit", _around_fit)


def _around_train(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    if not integration.is_on:
        return original(*args, **kwargs)
    session = current_session.get()
    if session is not None and session.serves(integration.name):
        with session.guarded("watch the iterations"):
            args, kwargs = with_callback(original, args, kwargs, session)
        return original(*args, **kwargs)
    return watched(integration, Training(original, args, kwargs, name="xgboost.train"))


def _around_fit(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    if not args or not integration.is_on:
        return original(*args, **kwargs)
    return watched(integration, Fit(original, args, kwargs, subject=args[0]))


integration: Integration[BoostingOptions] = Integration("xgboost", ("xgboost",), _install)
