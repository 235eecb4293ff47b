"""The cache of results: what tasks with ``cache_for`` made, for any later run to use again.

Entries are kept in the store, beside the results they name, so that they outlive the process.
An entry names a result that an engine pickled; only those who may change flows here can write one.
"""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from loopline.errors import LooplineError
from loopline.flows.cache_validators import all_inputs, code_and_inputs, digest, duration_only
from loopline.flows.context import context
from loopline.flows.running.plain import plain
from loopline.flows.running.results import Result, load_reference, located
from loopline.flows.shipping.sources import describe_function
from loopline.flows.states import Cached
from loopline.records.key_values import FindKeyValues, SetKeyValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopline.flows.cache_validators import Validator
    from loopline.flows.result_types import ResultType
    from loopline.flows.running.recorder import Recorder
    from loopline.flows.task import Task

__all__ = ["Cache"]

_SPACE = "cache"
#: The newest results under a key that a validator is asked about.
_MOST = 100


class _Entry(msgspec.Struct, omit_defaults=True):
    """One result that may be used again."""

    reference: str
    until: datetime | None = None
    inputs: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    code: str = ""


class _Asked(NamedTuple):
    key: str
    inputs: dict[str, str]
    code: str


class Cache:
    """Finds and keeps results; what the store cannot do is said, and stops nothing."""

    def __init__(
        self, recorder: Recorder, parameters: Mapping[str, Any], say: Callable[[str, str], None]
    ) -> None:
        self._recorder = recorder
        self._parameters = parameters
        self._say = say
        self._asked: dict[tuple[str, int], _Asked] = {}
        self._codes: dict[Task, str] = {}

    def find(
        self,
        where: tuple[str, int],
        task: Task,
        key: str,
        arguments: Mapping[str, Any],
        result_type: ResultType | None,
    ) -> tuple[Cached, str] | None:
        """Find a result that the task's validator lets be used, with its reference."""
        inputs = {name: digest(value) for name, value in sorted(arguments.items())}
        code = self._code_of(task)
        of_inputs = sha256(msgspec.json.encode(inputs)).hexdigest()[:24]
        self._asked[where] = _Asked(f"{key}/{of_inputs}/", inputs, code)
        validator = task.cache_validator or duration_only
        exact = validator in {all_inputs, code_and_inputs}
        prefix = f"{key}/{of_inputs}/" if exact else f"{key}/"
        try:
            found = self._recorder.call(FindKeyValues(space=_SPACE, prefix=prefix, limit=_MOST))
            for each in found:
                entry = msgspec.json.decode(each.value, type=_Entry)
                state = Cached(
                    "An earlier result is used again.",
                    Result(load=partial(self._load, entry.reference, result_type)),
                    hashed_inputs=entry.inputs,
                    cached_parameters=entry.parameters,
                    cached_result_expiration=entry.until,
                    code=entry.code,
                )
                if self._is_valid(where[0], validator, state, arguments, code):
                    _ = state.result  # One whose bytes are gone is none.
                    return state, entry.reference
        except (LooplineError, OSError, msgspec.DecodeError) as error:
            self._say(where[0], f"No earlier result can be used: {error}")
        return None

    def _is_valid(
        self,
        slug: str,
        validator: Validator,
        state: Cached,
        arguments: Mapping[str, Any],
        code: str,
    ) -> bool:
        with context(task_code=code, parameters=self._parameters):
            try:
                return validator(state, arguments, self._parameters)
            except LooplineError:
                raise
            except Exception as error:  # noqa: BLE001 - the user's code; it is reported
                self._say(slug, f"Its cache validator raised {error!r}; it runs.")
                return False

    def put(self, where: tuple[str, int], task: Task, reference: str) -> None:
        """Keep a new result for later runs."""
        asked = self._asked.pop(where, None)
        if asked is None or task.cache_for is None:
            return
        parameters = plain(dict(self._parameters))
        entry = _Entry(
            reference, datetime.now(UTC) + task.cache_for, asked.inputs, parameters, asked.code
        )
        of_parameters = sha256(msgspec.json.encode(parameters, order="sorted")).hexdigest()[:24]
        value = msgspec.json.encode(entry).decode()
        try:
            self._recorder.call(
                SetKeyValue(space=_SPACE, key=asked.key + of_parameters, value=value)
            )
        except LooplineError as error:
            self._say(where[0], f"Its result cannot be used again by later runs: {error}")

    def _load(self, reference: str, result_type: ResultType | None) -> object:
        place = located(reference)
        if place is not None and result_type is not None:
            return result_type.read(place[1]).value
        return load_reference(reference, self._recorder.backend.open_blob)

    def _code_of(self, task: Task) -> str:
        if task not in self._codes:
            thing: Any = getattr(task, "fn", type(task))
            thing = inspect.unwrap(thing) if callable(thing) else type(task)
            self._codes[task] = sha256(msgspec.json.encode(describe_function(thing))).hexdigest()
        return self._codes[task]
