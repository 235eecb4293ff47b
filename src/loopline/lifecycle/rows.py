"""Where a loop's rows come from: a feed, a table at hand, or a function of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from loopline.data.versions import dataset
from loopline.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import pandas as pd

    from loopline.data.versions import HeldDataset

__all__ = ["Part", "Rows", "rows_of"]


@runtime_checkable
class Part(Protocol):
    """Some rows, which are a data version: ``loopline.feeds.FeedRows`` is one."""

    def to_pandas(self) -> pd.DataFrame:
        """Give them as a frame."""

    def dataset(self) -> HeldDataset:
        """Give them as a data version."""


@runtime_checkable
class Rows(Protocol):
    """Rows that can be cut by time: ``loopline.Feed`` is one."""

    def window(self, since: Any, until: Any) -> Part:  # noqa: ANN401 - a moment, or None
        """Give the rows from a moment on, until just before another; None: no bound."""


class _FramePart:
    def __init__(self, frame: pd.DataFrame, name: str) -> None:
        self._frame = frame
        self._name = name

    def to_pandas(self) -> pd.DataFrame:
        return self._frame

    def dataset(self) -> HeldDataset:
        return dataset(self._frame, name=self._name)


class _Frame:
    """A table at hand, ordered by a column of its own."""

    def __init__(self, frame: pd.DataFrame, order_by: str) -> None:
        if order_by not in frame.columns:
            msg = f"The rows have no column {order_by!r} to cut them by. Give order_by=."
            raise InvalidInputError(msg)
        self._frame = frame
        self._order_by = order_by

    def window(self, since: datetime | None, until: datetime | None) -> Part:
        import pandas as pd

        places = self._frame[self._order_by]
        which = pd.Series(data=True, index=self._frame.index)
        if since is not None:
            which &= places >= _as(since, places)
        if until is not None:
            which &= places < _as(until, places)
        return _FramePart(self._frame[which], _name(since, until))


def _as(moment: datetime, places: pd.Series[Any]) -> Any:  # noqa: ANN401 - as the column has it
    """Compare times with times, in the column's zone; and text with text: ISO times sort so."""
    import pandas as pd

    if not pd.api.types.is_datetime64_any_dtype(places.dtype):
        return moment.isoformat(sep=" ")
    zone = getattr(places.dtype, "tz", None)
    stamp = pd.Timestamp(moment)
    return stamp.tz_localize(zone) if zone is not None and stamp.tz is None else stamp


class _Function:
    """A function of the user's, from two moments to a table."""

    def __init__(self, read: Callable[[Any, Any], Any]) -> None:
        self._read = read

    def window(self, since: datetime | None, until: datetime | None) -> Part:
        found = self._read(since, until)
        if isinstance(found, Part):
            return found
        frame = found.to_pandas() if hasattr(found, "to_pandas") else found
        return _FramePart(frame, _name(since, until))


def _name(since: datetime | None, until: datetime | None) -> str:
    ends = (each.isoformat(sep=" ", timespec="minutes") if each else "" for each in (since, until))
    return "rows of " + " to ".join(ends)


def rows_of(given: Any, *, order_by: str = "") -> Rows:  # noqa: ANN401 - told apart here
    """Take rows as a loop needs them.

    Args:
        given: A feed, a pandas frame, an Arrow table, or a function of two moments (or None) that
            gives the rows between them as one of these.
        order_by: Of a table: its column with a row's time.

    Raises:
        InvalidInputError: It is none of these.
    """
    if isinstance(given, Rows):
        return given
    if hasattr(given, "columns") and (hasattr(given, "to_pandas") or hasattr(given, "iloc")):
        frame = given.to_pandas() if hasattr(given, "to_pandas") else given
        return _Frame(frame, order_by)
    if callable(given):
        return _Function(given)
    msg = (
        f"A loop takes rows from a feed, a table or a function of two moments, not from "
        f"{type(given).__name__}."
    )
    raise InvalidInputError(msg)
