"""Preprocessing: functions and pipelines that make a model's inputs, recorded with the run.

A function is marked once; from then on each run in which it is called knows its name and the
hash of its source:

::

    @loopline.preprocessing
    def clean_trips(trips): ...

    loopline.find_runs("preprocessing.function = 'clean_trips'")
    loopline.find_runs(f"preprocessing.digest = '{loopline.preprocessing_digest(clean_trips)}'")
    loopline.find_runs("preprocessing.step.StandardScaler.with_mean = 'False'")

Pipelines and models are recorded by ``log_preprocessing``, and by themselves when the model is
logged.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from loopline.errors import InvalidInputError
from loopline.records.preprocessing import Preprocessing
from loopline.rules.preprocessing import attributes_of, variants
from loopline.rules.redaction import HIDDEN, Redactor
from loopline.rules.secrets import is_secret, secrets_in
from loopline.tracking.active import active_run
from loopline.tracking.sources import function_of, source_digest, source_text
from loopline.tracking.steps import find_functions, find_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.records.preprocessing import PreprocessingStep
    from loopline.tracking.run import ActiveRun

__all__ = [
    "describe",
    "log_preprocessing",
    "preprocessing",
    "preprocessing_digest",
    "record_found_in",
    "record_into",
]

F = TypeVar("F", bound="Callable[..., Any]")

#: All that was recorded for a run, with sources and long values.
ARTIFACT = "loopline/preprocessing.json"


def preprocessing(function: F) -> F:
    """Mark a function as preprocessing: each run in which it is called records it.

    It behaves as before; in a run the first call costs well under a millisecond, each further
    one a look into a set.

    Example:
        >>> @loopline.preprocessing
        ... def clean_trips(trips):
        ...     return trips[trips["fare_amount"] > 0]

    Raises:
        InvalidInputError: It is no function written in Python.
    """
    if function_of(function) is None:
        msg = (
            f"@loopline.preprocessing marks a Python function, not {type(function).__name__}. "
            "Pass pipelines and models to loopline.log_preprocessing(...)."
        )
        raise InvalidInputError(msg)
    # Only `function` is in the wrappers, so that they travel by value as the function does.
    marked: Callable[..., Any]
    if inspect.iscoroutinefunction(function):

        async def marked(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the function's own
            _note_call(function)
            return await function(*args, **kwargs)

    else:

        def marked(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the function's own
            _note_call(function)
            return function(*args, **kwargs)

    return cast("F", functools.wraps(function)(marked))


#: Functions that were called in each run.
_called: weakref.WeakKeyDictionary[ActiveRun, set[Any]] = weakref.WeakKeyDictionary()


def _note_call(function: Any) -> None:  # noqa: ANN401 - a function
    run = active_run()
    if run is None:
        return
    called = _called.setdefault(run, set())
    if function not in called:
        called.add(function)
        record_into(run, function)


def log_preprocessing(preprocessing: Any) -> Preprocessing:  # noqa: ANN401 - any kind of it
    """Record what made the inputs with the active run, starting one when there is none.

    Args:
        preprocessing: A function (marked or not), a scikit-learn pipeline, transformer or model,
            or a Keras model or preprocessing layer.

    Returns:
        What was recorded; its ``digest`` finds the runs that used the same.

    Raises:
        InvalidInputError: There is no preprocessing in it.
    """
    from loopline.tracking.fluent import start_run

    return record_into(active_run() or start_run(), preprocessing)


def preprocessing_digest(preprocessing: Any) -> str:  # noqa: ANN401 - any kind of it
    """Tell the digest that ``preprocessing.digest`` is compared with in a search.

    Raises:
        InvalidInputError: There is no preprocessing in it.
    """
    return describe(preprocessing).digest


def describe(thing: Any) -> Preprocessing:  # noqa: ANN401 - any kind of it
    """Describe preprocessing as a record.

    Raises:
        InvalidInputError: There is none in it.
    """
    function = function_of(thing)
    if function is not None:
        return Preprocessing(
            name=function.__qualname__,
            digest=source_digest(function),
            module=function.__module__ or "",
            source=source_text(function),
        )
    steps = find_steps(thing)
    if not steps:
        msg = (
            f"There is no preprocessing in this {type(thing).__name__}. Give a function, a "
            "scikit-learn pipeline or transformer, or a Keras model with preprocessing layers."
        )
        raise InvalidInputError(msg)
    return Preprocessing(
        name=type(thing).__qualname__,
        digest=_digest_of(steps),
        module=type(thing).__module__,
        steps=steps,
    )


def _digest_of(steps: list[PreprocessingStep]) -> str:
    """Hash classes and parameters in order; what the steps are called is not what they do."""
    told = [[step.kind, sorted(step.params.items()), step.digest] for step in steps]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


class _Recorded:
    """What a run has recorded already: pieces by digest and name, and the values of each key."""

    def __init__(self) -> None:
        self.pieces: dict[tuple[str, str], Preprocessing] = {}
        self.values: dict[str, list[str]] = {}

    def tags_of(self, found: Preprocessing) -> dict[str, str]:
        """Place the attributes of a piece among the keys that hold their values."""
        tags = {}
        for name, value in attributes_of(found):
            keys = variants(name)
            values = self.values.setdefault(keys[0], [])
            if value not in values and len(values) < len(keys):
                tags[keys[len(values)]] = value
                values.append(value)
        return tags


_recorded: weakref.WeakKeyDictionary[ActiveRun, _Recorded] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def record_into(run: ActiveRun, thing: Any) -> Preprocessing:  # noqa: ANN401 - any kind of it
    """Record preprocessing with a run, once.

    Raises:
        InvalidInputError: There is none in it.
    """
    found = _redacted(describe(thing))
    with _lock:
        recorded = _recorded.setdefault(run, _Recorded())
        key = (found.name, found.digest)
        if key in recorded.pieces:
            return found
        recorded.pieces[key] = found
        tags = recorded.tags_of(found)
        pieces = list(recorded.pieces.values())
    run.set_tags(tags)
    run.log_text(msgspec.json.format(msgspec.json.encode(pieces), indent=2).decode(), ARTIFACT)
    for function in find_functions(thing):
        record_into(run, function)
    return found


def record_found_in(run: ActiveRun, model: Any) -> Preprocessing | None:  # noqa: ANN401 - any model
    """Record the preprocessing in a model that is being logged, if there is any.

    A model is worth more than the words about it: what cannot be described is warned of.
    """
    try:
        return record_into(run, model) if find_steps(model) else None
    except Exception as error:  # noqa: BLE001 - a user's own steps may raise anything
        warnings.warn(
            f"The preprocessing in this {type(model).__name__} could not be recorded: "
            f"{type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def _redacted(found: Preprocessing) -> Preprocessing:
    """Hide secrets in sources and parameters."""
    hide = Redactor(secrets_in(os.environ))
    steps = [
        msgspec.structs.replace(
            step,
            params={
                name: HIDDEN if is_secret(name, value) else hide.text(value)
                for name, value in step.params.items()
            },
        )
        for step in found.steps
    ]
    source = hide.text(found.source, is_code=True)
    return msgspec.structs.replace(found, source=source, steps=steps)


def _begin_anew() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_begin_anew)
