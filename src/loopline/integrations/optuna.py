"""Optuna: a study is one run, each of its trials a child of it, and the objective runs inside that.

What the objective logs, by hand or by automatic logging of other libraries, belongs to its
trial. Fits inside a trial log params and metrics, but no models and no data: a study of a
thousand trials would keep a thousand of them.
"""

from __future__ import annotations

import csv
import functools
import io
import threading
from typing import TYPE_CHECKING, Any

from loopline.integrations.calls import with_argument
from loopline.integrations.guard import guarded, quietly
from loopline.integrations.integration import Integration
from loopline.integrations.nesting import current_session, trial_depth
from loopline.integrations.options import Options
from loopline.integrations.session import Session, Watch, watched
from loopline.tracking.active import active_run, leave
from loopline.tracking.fluent import start_run
from loopline.tracking.run import ending

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from loopline.integrations.patches import Patches
    from loopline.tracking.run import ActiveRun

__all__ = ["LooplineCallback", "OptunaOptions", "autolog", "integration"]


class OptunaOptions(Options, frozen=True, kw_only=True):
    """Choices of Optuna's automatic logging.

    Attributes:
        log_trials: Give each trial a child run; else the study has one run and no more.
    """

    log_trials: bool = True


def autolog(
    *,
    log_trials: bool = True,
    extra_tags: dict[str, Any] | None = None,
    exclusive: bool = False,
    silent: bool = False,
    disable: bool = False,
) -> None:
    """Log every Optuna study from now on; with ``disable=True``, stop and undo the hooks.

    Args:
        log_trials: Give each trial a child run; else the study has one run and no more.
        extra_tags: Set on every run that is logged to.
        exclusive: Do not log into runs that the program started itself.
        silent: No warnings about what could not be logged.
        disable: Turn it off.

    Example:
        >>> loopline.optuna.autolog()
        >>> optuna.create_study().optimize(fare_error, n_trials=50)
    """
    if disable:
        integration.turn_off()
        return
    integration.turn_on(
        OptunaOptions(
            log_trials=log_trials,
            extra_tags=extra_tags or {},
            exclusive=exclusive,
            silent=silent,
        )
    )


class LooplineCallback:
    """Logs finished trials: a point of the study's run, and a child run each.

    ``loopline.optuna.autolog()`` adds it to every study by itself, and then the objective
    already runs inside its trial's run.

    Args:
        run: The study's run; the active one when None, or a new one that stays open.
        log_trials: Give each trial a child run.

    Example:
        >>> with loopline.start_run():
        ...     study.optimize(fare_error, callbacks=[loopline.optuna.LooplineCallback()])
    """

    def __init__(self, run: ActiveRun | None = None, *, log_trials: bool = True) -> None:
        # Asked here: Optuna's own threads have no active run.
        self._run = run or active_run()
        self._log_trials = log_trials
        self._open: dict[int, ActiveRun] = {}
        self._lock = threading.Lock()

    def __call__(self, study: Any, trial: Any) -> None:  # noqa: ANN401 - Optuna's
        """Log a trial that has ended, whether it is complete, pruned or failed."""
        with guarded("log a trial"):
            self._log_point(study, trial)
        with guarded("log a trial's run"):
            child = self._open.pop(trial.number, None)
            if child is None and self._log_trials:
                child = self.begin(trial.number)
                leave(child)
                del self._open[trial.number]
            if child is not None:
                _log_trial(child, study, trial)

    def _log_point(self, study: Any, trial: Any) -> None:  # noqa: ANN401 - Optuna's
        """Log a complete trial's values in the study's run, at the trial's number."""
        if trial.state.name != "COMPLETE":
            return
        run = self._study_run()
        names = _value_names(study)
        for name, value in zip(names, trial.values, strict=True):
            run.log_metric(name, value, trial.number)
        if len(names) == 1:
            run.log_metric(f"best_{names[0]}", study.best_value, trial.number)

    def _study_run(self) -> ActiveRun:
        with self._lock:
            if self._run is None:
                self._run = active_run() or start_run()
            return self._run

    def begin(self, number: int) -> ActiveRun:
        """Start the child run of a trial, as the active run of this thread."""
        child = start_run(
            run_name=f"trial {number}",
            nested=True,
            parent_run_id=self._study_run().run_id,
            tags={"mlflow.autologging": "optuna", "optuna.trial": number},
        )
        self._open[number] = child
        return child

    def inside(self, objective: Callable[..., Any]) -> Callable[..., Any]:
        """Have an objective run inside its trial's run."""

        @functools.wraps(objective, updated=())
        def wrapper(trial: Any) -> Any:  # noqa: ANN401 - Optuna's
            child = None
            with guarded("start the run of a trial"):
                child = self.begin(trial.number)
            session = current_session.set(None)
            depth = trial_depth.set(trial_depth.get() + 1)
            try:
                return objective(trial)
            except BaseException as error:
                self._failed(trial.number, child, error)
                raise
            finally:
                trial_depth.reset(depth)
                current_session.reset(session)
                if child is not None:
                    leave(child)

        return wrapper

    @quietly("end the run of a trial")
    def _failed(self, number: int, child: ActiveRun | None, error: BaseException) -> None:
        """End a trial's run as failed; one that was pruned is told of later, by Optuna."""
        if child is not None and type(error).__name__ != "TrialPruned":
            child.end(*ending(type(error), error))
            if not isinstance(error, Exception):
                self._open.pop(number, None)

    def close(self) -> None:
        """End what trials nobody told the end of."""
        while self._open:
            _, child = self._open.popitem()
            child.end("KILLED", "the study ended first")


def _log_trial(child: ActiveRun, study: Any, trial: Any) -> None:  # noqa: ANN401 - Optuna's
    """Log a trial's params and values in its own run, and end that."""
    session = Session(child, Options(), owned=True)
    try:
        session.log_params(trial.params)
        session.log_metrics(dict(zip(_value_names(study), trial.values or (), strict=False)))
        for step, value in sorted(trial.intermediate_values.items()):
            child.log_metric("intermediate_value", value, step)
        child.set_tags({"optuna.state": trial.state.name})
        if trial.user_attrs:
            child.log_dict(trial.user_attrs, "user_attrs.json")
    finally:
        child.end("FAILED" if trial.state.name == "FAIL" else "FINISHED")


class Optimize(Watch):
    """Around ``Study.optimize``."""

    _callback: LooplineCallback | None = None

    def before(self, session: Session) -> None:
        """Log how the study searches; add the callback, and put the objective into its runs."""
        study: Any = self.subject
        data = self.data
        directions = ",".join(direction.name.lower() for direction in study.directions)
        session.log_params(
            {
                "study_name": study.study_name,
                "direction": directions,
                "sampler": type(study.sampler).__name__,
                "pruner": type(study.pruner).__name__,
                **{name: data.get(name) for name in ("n_trials", "timeout", "n_jobs")},
            }
        )
        given = list(data.get("callbacks") or ())
        if any(isinstance(one, LooplineCallback) for one in given):
            return
        options: Any = session.options
        ours = self._callback = LooplineCallback(session.run, log_trials=options.log_trials)
        # First, so that a callback of the user's that raises leaves no run open.
        args, kwargs = with_argument(
            self.original, self.args, self.kwargs, "callbacks", [ours, *given]
        )
        if options.log_trials:
            args, kwargs = with_argument(
                self.original, args, kwargs, "func", ours.inside(data["func"])
            )
        self.args, self.kwargs = args, kwargs

    def call(self) -> Any:  # noqa: ANN401 - None, as Optuna has it
        """Search, and leave no run of a trial open."""
        try:
            return super().call()
        finally:
            if self._callback is not None:
                with guarded("end the runs of trials"):
                    self._callback.close()

    def after(self, session: Session, result: Any) -> None:  # noqa: ANN401, ARG002 - optimize's
        """Log the best trial, how the trials ended, and the table of all of them."""
        study: Any = self.subject
        trials = study.get_trials(deepcopy=False)
        states = [trial.state.name.lower() for trial in trials]
        session.log_metrics({f"trials_{state}": states.count(state) for state in set(states)})
        if len(study.directions) == 1 and "complete" in states:
            best = study.best_trial
            session.log_params({f"best_{name}": value for name, value in best.params.items()})
            session.log_metrics({"best_trial": best.number})
        session.run.log_text(_table(study, trials), "trials.csv")


def _value_names(study: Any) -> list[str]:  # noqa: ANN401 - Optuna's
    named = getattr(study, "metric_names", None)
    if named:
        return list(named)
    count = len(study.directions)
    return ["value"] if count == 1 else [f"value_{number}" for number in range(count)]


def _table(study: Any, trials: list[Any]) -> str:  # noqa: ANN401 - Optuna's
    """Write a line a trial as CSV: how it ended, what it gave, with which params."""
    params = sorted({name for trial in trials for name in trial.params})
    names = _value_names(study)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", "state", *names, "duration_s", *params])
    for trial in trials:
        values = list(trial.values or [None] * len(names))
        duration = trial.duration.total_seconds() if trial.duration is not None else None
        writer.writerow(
            [trial.number, trial.state.name, *values, duration]
            + [trial.params.get(name) for name in params]
        )
    return text.getvalue()


def _install(module: ModuleType, patches: Patches) -> None:
    library: Any = module
    patches.wrap(library.study.Study, "optimize", _around_optimize)


def _around_optimize(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    if not args or not integration.is_on:
        return original(*args, **kwargs)
    watch = Optimize(original, args, kwargs, subject=args[0], name="study")
    return watched(integration, watch)


integration: Integration[OptunaOptions] = Integration("optuna", ("optuna",), _install)
