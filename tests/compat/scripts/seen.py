"""What a script shows of its run: plain values that do not depend on who ran it."""

from __future__ import annotations

import datetime
import json
from typing import Any

__all__ = ["SEEN", "refused", "show", "told"]

#: What the script that runs has shown so far, by name.
SEEN: dict[str, Any] = {}
#: Errors that the engine makes; whose words they are is no matter.
WORDED = {"TRIGGERFAIL", "FlowError"}


def told(value: Any) -> Any:
    """Put a value into words of JSON: a state by its class and its result."""
    if hasattr(value, "is_finished") and hasattr(value, "result"):
        name = type(value).__name__
        if hasattr(value, "map_states") and value.is_mapped():
            return {name: [told(child) for child in value.map_states]}
        return {name: told(value.result)}
    if type(value).__name__.startswith("TaskTimeout"):
        return "it took too long"
    if isinstance(value, BaseException) and type(value).__name__ in WORDED:
        return type(value).__name__
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, dict):
        return {str(key): told(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [told(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((told(item) for item in value), key=str)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return repr(value)


def show(name: str, final: Any = None, /, **tasks: Any) -> None:
    """Show a value; or how a run ended, and each of the tasks that are named."""
    if tasks:
        ended = {"run": type(final).__name__}
        shown = {key: told(final.result[task]) for key, task in tasks.items()}
        SEEN[name] = {**ended, **shown}
    else:
        SEEN[name] = told(final)
    print(json.dumps({name: SEEN[name]}))


def refused(name: str, call: Any) -> None:
    """Show what class of error a call raises, or that it raises none."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - which one is the question
        kind = "ValueError" if isinstance(error, ValueError) else type(error).__name__
        kind = "TypeError" if isinstance(error, TypeError) else kind
        SEEN[name] = f"refused: {kind}"
    else:
        SEEN[name] = "taken"
    print(json.dumps({name: SEEN[name]}))
