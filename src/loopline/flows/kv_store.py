"""A small store of named values, for flows that remember something from run to run."""

from __future__ import annotations

import json
from typing import Any

from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.key_values import DeleteKeyValue, FindKeyValues, GetKeyValue, SetKeyValue

__all__ = ["delete_key", "get_key_value", "list_keys", "set_key_value"]


def set_key_value(key: str, value: object) -> str:
    """Set the value of a key; return the key. It is in the store when this returns.

    Raises:
        InvalidInputError: JSON cannot hold the value, or it is longer than 64 KiB.
        BackendUnavailableError: The store cannot be reached.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"The value of {key!r} cannot be kept: {error}. Give what JSON can hold."
        raise InvalidInputError(msg) from None
    get_recorder().call(SetKeyValue(key=key, value=text))
    return key


def get_key_value(key: str) -> Any:  # noqa: ANN401 - JSON-like data
    """Return the value of a key.

    Raises:
        NotFoundError: There is no such key.
    """
    return json.loads(get_recorder().call(GetKeyValue(key=key)).value)


def delete_key(key: str) -> bool:
    """Delete a key; tell whether there was one."""
    try:
        get_recorder().call(DeleteKeyValue(key=key))
    except NotFoundError:
        return False
    return True


def list_keys() -> list[str]:
    """List the keys, at most 10,000, in order."""
    return sorted(pair.key for pair in get_recorder().call(FindKeyValues(limit=10_000)))
