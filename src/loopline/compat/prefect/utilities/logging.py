"""``prefect.utilities.logging``: loggers whose lines become the log of the run."""

from __future__ import annotations

import io
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Self

from loopline.compat.prefect.refusals import refusing
from loopline.flows.running.logs import task_logger

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

__all__ = ["RedirectToLog", "get_logger", "temporary_logger_config"]

__getattr__ = refusing(__name__)


def get_logger(name: str | None = None) -> logging.Logger:
    """Return a logger; what it says while a task runs is in the log of the run."""
    return task_logger(name or "")


@contextmanager
def temporary_logger_config(
    level: int | str | None = None,
    stream_fmt: str | None = None,  # noqa: ARG001 - lines are kept as data, and shown by one form
    stream_datefmt: str | None = None,  # noqa: ARG001
) -> Iterator[logging.Logger]:
    """Keep lines of another level while the block runs."""
    logger = get_logger()
    before = logger.level
    if level is not None:
        logger.setLevel(level)
    try:
        yield logger
    finally:
        logger.setLevel(before)


class RedirectToLog(io.TextIOBase):
    """Takes what is printed in its block as log lines.

    Args:
        logger: Where to; by default the run's.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logger or get_logger()
        self._redirect = ExitStack()
        self._rest = ""

    def write(self, s: str) -> int:
        """Take a text; whole lines are logged."""
        *lines, self._rest = (self._rest + s).split("\n")
        for line in lines:
            if line.strip():
                self.logger.info("%s", line)
        return len(s)

    def flush(self) -> None:
        """Log what has no end of line yet."""
        if self._rest.strip():
            self.logger.info("%s", self._rest)
        self._rest = ""

    def __enter__(self) -> Self:
        self._redirect.enter_context(redirect_stdout(self))
        return self

    def __exit__(self, *_: object) -> None:
        self._redirect.close()
        self.flush()
