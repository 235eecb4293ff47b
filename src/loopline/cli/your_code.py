"""What a user's own file raises while a command runs it, told in a sentence with its line."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.errors import InvalidInputError, LooplineError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["your_code"]


@contextmanager
def your_code(file: Path) -> Iterator[None]:
    """Tell what the code of a file, or of modules beside it, raises in this block.

    Errors of ours say enough, and what has no line of the user's in its traceback is a fault of
    ours: both pass as they are.

    Raises:
        InvalidInputError: The user's code raised something; it is the cause.
    """
    try:
        yield
    except LooplineError:
        raise
    except Exception as error:
        place = _place(error, file.resolve())
        if place is None:
            raise
        path, line = place
        where = f"{_short(path)}, line {line}"
        words = error.msg if isinstance(error, SyntaxError) else str(error)
        said = f"{type(error).__name__}: {words}" if words else type(error).__name__
        if isinstance(error, ModuleNotFoundError) and error.name:
            next_step = f"Install it beside Loopline (python -m pip install {error.name})"
        else:
            next_step = "Mend it there"
        msg = f"{said} ({where}). {next_step}, then retry."
        raise InvalidInputError(msg) from error


def _place(error: Exception, file: Path) -> tuple[Path, int] | None:
    """Find the last line of the user's own in a traceback."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return Path(error.filename), error.lineno
    found = None
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename).absolute()
        below = path.is_relative_to(file.parent) and "site-packages" not in path.parts
        if (path == file or below) and not path.is_relative_to(OURS):
            found = path, frame.lineno or 0
    return found


#: Our own code is nobody's mistake but ours, also when a file lies in a checkout of it.
OURS = Path(__file__).resolve().parent.parent


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
