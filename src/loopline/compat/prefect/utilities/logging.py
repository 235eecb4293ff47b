"""``prefect.utilities.logging``: loggers whose lines become the log of the run."""

from __future__ import annotations

import logging
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from loopline.compat.prefect.refusals import refusing
from loopline.flows.logs import task_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RedirectToLog", "get_logger", "temporary_logger_config"]

_BY_ITSELF = "Loopline records the lines of every run by itself, with or without a server."

__getattr__ = refusing(
    __name__,
    {
        name: _BY_ITSELF
        for name in ("CloudHandler", "LOG_MANAGER", "LogManager", "configure_extra_loggers",
                     "configure_logging", "create_diagnostic_logger", "getlogsize")
    },
)  # fmt: skip


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


class RedirectToLog:
    """Takes what is printed in its block as log lines.

    Args:
        logger: Where to; by default the run's.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logger or get_logger()
        self._redirect: redirect_stdout[Any] | None = None
        self._rest = ""

    def write(self, s: str) -> None:
        """Take a text; whole lines are logged."""
        *lines, self._rest = (self._rest + s).split("\n")
        for line in lines:
            if line.strip():
                self.logger.info("%s", line)

    def flush(self) -> None:
        """Log what has no end of line yet."""
        if self._rest.strip():
            self.logger.info("%s", self._rest)
        self._rest = ""

    def __enter__(self) -> RedirectToLog:
        self._redirect = redirect_stdout(self)
        self._redirect.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._redirect is not None:
            self._redirect.__exit__(*error)
        self.flush()
