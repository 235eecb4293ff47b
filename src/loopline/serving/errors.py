"""What a request to a served model can fail with, each with its status on the wire."""

from __future__ import annotations

from loopline.errors import BackendUnavailableError, InvalidInputError, LooplineError

__all__ = [
    "BadBodyError",
    "BadDataError",
    "BodyTooLongError",
    "MediaTypeError",
    "NotReadyError",
    "OverloadedError",
    "PredictError",
    "TooSlowError",
]


class BadDataError(InvalidInputError):
    """The data of a request do not fit the model.

    Attributes:
        field: Column or input that is wrong, where it is one.
        row: Its row, counted from 0, where it is one.
    """

    def __init__(
        self, message: str, *, field: str | int | None = None, row: int | None = None
    ) -> None:
        self.field = field
        self.row = row
        super().__init__(message)


class BadBodyError(BadDataError):
    """The body cannot be read."""

    code = "BAD_REQUEST"


class PredictError(InvalidInputError):
    """The model itself failed on the data."""

    code = "BAD_REQUEST"


class MediaTypeError(InvalidInputError):
    """The body is of a type that is not read here."""

    status = 415


class BodyTooLongError(InvalidInputError):
    """The body is longer than is taken."""

    status = 413


class OverloadedError(LooplineError):
    """More requests wait than the model gets done.

    Attributes:
        retry_after_s: Seconds after which those that wait will be done.
    """

    status = 429
    code = "RESOURCE_EXHAUSTED"

    def __init__(self, waiting: int, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(
            f"{waiting:,} requests wait for the model. Ask again in {retry_after_s} s, or serve it "
            "with a higher --max-waiting or on more machines."
        )


class NotReadyError(BackendUnavailableError):
    """The process is about to stop."""


class TooSlowError(LooplineError):
    """The model did not answer in time."""

    status = 504
    code = "DEADLINE_EXCEEDED"

    def __init__(self, timeout_s: float) -> None:
        super().__init__(
            f"The model gave no answer within {timeout_s:g} s. Send fewer rows at once, or serve "
            "it with a longer --timeout."
        )
