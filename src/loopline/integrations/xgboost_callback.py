"""The XGBoost callback: scores every iteration, early stopping at the end.

This module imports XGBoost; ``loopline.xgboost.LooplineCallback`` imports it when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.integrations.boosting import log_stop, metric_key
from loopline.integrations.guard import quietly
from loopline.integrations.libraries import require
from loopline.integrations.options import Options
from loopline.integrations.session import Session
from loopline.tracking.active import active_run
from loopline.tracking.fluent import start_run

if TYPE_CHECKING:
    from loopline.tracking.run import ActiveRun

__all__ = ["LooplineCallback"]

_xgboost: Any = require("xgboost", extra="xgboost", purpose="An XGBoost callback")
_Callback: Any = _xgboost.callback.TrainingCallback


class LooplineCallback(_Callback):  # type: ignore[misc] # known at run time only
    """Logs a training to the active run, or to a run of its own when none is active.

    ``loopline.xgboost.autolog()`` adds it to every training by itself.

    Args:
        run: Where to log; the active run when None.
        log_every_n_iterations: Log scores of every so many boosting iterations.

    Example:
        >>> xgboost.train(params, trips, evals=[(trips, "train")],
        ...               callbacks=[loopline.xgboost.LooplineCallback()])
    """

    def __init__(self, run: ActiveRun | None = None, *, log_every_n_iterations: int = 1) -> None:
        super().__init__()
        self._given = run
        self._every = max(1, log_every_n_iterations)
        self._session: Session | None = None
        self._keys: dict[tuple[str, str], str] = {}
        self._last = -1

    def before_training(self, model: Any) -> Any:  # noqa: ANN401 - a booster
        """Find the run."""
        self._start()
        return model

    @quietly("find the run of an XGBoost training")
    def _start(self) -> None:
        run = self._given or active_run()
        self._session = Session(run or start_run(), Options(), owned=run is None)
        self._last = -1

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ANN401, ARG002
        """Log the newest score of each metric on each data set; never stop the training."""
        self._last = epoch
        if epoch % self._every == 0:
            self._log(epoch, evals_log)
        return False

    @quietly("log an iteration")
    def _log(self, epoch: int, evals_log: Any) -> None:  # noqa: ANN401 - scores by data and metric
        if self._session is None:
            return
        for data, scores in evals_log.items():
            for metric, values in scores.items():
                key = self._keys.get((data, metric))
                if key is None:
                    key = self._keys[data, metric] = metric_key(data, metric)
                value = values[-1]
                # Cross-validation gives mean and spread.
                self._session.run.log_metric(
                    key, value[0] if isinstance(value, tuple) else value, epoch
                )

    def after_training(self, model: Any) -> Any:  # noqa: ANN401 - a booster
        """Log where it stopped; end a run of our own."""
        self._end(model)
        return model

    @quietly("log the end of an XGBoost training")
    def _end(self, model: Any) -> None:  # noqa: ANN401 - a booster
        session, self._session = self._session, None
        if session is None:
            return
        attributes = model.attributes() if hasattr(model, "attributes") else {}
        best = attributes.get("best_iteration")
        log_stop(
            session,
            rounds=self._last + 1,
            best=None if best is None else int(best),
            score=float(attributes["best_score"]) if "best_score" in attributes else None,
        )
        session.close(None)
