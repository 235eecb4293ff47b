"""Turning what people really pass into what is stored: scalars of any library, and texts."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.rules.names import check_key, check_param_value, check_tag_value

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "metric_key",
    "metric_value",
    "param_texts",
    "tag_texts",
    "told",
    "whole_number",
]

#: ``float`` would read these as numbers, and a forgotten conversion would pass unseen.
_TEXTS = (str, bytes, bytearray, memoryview)
#: Characters of a wrong value that an error shows.
SHOWN = 60


def metric_value(key: str, value: Any) -> float:  # noqa: ANN401 - that is its job
    """Turn a metric's value into a float: a Python, NumPy, torch, JAX or TensorFlow scalar.

    Arrays of one element count as scalars, whatever their shape; Decimal, Fraction, bool, NaN
    and infinities are numbers.

    Raises:
        InvalidInputError: It is no number; names the key and the type.
    """
    if type(value) is float:
        return value
    try:
        # A tensor of one element knows how to be a scalar, whatever its library and device.
        item = getattr(value, "item", None)
        number = value if item is None else item()
        if not isinstance(number, _TEXTS):
            # NumPy's masked value is not known, whatever lies under its mask.
            is_masked = hasattr(value, "filled") and bool(value.mask)
            return nan if is_masked else float(number)
    except Exception:  # noqa: BLE001, S110 - any library's own way to say that it is no scalar
        pass
    raise InvalidInputError(
        f"Metric {key!r} must be a single number, not {type(value).__name__} ({told(value)}). "
        "Log one value a call, or a whole history with log_metrics({...: array})."
    )


def metric_key(key: Any) -> str:  # noqa: ANN401
    """Check a metric's key and turn it into plain text: NumPy's strings are a type of their own.

    Raises:
        InvalidInputError: Naming the key and what is allowed.
    """
    check_key("metric", key)
    return str(key)


def param_texts(params: Mapping[str, Any]) -> dict[str, str]:
    """Turn params into text.

    Raises:
        InvalidInputError: A key cannot be, or a text is too long; it is never cut.
    """
    texts = {}
    for key, value in _items("params", params):
        check_key("param", key)
        texts[str(key)] = text = _text("param", key, value)
        check_param_value(key, text)
    return texts


def tag_texts(tags: Mapping[str, Any]) -> dict[str, str]:
    """Turn tags into text.

    Raises:
        InvalidInputError: A key cannot be, or a text is too long; it is never cut.
    """
    texts = {}
    for key, value in _items("tags", tags):
        check_key("tag", key)
        texts[str(key)] = text = _text("tag", key, value)
        check_tag_value(key, text)
    return texts


def whole_number(name: str, value: Any) -> int:  # noqa: ANN401
    """Turn a step or timestamp into an int of 64 bits.

    A timestamp may have a fraction, as ``time.time() * 1000`` does; nothing else may.

    Raises:
        InvalidInputError: It is no whole number, or a larger one.
    """
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    try:
        item = getattr(value, "item", None)
        given = value if item is None else item()
        whole = None if isinstance(given, _TEXTS) else int(given)
        if whole != given and not name.startswith("timestamp"):
            whole = None
    except Exception:  # noqa: BLE001 - as in `metric_value`
        whole = None
    if whole is None or not -(2**63) <= whole < 2**63:
        msg = f"The {name} must be a whole number below 2**63, not {told(value)}."
        raise InvalidInputError(msg) from None
    return whole


def told(value: Any) -> str:  # noqa: ANN401
    """Show the beginning of any value, of which not even that need be possible."""
    try:
        text = repr(value[:9] if isinstance(value, (list, tuple, str, bytes)) else value)
    except Exception:  # noqa: BLE001 - as above: somebody else's code
        return "it cannot be shown"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _items(what: str, given: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401
    try:
        return list(given.items())
    except (AttributeError, TypeError):
        msg = (
            f"log_{what} takes a dictionary of keys and values, not {type(given).__name__}. "
            f"For one {what[:-1]}, give key and value to the function in the singular."
        )
        raise InvalidInputError(msg.replace("log_tags", "set_tags")) from None


def _text(kind: str, key: str, value: Any) -> str:  # noqa: ANN401
    try:
        # `str` of a StrEnum or of NumPy's text is plain; a record on its way must be that.
        return str(value)
    except Exception as error:
        msg = (
            f"The value of {kind} {key!r}, a {type(value).__name__}, cannot be written as text "
            f"({type(error).__name__}: {error}). Log str(...) of what you mean."
        )
        raise InvalidInputError(msg) from error
