"""Key-value pairs in the store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, select

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records.key_values import KeyValue
from loopline.store import schema
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["delete_key_value", "find_key_values", "get_key_value", "set_key_value"]

_pair = schema.key_value
_LONGEST_KEY = 1000
_LONGEST_VALUE = 1 << 16

#: One pair. Primary key look-up.
ONE = select(_pair).where(_pair.c.space == bindparam("space"), _pair.c.key == bindparam("key"))
DELETE = delete(_pair).where(_pair.c.space == bindparam("space"), _pair.c.key == bindparam("key"))
PUT = InsertOrReplace(_pair)
#: All pairs of a space whose key begins alike. Index scan over these, then a sort.
BEGINNING = (
    select(_pair)
    .where(
        _pair.c.space == bindparam("space"),
        _pair.c.key >= bindparam("prefix"),
        _pair.c.key < bindparam("end"),
    )
    .order_by(_pair.c.changed_ms.desc(), _pair.c.key)
)
#: Sorts after every key.
_LAST = "\U0010ffff"


def set_key_value(store: Store, connection: Connection, call: ops.SetKeyValue) -> None:
    """Set the value of a key."""
    _check_key(call.key)
    if len(call.value.encode()) > _LONGEST_VALUE:
        msg = f"The value of {call.key!r} is longer than {_LONGEST_VALUE} bytes. Keep it in a file."
        raise InvalidInputError(msg)
    try:
        json.loads(call.value)
    except (ValueError, RecursionError):
        msg = f"The value of {call.key!r} is no JSON."
        raise InvalidInputError(msg) from None
    connection.execute(
        PUT,
        {"space": call.space, "key": call.key, "value": call.value, "changed_ms": store.clock()},
    )


def get_key_value(_store: Store, connection: Connection, call: ops.GetKeyValue) -> KeyValue:
    """Get a key's value."""
    row = connection.execute(ONE, {"space": call.space, "key": call.key}).first()
    if row is None:
        raise NotFoundError(_not_there(call.key))
    return KeyValue(key=row.key, value=row.value, changed_ms=row.changed_ms)


def find_key_values(
    _store: Store, connection: Connection, call: ops.FindKeyValues
) -> list[KeyValue]:
    """List the pairs whose key begins with a prefix, the newest first."""
    if not 0 < call.limit <= 10_000:  # noqa: PLR2004
        msg = "limit must lie between 1 and 10,000."
        raise InvalidInputError(msg)
    rows = connection.execute(
        BEGINNING.limit(call.limit),
        {"space": call.space, "prefix": call.prefix, "end": call.prefix + _LAST},
    )
    return [KeyValue(key=row.key, value=row.value, changed_ms=row.changed_ms) for row in rows]


def delete_key_value(_store: Store, connection: Connection, call: ops.DeleteKeyValue) -> None:
    """Delete a key."""
    if not connection.execute(DELETE, {"space": call.space, "key": call.key}).rowcount:
        raise NotFoundError(_not_there(call.key))


def _check_key(key: str) -> None:
    if not 0 < len(key) <= _LONGEST_KEY or "\0" in key or _LAST in key:
        msg = f"A key has 1 to {_LONGEST_KEY} characters, none of them NUL; this one does not."
        raise InvalidInputError(msg)


def _not_there(key: str) -> str:
    return f"No key {key!r}. List the keys with loopline.flows.kv_store.list_keys()."
