"""Options of a task that most tasks do not have, so that those without them pay nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.errors import FlowBuildError
from loopline.flows.running.handlers import callback_factory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loopline.flows.cache_validators import Validator
    from loopline.flows.result_types import ResultType
    from loopline.flows.running.handlers import StateHandler
    from loopline.flows.states import State
    from loopline.flows.task import Task
    from loopline.records.flows import StateKind

__all__ = [
    "Delay",
    "Extras",
    "as_delay",
    "as_delta",
    "delays_s",
    "has_options",
    "set_options",
    "with_on_failure",
]

#: How long to wait before each repetition: always as long, a list, or a function of its number.
Delay = timedelta | float | Sequence[timedelta | float] | Callable[[int], timedelta | float]


class Extras(NamedTuple):
    """What an attempt needs to know of a task with options, or that loops or was paused.

    Attributes:
        previous: State it was in before.
        values: What the run context has in it, beside what it has for all.
        result: Where its result is kept; None: where the engine keeps it.
    """

    previous: StateKind
    values: dict[str, Any]
    result: ResultType | None = None


def as_delta(value: Any, what: str) -> timedelta | None:  # noqa: ANN401 - checked here
    """Read a duration; a number is in seconds.

    Raises:
        FlowBuildError: It is none.
    """
    if value is None or isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    msg = f"{what} must be a timedelta or a number of seconds, not {value!r}."
    raise FlowBuildError(msg)


def as_delay(value: Any) -> Any:  # noqa: ANN401 - checked here
    """Read a ``retry_delay``: a duration, a list of them, or a function.

    Raises:
        FlowBuildError: It is none of these.
    """
    if callable(value):
        return value
    if isinstance(value, list | tuple):
        return [as_delta(each, "Each retry_delay") for each in value]
    return as_delta(value, "retry_delay")


def delays_s(delay: Any, count: int) -> list[float]:  # noqa: ANN401 - what as_delay returned
    """Tell the seconds to wait before each of ``count`` repetitions.

    The last of a list holds for all that follow; a function gets the repetition's number,
    counted from 1.
    """
    if delay is None:
        return [0.0] * count
    if callable(delay):
        found = [as_delta(delay(number), "retry_delay") for number in range(1, count + 1)]
    elif isinstance(delay, list):
        found = [delay[min(number, len(delay) - 1)] for number in range(count)]
    else:
        found = [delay] * count
    return [max(each.total_seconds(), 0.0) if each else 0.0 for each in found]


def set_options(  # noqa: PLR0913 - the options Prefect 1 has
    task: Task,
    *,
    cache_for: timedelta | float | None,
    cache_validator: Validator | None,
    cache_key: str | None,
    checkpoint: bool | None,
    result: ResultType | None,
    target: str | Callable[..., str] | None,
    state_handlers: Iterable[StateHandler] | None,
    on_failure: Callable[[Any, State], object] | None,
    retry_jitter: float,
) -> None:
    """Check and set them.

    Raises:
        FlowBuildError: They do not fit together.

    Warns:
        UserWarning: A cache validator is never asked, for nothing is cached.
    """
    if isinstance(state_handlers, Callable):  # type: ignore[arg-type] # a mistake of the caller's
        msg = f"state_handlers of task {task.name!r} must be a list: state_handlers=[handler]."
        raise FlowBuildError(msg)
    if cache_validator is not None and cache_for is None:
        msg = (
            f"Task {task.name!r} has a cache_validator, and nothing that it could be asked about. "
            "Say how long its results hold with cache_for=..., too."
        )
        warnings.warn(msg, UserWarning, stacklevel=4)
    if not 0 <= retry_jitter <= 1:
        msg = f"retry_jitter of task {task.name!r} is {retry_jitter}; give a share from 0 to 1."
        raise FlowBuildError(msg)
    task.cache_for = as_delta(cache_for, "cache_for")
    task.cache_validator = cache_validator
    task.cache_key = cache_key
    task.checkpoint = checkpoint
    task.result = result
    task.target = target
    task.state_handlers = with_on_failure(state_handlers, on_failure)
    task.retry_jitter = retry_jitter


def _has_failed(state: State) -> bool:
    return state.is_failed()


def with_on_failure(
    state_handlers: Iterable[StateHandler] | None,
    on_failure: Callable[[Any, State], object] | None,
) -> list[StateHandler]:
    """Make one list of both."""
    handlers = list(state_handlers or ())
    if on_failure is not None:
        handlers.append(callback_factory(on_failure, check=_has_failed))
    return handlers


def has_options(task: Task) -> bool:
    """Tell whether a task has any of these options."""
    return bool(
        task.state_handlers
        or task.cache_for is not None
        or task.target is not None
        or task.result is not None
        or task.checkpoint is False
        or task.retry_jitter
    )
