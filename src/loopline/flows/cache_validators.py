"""Cache validators: whether a result that was made before may be used again.

A validator gets the ``Cached`` state of that result, the task's inputs by name and the flow's
parameters, and returns whether to use it. One's own functions may look at ``state.result``,
``cached_parameters``, ``cached_result_expiration`` and ``hashed_inputs``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from loopline.flows.running.plain import plain
from loopline.flows.running.results import dump
from loopline.flows.states import Cached

__all__ = [
    "Validator",
    "all_inputs",
    "all_parameters",
    "code_and_inputs",
    "digest",
    "duration_only",
    "never_use",
    "partial_inputs_only",
    "partial_parameters_only",
]

Validator = Callable[[Cached, Mapping[str, Any], Mapping[str, Any]], bool]


def digest(value: object) -> str:
    """Return the SHA-256 of a value's pickle; of what has none: empty, which equals nothing."""
    try:
        if isinstance(value, set | frozenset):
            value = sorted(value, key=repr)  # The order of sets is another in each process.
        return sha256(dump(value)).hexdigest()
    except Exception:  # noqa: BLE001 - whatever pickling raises: it is merely not used again
        return ""


def never_use(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:  # noqa: ARG001 - a validator's
    """Never use it."""
    return False


def duration_only(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:  # noqa: ARG001 - a validator's
    """Use it until it is too old."""
    until = state.cached_result_expiration
    return until is None or until > datetime.now(UTC)


def all_inputs(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Use it until it is too old, and for the same inputs."""
    return partial_inputs_only(None)(state, inputs, parameters)


def all_parameters(state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Use it until it is too old, and for the same parameters of the flow."""
    return partial_parameters_only(None)(state, inputs, parameters)


def code_and_inputs(
    state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]
) -> bool:
    """Use it until it is too old, for the same inputs, while the task's code is the same."""
    from loopline.flows.context import run_values

    code = run_values.get().get("task_code", "")
    return bool(code) and state.code == code and all_inputs(state, inputs, parameters)


def partial_inputs_only(validate_on: Iterable[str] | None = None) -> Validator:
    """Make a validator that looks at some inputs; at all without ``validate_on``."""
    names = None if validate_on is None else list(validate_on)

    def partial_inputs(
        state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> bool:
        if not duration_only(state, inputs, parameters):
            return False
        before = state.hashed_inputs
        if names is None and set(before) != set(inputs):
            return False
        wanted = inputs if names is None else names
        return all(
            name in inputs and before.get(name) and before[name] == digest(inputs[name])
            for name in wanted
        )

    return partial_inputs


def partial_parameters_only(validate_on: Iterable[str] | None = None) -> Validator:
    """Make a validator that looks at some parameters; at all without ``validate_on``."""
    names = None if validate_on is None else list(validate_on)

    def partial_parameters(
        state: Cached, inputs: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> bool:
        if not duration_only(state, inputs, parameters):
            return False
        before, now = state.cached_parameters or {}, plain(dict(parameters))
        if names is None:
            return bool(before == now)
        return all(before.get(name) == now.get(name) for name in names)

    return partial_parameters
