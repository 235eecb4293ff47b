"""One fit being logged: into the user's run, into a child of it, or into a run of its own.

- No run is active: the fit gets a run, which ends with it.
- A run is active: the first fit in it logs into it, under plain keys. Every further fit gets a
  child run, so that no param, metric or model of one fit overwrites another's.
- The fit is a part of a greater one (a search, a pipeline, cross-validation): nothing is logged.
"""

from __future__ import annotations

import functools
import re
import threading
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.integrations.calls import bound
from loopline.integrations.content import data_version
from loopline.integrations.guard import guarded, report
from loopline.integrations.nesting import current_session, is_part_of_another, trial_depth
from loopline.rules.names import MAX_PARAM_VALUE
from loopline.tracking.active import active_run, leave
from loopline.tracking.fluent import start_run
from loopline.tracking.run import ending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from loopline.integrations.integration import Integration
    from loopline.integrations.options import Options
    from loopline.records.tracking import Dataset
    from loopline.tracking.run import ActiveRun

__all__ = ["Session", "Watch", "clean_key", "watched"]

_claimed: set[str] = set()
_lock = threading.Lock()
_UNCLEAN = re.compile(r"[^\w\-. :/]")
_SLASHES = re.compile(r"/{2,}")


class Session:
    """What a fit logs to.

    Attributes:
        run: The run.
        options: What was chosen for the library.
        owned: Whether the run began with the fit, and so ends with it.
        notes: What one hook tells another that runs inside it.
    """

    def __init__(self, run: ActiveRun, options: Options, *, owned: bool, library: str = "") -> None:
        self.run = run
        self.options = options
        self.owned = owned
        self.notes: dict[str, Any] = {}
        self._library = library

    def serves(self, library: str) -> bool:
        """Whether this is a fit of a library itself, whose inner functions may be watched."""
        return self._library == library

    @property
    def keeps_models(self) -> bool:
        """Whether the fitted model is to be logged; not for each trial of a study."""
        return self.options.log_models and not trial_depth.get()

    @property
    def keeps_datasets(self) -> bool:
        """Whether the data are to be described; not for each trial of a study."""
        return self.options.log_datasets and not trial_depth.get()

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log params; what is too long for one is kept whole in a file.

        A key that has another value already (a param that the user logged by hand) keeps that
        value, with a warning.
        """
        texts = {clean_key(key): str(value) for key, value in params.items()}
        too_long = {key: text for key, text in texts.items() if len(text) > MAX_PARAM_VALUE}
        kept = {key: text for key, text in texts.items() if key not in too_long}
        try:
            self.run.log_params(kept)
        except InvalidInputError:
            refused = [key for key, text in kept.items() if not self._takes(key, text)]
            report(
                f"Run {self.run.name!r} has other values of params {', '.join(refused)}; these "
                "are kept. Start a nested run around the fit to log its own.",
                silent=self.options.silent,
            )
        if too_long:
            self.run.log_dict(too_long, "autolog/long_params.json")

    def _takes(self, key: str, text: str) -> bool:
        try:
            self.run.log_param(key, text)
        except InvalidInputError:
            return False
        return True

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log a point of several metrics; what is no number is left out."""
        for key, value in metrics.items():
            try:
                self.run.log_metric(clean_key(key), value, step)
            except InvalidInputError:
                continue

    def log_history(self, key: str, values: Iterable[Any]) -> None:
        """Log a whole history of a metric, one value a step, counted from 0."""
        for step, value in enumerate(values):
            self.run.log_metric(clean_key(key), value, step)

    def log_data(
        self,
        features: Any,  # noqa: ANN401 - any data
        targets: Any = None,  # noqa: ANN401 - any data
        *,
        context: str,
        name: str = "",
    ) -> None:
        """Log features, and targets, as data versions of their own.

        Apart, so that each is found by the data themselves, whatever they were used with.
        """
        with self.guarded(f"describe the {context} data"):
            for part, default in ((features, f"{context} data"), (targets, f"{context} targets")):
                if part is not None:
                    self.log_dataset(data_version(part, name=name or default), context)

    def log_dataset(self, dataset: Dataset | None, context: str) -> None:
        """Log a data version, if there is one."""
        if dataset is not None:
            self.run.log_input(dataset, context)

    def guarded(self, doing: str) -> Any:  # noqa: ANN401 - a context manager
        """Guard a step of the work; see ``guard.guarded``."""
        return guarded(doing, silent=self.options.silent)

    def close(self, error: BaseException | None) -> None:
        """End the run if it is the fit's own, as failed when the fit raised."""
        if self.owned:
            leave(self.run)
            self.run.end(*ending(None if error is None else type(error), error))


class Watch:
    """What an integration does around one call; made anew for each.

    Attributes:
        original: The library's function.
        args: Positional arguments; ``before`` may replace them.
        kwargs: Keyword arguments; ``before`` may replace them.
        name: Name of a child run, when the fit gets one.
        subject: What is being fitted.
    """

    def __init__(
        self,
        original: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        subject: object = None,
        name: str = "",
    ) -> None:
        self.original = original
        self.args = args
        self.kwargs = kwargs
        self._given = args, kwargs
        self.subject = subject
        self.name = name or type(subject).__name__

    @functools.cached_property
    def data(self) -> dict[str, Any]:
        """The user's own arguments by name, with defaults."""
        return bound(self.original, *self._given)

    def call(self) -> Any:  # noqa: ANN401 - the original's result
        """Call the library."""
        return self.original(*self.args, **self.kwargs)

    def before(self, session: Session) -> None:
        """Log what is known beforehand; add callbacks to the arguments."""

    def after(self, session: Session, result: Any) -> None:  # noqa: ANN401 - the original's result
        """Log what came of it."""


def watched(integration: Integration[Any], watch: Watch) -> Any:  # noqa: ANN401 - the original's result
    """Make a call of a library, and log it as a fit where it is one.

    Whatever the library returns or raises comes through untouched.
    """
    options = integration.options
    if options is None or is_part_of_another(watch.subject):
        return watch.call()
    session = None
    with guarded("start a run for the fit", silent=options.silent):
        session = _begin(integration.name, options, watch.name)
    if session is None:
        return watch.call()
    token = current_session.set(session)
    try:
        with session.guarded(f"log what {watch.name} is fitted with"):
            watch.before(session)
        result = watch.call()
        with session.guarded(f"log what came of fitting {watch.name}"):
            watch.after(session, result)
    except BaseException as error:
        with session.guarded("end the run of the fit"):
            session.close(error)
        raise
    finally:
        current_session.reset(token)
    with session.guarded("end the run of the fit"):
        session.close(None)
    return result


def _begin(library: str, options: Options, name: str) -> Session | None:
    """Find or start the run of a fit; None when it must not be logged."""
    tags = {"mlflow.autologging": library, **options.extra_tags}
    active = active_run()
    if active is None:
        return Session(start_run(tags=tags), options, owned=True, library=library)
    if options.exclusive:
        return None
    with _lock:
        is_first = active.run_id not in _claimed
        _claimed.add(active.run_id)
    if is_first:
        active.set_tags(tags)
        return Session(active, options, owned=False, library=library)
    child = start_run(run_name=name, nested=True, tags=tags)
    return Session(child, options, owned=True, library=library)


def clean_key(key: object) -> str:
    """Turn a library's name of a param or metric into a key, such as ``ndcg_at_5``."""
    text = _SLASHES.sub("/", _UNCLEAN.sub("_", str(key).replace("@", "_at_"))).strip("/")
    return text[:250] or "_"
