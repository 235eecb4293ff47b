"""Every error a user may want to catch.

::

    LooplineError
    ├── InvalidInputError (also ValueError)        400
    │   ├── BatchRefusedError                      400
    │   ├── FilterError                            400
    │   ├── TableSchemaError                       400
    │   └── UnsupportedError                       400
    ├── NotFoundError (also LookupError)           404
    ├── ConflictError                              409
    │   ├── AlreadyExistsError                     400, as MLflow answers it
    │   ├── JournalClosedError                     409
    │   └── LeaseLostError                         409
    ├── ForbiddenError                             403
    │   └── NotSignedInError                       401
    ├── BackendUnavailableError                    503
    ├── StorageFullError                           507
    ├── StoreVersionError                          500
    ├── IntegrityError                             500
    ├── UnsafeModelError                           400
    ├── MissingExtraError (also ImportError)       500
    └── FlowError
        ├── FlowBuildError (also ValueError)       400
        │   └── TaskValueError (also TypeError)    400
        ├── FlowRunFailedError                     500
        ├── TaskMemoryError (also MemoryError)     500
        └── TaskTimeoutError (also TimeoutError)   500

Each message ends with the next step: a command, a setting, or the nearest right name.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AlreadyExistsError",
    "BackendUnavailableError",
    "BatchRefusedError",
    "ConflictError",
    "FilterError",
    "FlowBuildError",
    "FlowError",
    "FlowRunFailedError",
    "ForbiddenError",
    "IntegrityError",
    "InvalidInputError",
    "JournalClosedError",
    "LeaseLostError",
    "LooplineError",
    "MissingExtraError",
    "NotFoundError",
    "NotSignedInError",
    "StorageFullError",
    "StoreVersionError",
    "TableSchemaError",
    "TaskMemoryError",
    "TaskTimeoutError",
    "TaskValueError",
    "UnsafeModelError",
    "UnsupportedError",
]


class LooplineError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        status: HTTP status a server answers with.
        code: MLflow's error code for it.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"


class InvalidInputError(LooplineError, ValueError):
    """What was asked for cannot be right; nothing was changed."""

    status = 400
    code = "INVALID_PARAMETER_VALUE"


class FilterError(InvalidInputError):
    """A search filter or ordering is wrong at a known character.

    Attributes:
        position: Index of the character, counted from 0.
        expected: What would have been right there.
    """

    def __init__(self, text: str, position: int, expected: str) -> None:
        self.text = text
        self.position = position
        self.expected = expected
        super().__init__(
            f"Expected {expected} at character {position + 1} of the filter:\n"
            f"  {text}\n  {' ' * position}^"
        )


class TableSchemaError(InvalidInputError):
    """Rows do not fit the columns of a table; nothing was written.

    Attributes:
        table: Name of the table.
        problems: What is wrong, one sentence a column.
    """

    def __init__(self, table: str, problems: list[str]) -> None:
        self.table = table
        self.problems = problems
        super().__init__(
            f"The rows do not fit the table {table!r}, and nothing was written:\n  "
            + "\n  ".join(problems)
            + "\nPut the columns right, or begin another table."
        )


class BatchRefusedError(InvalidInputError):
    """A batch breaks the contract of its feed; nothing of it entered the feed.

    Attributes:
        feed: Name of the feed.
        batch: Name under which the batch is kept.
        problems: What is wrong with it.
    """

    def __init__(self, feed: str, batch: str, problems: list[str]) -> None:
        self.feed = feed
        self.batch = batch
        self.problems = problems
        super().__init__(
            f"The feed {feed!r} refused {batch!r}, and nothing of it entered:\n  "
            + "\n  ".join(problems)
            + f"\nThe batch is kept: `loopline feeds refused {feed}`. Put it right, append again."
        )


class UnsupportedError(InvalidInputError):
    """A part of the language or protocol that does not exist here."""


class NotFoundError(LooplineError, LookupError):
    """Nothing has this name or id."""

    status = 404
    code = "RESOURCE_DOES_NOT_EXIST"

    @classmethod
    def among(
        cls, what: str, name: str, known: Iterable[str], *, hint: str, said: str = ""
    ) -> NotFoundError:
        """Make the error for a name not among the known ones, naming the nearest.

        Args:
            what: What has no such name.
            name: The name.
            known: Those there are.
            hint: What to do next.
            said: What to begin with, where MLflow's clients look for its words.
        """
        near = get_close_matches(name, list(known), n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        begin = said or f"No {what} {name!r}."
        return cls(f"{begin}{meant} {hint}")


class ConflictError(LooplineError):
    """The state of things does not allow it now."""

    status = 409
    code = "INVALID_STATE"


class AlreadyExistsError(ConflictError):
    """The name is taken."""

    status = 400
    code = "RESOURCE_ALREADY_EXISTS"


class LeaseLostError(ConflictError):
    """Somebody else holds the flow run now; the caller must stop working on it."""


class JournalClosedError(ConflictError):
    """The journal was closed, as at the end of the process; recording again makes a new one."""


class ForbiddenError(LooplineError):
    """The caller is known and may not do this."""

    status = 403
    code = "PERMISSION_DENIED"


class NotSignedInError(ForbiddenError):
    """The server wants to know who asks, and what was sent does not say so."""

    status = 401
    code = "UNAUTHENTICATED"


class BackendUnavailableError(LooplineError):
    """The server or database cannot be reached now; trying later may help."""

    status = 503
    code = "TEMPORARILY_UNAVAILABLE"


class StorageFullError(LooplineError):
    """The disk is full; what was acknowledged before is safe."""

    status = 507
    code = "RESOURCE_EXHAUSTED"


class StoreVersionError(LooplineError):
    """The database has a schema that this version of Loopline must not touch."""


class IntegrityError(LooplineError):
    """Bytes read are not the bytes written."""


class UnsafeModelError(LooplineError):
    """Loading would run code from the file, and nobody allowed that."""

    status = 400
    code = "INVALID_PARAMETER_VALUE"


class MissingExtraError(LooplineError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, *, extra: str = "", purpose: str) -> None:
        self.package = package
        self.extra = extra
        wanted = f'"loopline[{extra}]"' if extra else package  # In no extra: an ordinary package.
        super().__init__(f"{purpose} needs {package}. Install it with: pip install {wanted}")


class FlowError(LooplineError):
    """Something about a flow."""


class FlowBuildError(FlowError, ValueError):
    """A flow that cannot work, refused before it runs."""

    status = 400
    code = "INVALID_PARAMETER_VALUE"


class TaskValueError(FlowBuildError, TypeError):
    """The value of a task was asked for while the flow is built."""


class FlowRunFailedError(FlowError):
    """A flow that was called like a function did not succeed.

    Attributes:
        state: The flow run's final state; ``state.result[task]`` is each task's.
    """

    def __init__(self, message: str, state: object = None) -> None:
        self.state = state
        super().__init__(message)


class TaskMemoryError(FlowError, MemoryError):
    """A task took more memory than it may."""


class TaskTimeoutError(FlowError, TimeoutError):
    """A task ran longer than its timeout."""
