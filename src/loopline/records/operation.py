"""What every operation is: a request that knows its answer, its effect and its permission."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

import msgspec

__all__ = ["Operation"]

R = TypeVar("R")


class Operation(msgspec.Struct, Generic[R], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that answers with an ``R``.

    Attributes:
        changes: Whether it is a command; otherwise it is a query.
        permission: What the caller must be allowed: ``view``, ``edit``, ``work`` or ``admin``; with
            ``self`` it is enough to be known.
        answers_secret: Whether the answer holds what is told only once, and so is not kept for
            somebody who asks again under the same idempotency key.
    """

    changes: ClassVar[bool] = False
    permission: ClassVar[str] = "view"
    answers_secret: ClassVar[bool] = False
