"""Turning what people really pass into what is stored: scalars of any library, and texts."""

from __future__ import annotations

from math import floor, nan
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
    except OverflowError:
        msg = (
            f"The value of metric {key!r}, {type(value).__name__} ({told(value)}), is beyond "
            "1.8e308, the largest float of 64 bits. Scale it, or log its logarithm."
        )
        raise InvalidInputError(msg) from None
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


def whole_number(name: str, value: Any, key: str | None = None) -> int:  # noqa: ANN401
    """Turn a step or timestamp into an int of 64 bits.

    A time may have a fraction, as ``time.time() * 1000`` does, and may be a date: one without a
    zone means what its own library means by it (UTC for pandas and NumPy, local time for
    ``datetime``).

    Args:
        name: Of the argument: ``"step"``; or a time, ``"timestamp"``, ``"end_time"``.
        value: As given.
        key: Of the metric, if there is one, for the message.

    Raises:
        InvalidInputError: It is no whole number, or a larger one; names the argument and type.
    """
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    is_time = name.startswith("timestamp") or name.endswith("_time")
    try:
        given = _milliseconds(value) if is_time else value
        item = getattr(given, "item", None)
        given = given if item is None else item()
        whole = None if isinstance(given, _TEXTS) else int(given)
        if whole != given and not is_time:
            whole = None
    except Exception:  # noqa: BLE001 - as in `metric_value`
        whole = None
    if whole is None or not -(2**63) <= whole < 2**63:
        step = "Give an int, such as the number of the epoch."
        if is_time:
            step = "Give Unix milliseconds, such as time.time() * 1000, or a date with its time."
        of = "" if key is None else f" of metric {key!r}"
        msg = (
            f"The {name}{of} must be a whole number below 2**63, not {type(value).__name__} "
            f"({told(value)}). {step}"
        )
        raise InvalidInputError(msg) from None
    return whole


def _milliseconds(value: Any) -> Any:  # noqa: ANN401
    """Turn a date into Unix milliseconds, rounded down; anything else stays as it is."""
    if getattr(getattr(value, "dtype", None), "kind", "") == "M":
        is_missing = bool(value != value)  # noqa: PLR0124 - NaT, a number as an int64
        return None if is_missing else value.astype("datetime64[ms]").astype("int64")
    timestamp = getattr(value, "timestamp", None)
    # A float of seconds is exact to a quarter of a microsecond, on either side of the whole.
    return value if timestamp is None else floor(timestamp() * 1000 + 5e-4)


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
