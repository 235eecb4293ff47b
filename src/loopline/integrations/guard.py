"""Our own trouble stays ours: what goes wrong while recording is a warning, and the fit goes on."""

from __future__ import annotations

import functools
import sys
import warnings
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from loopline.integrations.nesting import current_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["AutologWarning", "guarded", "quietly", "recent", "report"]

F = TypeVar("F", bound="Callable[..., Any]")

#: The last troubles, newest last, whether or not anybody saw the warnings.
recent: deque[str] = deque(maxlen=50)


class AutologWarning(UserWarning):
    """Something of a fit could not be recorded; the fit itself is untouched."""


def report(text: str, *, silent: bool = False) -> None:
    """Warn, in a program that turns warnings into errors too, and never raise."""
    recent.append(text)
    session = current_session.get()
    if silent or (session is not None and session.options.silent):
        return
    try:
        warnings.warn(text, AutologWarning, stacklevel=3)
    except Exception:  # noqa: BLE001 - `python -W error` must not make recording break a fit
        sys.stderr.write(f"AutologWarning: {text}\n")


@contextmanager
def guarded(doing: str, *, silent: bool = False) -> Iterator[None]:
    """Turn an exception inside the block into a warning that says what was not done.

    Args:
        doing: What the block does, such as ``"log the model"``.
        silent: Keep the warning to ourselves.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the user's fit goes on
        text = f"Loopline could not {doing}: {type(error).__name__}: {error}"
        report(text, silent=silent)


def quietly(doing: str) -> Callable[[F], F]:
    """Make a callback's method that never raises; it gives None when it could not do its work."""

    def decorate(method: F) -> F:
        @functools.wraps(method)
        def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the method has them
            try:
                return method(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - as above
                report(f"Loopline could not {doing}: {type(error).__name__}: {error}")
                return None

        return wrapper  # type: ignore[return-value]

    return decorate
