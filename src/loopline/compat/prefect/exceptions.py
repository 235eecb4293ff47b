"""``prefect.exceptions``, as the errors that are raised here."""

from loopline.compat.prefect.refusals import refusing
from loopline.errors import (
    BackendUnavailableError,
    ForbiddenError,
    LooplineError,
    NotFoundError,
    TaskTimeoutError,
)
from loopline.flows.signals import Signal

__all__ = [
    "AuthorizationError",
    "ClientError",
    "FlowStorageError",
    "ObjectNotFoundError",
    "PrefectException",
    "PrefectSignal",
    "TaskTimeoutSignal",
]

__getattr__ = refusing(__name__)

PrefectException = LooplineError
PrefectSignal = Signal
ClientError = BackendUnavailableError
ObjectNotFoundError = NotFoundError
AuthorizationError = ForbiddenError
FlowStorageError = NotFoundError
TaskTimeoutSignal = TaskTimeoutError
