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
        permission: What the caller must be allowed: ``view``, ``edit``, ``work`` or ``admin``.
    """

    changes: ClassVar[bool] = False
    permission: ClassVar[str] = "view"
