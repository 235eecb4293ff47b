"""Places in a feed's order, between the values of a column and what a region is written with.

Numbers stay numbers. Times become text of one width, so that they sort as the times do.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.rules.watermarks import Bound

__all__ = ["place_of", "sql_type"]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - zones are told apart by the column
_WIDTHS = {"s": 6, "ms": 6, "us": 6, "ns": 9}


def sql_type(kind: pa.DataType) -> str:
    """Tell the type of SQL to which a place is turned back.

    Raises:
        InvalidInputError: Values of this type have no order that can be written down.
    """
    from pyarrow import types

    if types.is_timestamp(kind):
        if kind.tz is not None:
            return "TIMESTAMPTZ"
        return "TIMESTAMP_NS" if kind.unit == "ns" else "TIMESTAMP"
    if types.is_date(kind):
        return "DATE"
    if types.is_integer(kind):
        return "BIGINT"
    if types.is_floating(kind):
        return "DOUBLE"
    if types.is_string(kind) or types.is_large_string(kind):
        return "VARCHAR"
    msg = f"A feed is ordered by a time, a date, a number or text, not by {kind}."
    raise InvalidInputError(msg)


def place_of(value: Any, kind: pa.DataType) -> Bound | None:  # noqa: ANN401 - what people give
    """Turn a value into the place it has in a column of a type.

    Args:
        value: A scalar of Arrow's, a time, its text in ISO 8601, or a number; None: no place.
        kind: The column's type.

    Raises:
        InvalidInputError: It is none of the column's values.
    """
    import pyarrow as pa
    from pyarrow import types

    if isinstance(value, pa.Scalar):
        value = None if not value.is_valid else value
    if value is None:
        return None
    try:
        if types.is_timestamp(kind):
            return _moment(value, kind)
        given = value.as_py() if isinstance(value, pa.Scalar) else value
        if types.is_date(kind):
            if isinstance(given, str):
                given = date.fromisoformat(given)
            return given.isoformat()[:10]  # type: ignore[no-any-return]
        if types.is_integer(kind):
            return int(given)
        if types.is_floating(kind):
            return float(given)
    except (ValueError, TypeError, AttributeError, pa.ArrowException) as error:
        msg = f"{value!r} is no value of a column of {kind}: {error}"
        raise InvalidInputError(msg) from None
    return str(given)


def _moment(value: Any, kind: pa.DataType) -> str:  # noqa: ANN401
    import pyarrow as pa

    if not isinstance(value, pa.Scalar):
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - as the column
        if (value.tzinfo is None) != (kind.tz is None):
            aware = "has a time zone" if kind.tz is not None else "has none"
            msg = f"{value} and the column do not go together: the column {aware}"
            raise ValueError(msg)
        value = pa.scalar(value, pa.timestamp("us", tz=None if kind.tz is None else "UTC"))
    unit = "ns" if kind.unit == "ns" else "us"
    count = value.cast(pa.timestamp(unit, tz=value.type.tz)).value
    per_second = 10**9 if unit == "ns" else 10**6
    seconds, rest = divmod(count, per_second)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()
    zone = "" if kind.tz is None else "+00:00"
    return f"{text}.{rest:0{_WIDTHS[unit]}d}{zone}"
