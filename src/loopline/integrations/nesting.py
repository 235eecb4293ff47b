"""Which fits are a part of a greater one: inside another that is logged, or called by a library."""

from __future__ import annotations

import multiprocessing
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from loopline.integrations.session import Session

__all__ = ["current_session", "in_pool_process", "is_part_of_another", "trial_depth"]

#: The fit being logged here; whatever else is fitted meanwhile belongs to it.
current_session: ContextVar[Session | None] = ContextVar("loopline_autolog_session", default=None)
#: Above 0 inside a trial of a study: there, fits keep no models and no data of their own.
trial_depth: ContextVar[int] = ContextVar("loopline_autolog_trials", default=0)


#: Modules whose frames pass one fit on: the last step of a pipeline, the refit of a search. The
#: candidates and folds of a search are fitted from other modules.
_PASSING_ON = (
    "sklearn.base",
    "sklearn.compose._target",
    "sklearn.model_selection._search",
    "sklearn.pipeline",
)


def is_part_of_another(subject: object) -> bool:
    """Whether a fit that begins now belongs to a greater one.

    A context variable alone cannot tell: joblib's threads begin without the context of the
    thread that feeds them. What they do have is scikit-learn's own frames on their stack.

    Args:
        subject: What is being fitted; frames of its own methods do not count. Another library's
            estimator at the end of a pipeline, or as the best of a search, is one for itself:
            where scikit-learn's fits are logged too, the whole has a session already.
    """
    return current_session.get() is not None or in_pool_process() or _called_by_sklearn(subject)


def in_pool_process() -> bool:
    """Whether this is a worker of joblib's process pool, where a fit is a part by its nature."""
    return multiprocessing.current_process().name.startswith("LokyProcess")


def _called_by_sklearn(subject: object) -> bool:
    if "sklearn" not in sys.modules:
        return False
    foreign = not type(subject).__module__.startswith("sklearn.")
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the one way to see who calls
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if (
            isinstance(module, str)
            and module.startswith("sklearn.")
            and not (foreign and module in _PASSING_ON)
            and _whose(frame, module) is not subject
        ):
            return True
        frame = frame.f_back
    return False


def _whose(frame: FrameType, module: str) -> Any:  # noqa: ANN401 - any estimator
    """Tell whose method runs in a frame of scikit-learn's; None for a function."""
    if module == "sklearn.base" and frame.f_code.co_name == "wrapper":
        return frame.f_locals.get("estimator")  # Around every `fit` of scikit-learn's own.
    return frame.f_locals.get("self")
