"""Key-value pairs of a store, and the operations about them."""

from __future__ import annotations

from typing import ClassVar

from loopline.records.base import Record
from loopline.records.operation import Operation

__all__ = ["DeleteKeyValue", "FindKeyValues", "GetKeyValue", "KeyValue", "SetKeyValue"]


class KeyValue(Record, frozen=True, kw_only=True):
    """A key and its value.

    Attributes:
        value: JSON text.
        changed_ms: Unix time in milliseconds it was set.
    """

    key: str
    value: str
    changed_ms: int = 0


class SetKeyValue(Operation[None], frozen=True, kw_only=True):
    """Set the value of a key.

    Attributes:
        key: 1 to 1,000 characters.
        value: JSON text of at most 64 KiB.
        space: Whose keys: empty for those of people, a word for those of a part of Loopline.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    key: str
    value: str
    space: str = ""


class GetKeyValue(Operation[KeyValue], frozen=True, kw_only=True):
    """Get a key's value."""

    key: str
    space: str = ""


class FindKeyValues(Operation[list[KeyValue]], frozen=True, kw_only=True):
    """List the pairs whose key begins with ``prefix``, the newest first."""

    prefix: str = ""
    space: str = ""
    limit: int = 1000


class DeleteKeyValue(Operation[None], frozen=True, kw_only=True):
    """Delete a key."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "edit"
    key: str
    space: str = ""
