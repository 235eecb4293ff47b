"""Turning what people really pass into what is stored: NumPy and tensor scalars, Decimal, bool."""

from __future__ import annotations

from typing import Any

from loopline.errors import InvalidInputError
from loopline.rules.names import check_param_value, check_tag_value

__all__ = ["metric_value", "param_text", "tag_text"]


def metric_value(key: str, value: Any) -> float:  # noqa: ANN401 - that is its job
    """Turn a metric's value into a float.

    Raises:
        InvalidInputError: It is no number; names the key and the type.
    """
    if type(value) is float:
        return value
    try:
        # A tensor of one element knows how to be a scalar, whatever its library and device.
        item = getattr(value, "item", None)
        number = item() if item is not None else value
        if not isinstance(number, str):  # float("4.2") would let a forgotten conversion pass.
            return float(number)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        pass
    raise InvalidInputError(
        f"Metric {key!r} must be a single number, not {type(value).__name__} "
        f"({str(value)[:60]!r}). Log one value a call, or each under a key of its own."
    )


def param_text(key: str, value: Any) -> str:  # noqa: ANN401
    """Turn a param's value into text.

    Raises:
        InvalidInputError: The text is too long; it is never cut.
    """
    text = str(value)
    check_param_value(key, text)
    return text


def tag_text(key: str, value: Any) -> str:  # noqa: ANN401
    """Turn a tag's value into text."""
    text = str(value)
    check_tag_value(key, text)
    return text
