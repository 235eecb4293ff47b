"""What XGBoost and LightGBM have in common: params, scores an iteration, early stopping, model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.integrations.content import EXAMPLE_ROWS, first_rows, signature_of
from loopline.integrations.options import Options
from loopline.integrations.session import Watch, clean_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loopline.integrations.session import Session

__all__ = ["BoostingOptions", "EstimatorFit", "log_importance", "log_stop", "metric_key"]

#: Importances of more features than this are left out: the file would be of no use to anybody.
MAX_FEATURES = 10_000


class BoostingOptions(Options, frozen=True, kw_only=True):
    """Choices of the automatic logging of boosted trees.

    Attributes:
        log_every_n_iterations: Log scores of every so many boosting iterations.
    """

    log_every_n_iterations: int = 1


class EstimatorFit(Watch):
    """Around ``fit`` of an estimator with scikit-learn's interface.

    The library's own ``train``, which it calls, finds this session and adds the callback there.
    """

    #: Logs a model: the flavor's ``log_model``.
    log_model: Callable[..., Any]
    #: Gives the booster of a fitted estimator.
    booster: Callable[[Any], Any]

    def before(self, session: Session) -> None:
        """Log params and the data."""
        estimator: Any = self.subject
        session.run.set_tags(
            {
                "estimator_name": type(estimator).__name__,
                "estimator_class": f"{type(estimator).__module__}.{type(estimator).__name__}",
            }
        )
        session.log_params(
            {
                key: value
                for key, value in estimator.get_params(deep=False).items()
                if value is not None and key != "callbacks"
            }
        )
        if session.keeps_datasets:
            session.log_data(self.data.get("X"), self.data.get("y"), context="training")
            pairs = _pairs(self.data.get("eval_set")) or _pairs(self._newer_pairs())
            for pair in pairs:
                if pair[0] is not self.data.get("X"):
                    session.log_data(*pair, context="validation")

    def _newer_pairs(self) -> Any:  # noqa: ANN401 - what `eval_set` takes
        """Take LightGBM's newer form: features and targets apart, each one or several."""
        features: Any = self.data.get("eval_X")
        targets: Any = self.data.get("eval_y")
        if features is None:
            return None
        return (
            list(zip(features, targets, strict=True))
            if isinstance(features, tuple)
            else (features, targets)
        )

    def after(self, session: Session, result: Any) -> None:  # noqa: ANN401, ARG002 - fit's result
        """Log the score on the training data, importances, and the model."""
        estimator: Any = self.subject
        with session.guarded("log feature importances"):
            log_importance(session, type(self).booster(estimator))
        with session.guarded("log the score on the training data"):
            if hasattr(estimator, "score") and self.data.get("y") is not None:
                score = estimator.score(self.data["X"], self.data["y"])
                session.log_metrics({"training_score": score})
        with session.guarded("log the model"):
            if session.keeps_models:
                options, features = session.options, self.data.get("X")
                type(self).log_model(
                    estimator,
                    "model",
                    signature=signature_of(features, estimator.predict)
                    if options.log_model_signatures
                    else None,
                    input_example=first_rows(features, EXAMPLE_ROWS)
                    if options.log_input_examples
                    else None,
                    registered_model_name=options.registered_model_name,
                )


def _pairs(eval_set: Any) -> list[Any]:  # noqa: ANN401 - what `eval_set` takes
    """Take the (features, targets) pairs of an ``eval_set``, given as a list or as one."""
    if eval_set is None:
        return []
    if isinstance(eval_set, tuple) and len(eval_set) == 2:  # noqa: PLR2004 - a pair
        return [eval_set]
    return [pair for pair in eval_set if len(pair) == 2]  # noqa: PLR2004 - a pair


def metric_key(data: str, metric: str) -> str:
    """Name a metric as MLflow does: ``validation_0-rmse``, ``train-ndcg_at_5``."""
    return clean_key(f"{data}-{metric}")


def log_stop(session: Session, *, rounds: int, best: int | None, score: Any) -> None:  # noqa: ANN401
    """Log how many iterations there were, and which was best.

    Args:
        session: Where to.
        rounds: Iterations made.
        best: The best one, counted from 0; None when nothing watched.
        score: What was watched, at its best.
    """
    session.log_metrics({"stopped_iteration": rounds})
    if best is not None:
        session.log_metrics({"best_iteration": best})
        if score is not None:
            session.log_metrics({"best_score": score})


def log_importance(session: Session, booster: Any) -> None:  # noqa: ANN401 - a booster
    """Log how much each feature was used, and what it gained, as a file."""
    importances = importance(booster)
    if importances and max(map(len, importances.values())) <= MAX_FEATURES:
        session.run.log_dict(importances, "feature_importance.json")


def importance(booster: Any) -> dict[str, dict[str, float]]:  # noqa: ANN401 - a booster
    """Read importances by kind, the greatest first."""
    if hasattr(booster, "get_score"):  # XGBoost
        kinds: Iterable[tuple[str, dict[str, Any]]] = (
            (kind, booster.get_score(importance_type=kind)) for kind in ("weight", "gain")
        )
    else:
        names = booster.feature_name()
        kinds = (
            (kind, dict(zip(names, booster.feature_importance(kind).tolist(), strict=True)))
            for kind in ("split", "gain")
        )
    return {
        kind: dict(sorted(((k, float(v)) for k, v in found.items()), key=lambda item: -item[1]))
        for kind, found in kinds
    }
