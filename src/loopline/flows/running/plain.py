"""Plain data: values as they can be recorded and shown, whatever they are in Python."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["plain", "writable"]


def plain(value: object) -> Any:  # noqa: ANN401 - JSON-like data
    """Turn a value into data that JSON can hold; what has no such form becomes its ``repr``."""
    try:
        data = msgspec.to_builtins(value, str_keys=True, enc_hook=repr)
        msgspec.json.encode(data)
    except (TypeError, ValueError, RecursionError):  # Such as a dict with objects for keys.
        return repr(value)
    return data


def writable(text: str) -> str:
    """Escape what UTF-8 cannot hold, such as the bytes of an odd file name in a message."""
    return text.encode(errors="backslashreplace").decode()
