"""Secrets in the store: names in the open, values sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from loopline.errors import InvalidInputError, NotFoundError
from loopline.records import operations as ops
from loopline.records.secrets import Secret, SecretValue
from loopline.rules.names import check_text
from loopline.store import schema
from loopline.store.sealing import seal, unseal

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records.operations import Operation
    from loopline.store.database import Store

__all__ = [
    "SECRETS",
    "delete_secret",
    "get_secret",
    "list_secrets",
    "secret_record",
    "set_secret",
]

#: Commands that the audit log tells of although the store's owner gives them without a server.
SECRETS: frozenset[type[Operation[Any]]] = frozenset(
    {ops.DeleteSecret, ops.GetSecret, ops.SetSecret}
)
MOST_NAME, MOST_VALUE = 250, 65_536

_secret = schema.secret


def set_secret(store: Store, connection: Connection, call: ops.SetSecret) -> Secret:
    """Keep a value under a name.

    Raises:
        InvalidInputError: The name or value is empty or too long.
        UnsupportedError: There is no key to seal it with.
    """
    if not call.name.strip() or not call.value:
        msg = "A secret has a name and a value; neither is empty. Give both."
        raise InvalidInputError(msg)
    check_text("name of the secret", call.name, MOST_NAME)
    check_text("value of the secret", call.value, MOST_VALUE)
    now_ms = store.clock()
    values = {"sealed": seal(store, connection, _place(call.name), call.value)}
    changed = connection.execute(
        update(_secret).where(_secret.c.name == call.name).values(**values, updated_ms=now_ms)
    )
    if not changed.rowcount:
        new = {"name": call.name, "created_ms": now_ms, "updated_ms": now_ms, **values}
        connection.execute(insert(_secret).values(new))
    return secret_record(connection, call.name)


def get_secret(store: Store, connection: Connection, call: ops.GetSecret) -> SecretValue:
    """Get a value.

    Raises:
        NotFoundError: There is no secret of that name.
        ConflictError: The key that it was sealed with is not here.
    """
    row = _row(connection, call.name)
    return SecretValue(name=row.name, value=unseal(store, _place(row.name), row.sealed))


def list_secrets(_store: Store, connection: Connection, _call: ops.ListSecrets) -> list[Secret]:
    """List secrets by name."""
    return [_record(row) for row in connection.execute(select(_secret).order_by(_secret.c.name))]


def delete_secret(_store: Store, connection: Connection, call: ops.DeleteSecret) -> Secret:
    """Delete a secret, whether its key is here or not.

    Raises:
        NotFoundError: There is no secret of that name.
    """
    gone = secret_record(connection, call.name)
    connection.execute(delete(_secret).where(_secret.c.name == call.name))
    return gone


def secret_record(connection: Connection, name: str) -> Secret:
    """Get a secret without its value.

    Raises:
        NotFoundError: There is none.
    """
    return _record(_row(connection, name))


def _place(name: str) -> str:
    return f"secret {name!r}"


def _row(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(_secret).where(_secret.c.name == name)).first()
    if row is None:
        known = connection.execute(select(_secret.c.name)).scalars()
        raise NotFoundError.among(
            "secret", name, known, hint="An administrator keeps one with `loopline secrets set`."
        )
    return row


def _record(row: Row[Any]) -> Secret:
    return Secret(name=row.name, created_ms=row.created_ms, updated_ms=row.updated_ms)
