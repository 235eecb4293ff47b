"""``prefect.utilities.datetimes``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["retry_delay"]

_TWO_HOURS = timedelta(hours=2)


def retry_delay(
    interval: timedelta | None = None,
    *args: Any,
    exponential_backoff: bool = False,
    max_delay: timedelta = _TWO_HOURS,
    **kwargs: Any,
) -> Callable[[int], timedelta]:
    """Make a function from the number of a run to how long to wait for the next one.

    Args:
        interval: How long to wait.
        *args: Of a ``timedelta``, instead of ``interval``.
        exponential_backoff: Wait twice as long each time.
        max_delay: No longer than this.
        **kwargs: As ``args``.

    Raises:
        ValueError: Both an interval and parts of one are given.
    """
    if interval is not None and (args or kwargs):
        msg = "Give retry_delay either an interval or its parts, such as minutes=5; not both."
        raise ValueError(msg)
    base = interval if interval is not None else timedelta(*args, **kwargs)

    def delay(run_number: int) -> timedelta:
        wait = base * 2 ** max(run_number - 1, 0) if exponential_backoff else base
        return min(wait, max_delay)

    return delay
