"""What is logged of one scikit-learn fit, search or cross-validation."""

from __future__ import annotations

import csv
import io
import sys
import weakref
from typing import TYPE_CHECKING, Any

from loopline.integrations.calls import bound
from loopline.integrations.content import EXAMPLE_ROWS, first_rows, signature_of
from loopline.integrations.guard import guarded
from loopline.integrations.nesting import is_part_of_another
from loopline.integrations.session import Watch, clean_key
from loopline.integrations.sklearn_scores import found_numbers, histories, scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from loopline.integrations.session import Session
    from loopline.tracking.run import ActiveRun

__all__ = ["CrossValidation", "Fit", "log_score"]

#: The run of each estimator that was fitted here, for scores that come later.
_runs: weakref.WeakKeyDictionary[Any, ActiveRun] = weakref.WeakKeyDictionary()


class Fit(Watch):
    """Around ``fit`` of an estimator, a pipeline or a search."""

    def before(self, session: Session) -> None:
        """Log params and the data."""
        estimator: Any = self.subject
        session.run.set_tags(
            {
                "estimator_name": type(estimator).__name__,
                "estimator_class": f"{type(estimator).__module__}.{type(estimator).__name__}",
            }
        )
        session.log_params(estimator.get_params(deep=not _is_search(estimator)))
        if session.keeps_datasets:
            session.log_data(self._features(), self.data.get("y"), context="training")

    def after(self, session: Session, result: Any) -> None:  # noqa: ANN401, ARG002 - fit's result
        """Log what the estimator found, scores on the training data, and the model."""
        estimator: Any = self.subject
        _runs[estimator] = session.run
        with session.guarded("log what a search found"):
            if hasattr(estimator, "cv_results_"):
                _log_search(session, estimator)
        fitted = _fitted_part(estimator)
        with session.guarded("log the iterations"):
            for name, values in histories(fitted).items():
                session.log_history(name, values)
            session.log_metrics(found_numbers(fitted))
        with session.guarded("log scores on the training data"):
            if session.options.log_training_metrics:  # type: ignore[attr-defined]
                session.log_metrics(self._training_scores(session, estimator))
        with session.guarded("log the model"):
            if session.keeps_models:
                self._log_model(session, estimator)

    def _features(self) -> Any:  # noqa: ANN401 - any data
        """Find what the model is fitted on, whatever the estimator calls it."""
        for name in ("X", "raw_documents"):
            if name in self.data:
                return self.data[name]
        return self.args[1] if len(self.args) > 1 else None

    def _training_scores(self, session: Session, estimator: Any) -> dict[str, float]:  # noqa: ANN401
        if hasattr(estimator, "cv_results_") and not hasattr(estimator, "best_estimator_"):
            return {}  # A search that does not refit has no model to ask.
        return scores(
            estimator,
            self._features(),
            self.data.get("y"),
            prefix="training_",
            sample_weight=self.data.get("sample_weight"),
            pos_label=session.options.pos_label,  # type: ignore[attr-defined]
        )

    def _log_model(self, session: Session, estimator: Any) -> None:  # noqa: ANN401 - any estimator
        from loopline.models.sklearn import log_model

        options: Any = session.options
        model = estimator
        if hasattr(estimator, "cv_results_"):
            model = getattr(estimator, "best_estimator_", None)
            if model is None:
                return
        method = "predict" if hasattr(model, "predict") else "transform"
        predict = getattr(model, method, None)
        if predict is None:
            return
        features = self._features()
        signature = None
        if options.log_model_signatures:
            with session.guarded("infer the model's signature"):
                signature = signature_of(features, predict)
        log_model(
            model,
            "model",
            signature=signature,
            input_example=first_rows(features, EXAMPLE_ROWS)
            if options.log_input_examples
            else None,
            serialization_format=options.serialization_format,
            registered_model_name=options.registered_model_name,
            pyfunc_predict_fn=method,
        )


class CrossValidation(Watch):
    """Around ``cross_validate``, which ``cross_val_score`` calls as well."""

    def before(self, session: Session) -> None:
        """Log the estimator's params, how it is validated, and the data."""
        data = self.data
        estimator = data.get("estimator")
        session.run.set_tags(
            {
                "estimator_name": type(estimator).__name__,
                "estimator_class": f"{type(estimator).__module__}.{type(estimator).__name__}",
            }
        )
        if estimator is not None and hasattr(estimator, "get_params"):
            session.log_params(estimator.get_params(deep=True))
        session.log_params({"cv": data.get("cv"), "scoring": data.get("scoring")})
        if session.keeps_datasets:
            session.log_data(data.get("X"), data.get("y"), context="training")

    def after(self, session: Session, result: Any) -> None:  # noqa: ANN401 - cross_validate's
        """Log mean and spread of each score, each fold's as a step, and the table."""
        columns = {
            name: [float(value) for value in values]
            for name, values in result.items()
            if name not in {"estimator", "indices"}
        }
        for name, values in columns.items():
            mean = sum(values) / len(values)
            spread = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
            session.log_metrics({f"mean_{name}": mean, f"std_{name}": spread})
            session.log_history(name, values)
        session.run.log_text(_table(columns), "cv_results.csv")


def log_score(
    original: Any,  # noqa: ANN401 - a method of scikit-learn
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    score: Any,  # noqa: ANN401 - what it returned
    *,
    silent: bool,
) -> None:
    """Log what ``score`` said of other data, in the run that the estimator was fitted in.

    The metric is called after the estimator and the caller's variable, such as
    ``Pipeline_score_test_trips``.
    """
    with guarded("log a score", silent=silent):
        estimator = args[0]
        run = _runs.get(estimator)
        if run is None or is_part_of_another(estimator):
            return
        data = bound(original, args, kwargs).get("X")
        # Two frames of ours lie between the caller and here.
        caller = sys._getframe(3)  # noqa: SLF001 - the caller's names
        name = _variable({**caller.f_globals, **caller.f_locals}, data)
        key = clean_key(f"{type(estimator).__name__}_score_{name}")
        run.log_metric(key, score)


def _variable(names: Mapping[str, Any], value: object) -> str:
    return next((name for name, held in names.items() if held is value), "data")


def _is_search(estimator: object) -> bool:
    return hasattr(estimator, "estimator") and (
        hasattr(estimator, "param_grid") or hasattr(estimator, "param_distributions")
    )


def _fitted_part(estimator: Any) -> Any:  # noqa: ANN401 - any estimator
    """Find what did the learning: the best of a search, the last step of a pipeline."""
    inner = getattr(estimator, "best_estimator_", estimator)
    steps = getattr(inner, "steps", None)
    return steps[-1][1] if steps and hasattr(steps[-1][1], "get_params") else inner


def _log_search(session: Session, search: Any) -> None:  # noqa: ANN401 - a fitted search
    """Log the best candidate as params and metrics, and all candidates as a table."""
    session.run.log_text(_table(search.cv_results_), "cv_results.csv")
    if hasattr(search, "best_params_"):
        session.log_params({f"best_{name}": value for name, value in search.best_params_.items()})
    session.log_metrics(
        {
            "best_cv_score": getattr(search, "best_score_", None),
            "candidates": len(search.cv_results_["params"]),
        }
    )


def _table(columns: Mapping[str, Iterable[Any]]) -> str:
    """Write columns of equal length as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()
