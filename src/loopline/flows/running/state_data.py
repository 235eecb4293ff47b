"""States as plain data: what JSON can hold, and nothing that would be executed when read."""

from __future__ import annotations

import inspect
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.flows import states
from loopline.flows.running.results import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.flows.states import State

__all__ = ["is_json", "read_state", "write_state"]

#: Attributes beside message, result, context and cached inputs, as the constructors name them.
_TIMES = ("start_time", "cached_result_expiration")
_PLAIN = ("loop_count", "run_count", "cached_parameters", "hashed_inputs", "code", "n_map_states")


def is_json(value: object) -> bool:
    """Tell whether JSON gives a value back as it is: a tuple, or a key that is a number, is not."""
    if value is None or type(value) in {bool, int, str}:
        return True
    if type(value) is float:
        return value == value and abs(value) != float("inf")  # noqa: PLR0124 - not NaN
    if type(value) is list:
        return all(is_json(each) for each in value)
    if type(value) is dict:
        return all(type(key) is str and is_json(each) for key, each in value.items())
    return False


def write_state(state: State) -> dict[str, Any]:
    """Write a state as plain data."""
    data: dict[str, Any] = {"type": type(state).__name__, "message": state.message}
    if not (isinstance(state.stored, Result) and state.is_failed()):
        value = state.stored if isinstance(state, states.Mapped) else state.result
        if value is not None and is_json(value):
            data["result"] = value
    if state.context:
        data["context"] = {key: value for key, value in state.context.items() if is_json(value)}
    if state.cached_inputs:
        data["cached_inputs"] = {
            key: value for key, value in state.cached_inputs.items() if is_json(value)
        }
    for name in _TIMES:
        at = getattr(state, name, None)
        if at is not None:
            data[name] = at.isoformat()
    for name in _PLAIN:
        value = getattr(state, name, None)
        if value is not None and is_json(value):
            data[name] = value
    inner = getattr(state, "state", None)
    if inner is not None:
        data["state"] = write_state(inner)
    if state.map_states:
        data["map_states"] = [write_state(each) for each in state.map_states]
    return data


def read_state(blob: Mapping[str, Any] | str) -> State:
    """Read what ``write_state`` wrote.

    Raises:
        InvalidInputError: It is no state.
    """
    try:
        data = dict(json.loads(blob) if isinstance(blob, str) else blob)
        kind = _kind(data.pop("type", None))
        for name in _TIMES:
            if data.get(name) is not None:
                data[name] = datetime.fromisoformat(data[name])
        if "state" in data:
            data["state"] = read_state(data["state"])
        if "map_states" in data:
            data["map_states"] = [read_state(each) for each in data["map_states"]]
        known = inspect.signature(kind).parameters
        return kind(**{key: value for key, value in data.items() if key in known})
    except (TypeError, ValueError, AttributeError) as error:
        msg = f"This is no state: {error}. Give what State.serialize() returned."
        raise InvalidInputError(msg) from None


def _kind(name: object) -> type[State]:
    kinds: dict[str, type[State]] = {
        kind.__name__: kind for kind in states.State.children(include_self=True)
    }
    if name not in kinds:
        msg = f"there is no kind of state {name!r}; it is one of {', '.join(sorted(kinds))}"
        raise ValueError(msg)
    return kinds[str(name)]
