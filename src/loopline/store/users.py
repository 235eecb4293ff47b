"""Users and their grants in the store."""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from loopline.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
)
from loopline.records.identity import Access, Grant, Invitation, Role, Scope, Thing, User
from loopline.rules.access import parse_role, parse_thing, role_on_everything
from loopline.store import experiments, schema
from loopline.store.callers import caller_of
from loopline.store.registry_rows import model_row
from loopline.store.upserts import InsertOrReplace

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = [
    "access_of_user",
    "add_user",
    "change_user",
    "forget_grants_on",
    "invite_user",
    "list_grants",
    "list_users",
    "remove_user",
    "rename_grants_on",
    "set_grant",
    "user_record",
    "user_row",
    "who_am_i",
]

_user = schema.user
_grant = schema.grant
#: No ``:``, at which a password begins, and no ``/``, at which a path goes on.
_NAME = re.compile(r"[A-Za-z0-9][\w.@+\-]{0,99}\Z", re.ASCII)
MOST_HOURS = 24 * 30
MS_PER_HOUR = 3_600_000
MAX_PROJECT = 500


def check_user_name(name: str) -> None:
    """Check that a name can be a user's.

    Raises:
        InvalidInputError: It cannot.
    """
    if not _NAME.match(name):
        msg = (
            f"{name[:120]!r} is no user name. Use 1 to 100 letters, digits, and . _ @ + -, "
            "beginning with a letter or digit."
        )
        raise InvalidInputError(msg)


def user_row(connection: Connection, name: str) -> Row[Any]:
    """Get a user's row.

    Raises:
        NotFoundError: Nobody has this name.
    """
    row = connection.execute(select(_user).where(_user.c.name == name)).first()
    if row is None:
        known = connection.execute(select(_user.c.name).limit(1000)).scalars()
        raise NotFoundError.among("user", name, known, hint="List them with `loopline users list`.")
    return row


def user_record(row: Row[Any]) -> User:
    """Make a record of a row, without its secrets."""
    return User(
        name=row.name,
        role=Role(row.role),
        is_active=row.is_active,
        source=row.source,
        has_password=bool(row.password),
        created_ms=row.created_ms,
    )


def access_of_user(connection: Connection, row: Row[Any], scope: Scope) -> Access:
    """Gather what a user may do. Primary key scan of its grants."""
    grants: dict[Thing, dict[str, Role]] = {thing: {} for thing in Thing}
    query = select(_grant.c.thing, _grant.c.name, _grant.c.role).where(_grant.c.user_id == row.id)
    for thing, name, role in connection.execute(query).all():
        grants[Thing(thing)][name] = Role(role)
    return Access(
        role=Role(row.role),
        scope=scope,
        experiments={int(name): role for name, role in grants[Thing.EXPERIMENT].items()},
        models=grants[Thing.MODEL],
        projects=grants[Thing.PROJECT],
    )


def add_user(store: Store, connection: Connection, call: ops.AddUser) -> User:
    """Make a user.

    Raises:
        AlreadyExistsError: The name is taken.
    """
    check_user_name(call.name)
    role = parse_role(call.role)
    if connection.execute(select(_user.c.id).where(_user.c.name == call.name)).first() is not None:
        msg = f"There is a user {call.name!r} already. Take another name, or change that one."
        raise AlreadyExistsError(msg)
    connection.execute(insert(_user).values(name=call.name, role=role, created_ms=store.clock()))
    return user_record(user_row(connection, call.name))


def change_user(_store: Store, connection: Connection, call: ops.ChangeUser) -> User:
    """Give a user another role, or let it sign in or not."""
    row = user_row(connection, call.name)
    values: dict[str, Any] = {}
    if call.role is not None:
        values["role"] = parse_role(call.role)
    if call.is_active is not None:
        values["is_active"] = call.is_active
    if values:
        connection.execute(update(_user).where(_user.c.id == row.id).values(**values))
        _check_an_administrator_is_left(connection, row)
    if call.is_active is False:
        for table in (schema.session, schema.link):
            connection.execute(delete(table).where(table.c.user_id == row.id))
    return user_record(user_row(connection, call.name))


def remove_user(_store: Store, connection: Connection, call: ops.RemoveUser) -> User:
    """Delete a user with all that is its own, by its foreign keys."""
    row = user_row(connection, call.name)
    connection.execute(delete(_user).where(_user.c.id == row.id))
    _check_an_administrator_is_left(connection, row)
    return user_record(row)


def _check_an_administrator_is_left(connection: Connection, was: Row[Any]) -> None:
    if was.role != Role.ADMIN or not was.is_active:
        return
    query = select(func.count()).where(_user.c.role == Role.ADMIN, _user.c.is_active.is_(True))
    if not connection.execute(query).scalar_one():
        msg = f"{was.name!r} is the last administrator. Make somebody else one first."
        raise ConflictError(msg)


def invite_user(store: Store, connection: Connection, call: ops.InviteUser) -> Invitation:
    """Make the link by which a user sets a password."""
    if not 1 <= call.hours <= MOST_HOURS:
        msg = f"A link works for 1 to {MOST_HOURS} hours, not for {call.hours}."
        raise InvalidInputError(msg)
    row = user_row(connection, call.name)
    if not row.is_active:
        msg = f"{call.name!r} may not sign in. Let it with `loopline users enable {call.name}`."
        raise ConflictError(msg)
    link = schema.link
    connection.execute(delete(link).where(link.c.user_id == row.id))
    secret, expires_ms = secrets.token_urlsafe(32), store.clock() + call.hours * MS_PER_HOUR
    connection.execute(
        insert(link).values(
            sha256=sha256(secret.encode()).hexdigest(), user_id=row.id, expires_ms=expires_ms
        )
    )
    return Invitation(user=call.name, path=f"/set-up?link={secret}", expires_ms=expires_ms)


def list_users(_store: Store, connection: Connection, _call: ops.ListUsers) -> list[User]:
    """List users by name."""
    return [user_record(row) for row in connection.execute(select(_user).order_by(_user.c.name))]


def who_am_i(_store: Store, connection: Connection, _call: ops.WhoAmI) -> User:
    """Tell who the caller is; on a server that asks nobody: somebody who may do everything."""
    caller = caller_of(connection)
    if caller is None or not caller.name:
        return User(name="", role=Role.ADMIN, created_ms=0)
    user = user_record(user_row(connection, caller.name))
    if caller.access is None:
        return user
    return User(
        name=user.name,
        role=role_on_everything(caller.access),
        source=user.source,
        has_password=user.has_password,
        created_ms=user.created_ms,
    )


def set_grant(_store: Store, connection: Connection, call: ops.SetGrant) -> Grant:
    """Give a user a role on one thing, or take it away."""
    thing, role = parse_thing(call.thing), parse_role(call.role)
    user = user_row(connection, call.user)
    name = call.name
    if thing is Thing.EXPERIMENT:
        name = str(experiments.find(connection, name).id)
    elif thing is Thing.MODEL:
        model_row(connection, name)
    elif not name.strip() or len(name) > MAX_PROJECT:
        msg = f"A project has a name of 1 to {MAX_PROJECT} characters."
        raise InvalidInputError(msg)
    if role is Role.NONE:
        connection.execute(
            delete(_grant).where(
                _grant.c.user_id == user.id, _grant.c.thing == thing, _grant.c.name == name
            )
        )
    else:
        connection.execute(
            InsertOrReplace(_grant).values(user_id=user.id, thing=thing, name=name, role=role)
        )
    return Grant(user=call.user, thing=thing, name=name, role=role)


def list_grants(_store: Store, connection: Connection, call: ops.ListGrants) -> list[Grant]:
    """List grants by user and thing."""
    query = (
        select(_user.c.name.label("user"), _grant.c.thing, _grant.c.name, _grant.c.role)
        .join(_user, _user.c.id == _grant.c.user_id)
        .order_by(_user.c.name, _grant.c.thing, _grant.c.name)
    )
    if call.user:
        query = query.where(_user.c.id == user_row(connection, call.user).id)
    return [
        Grant(user=row.user, thing=Thing(row.thing), name=row.name, role=Role(row.role))
        for row in connection.execute(query).all()
    ]


def rename_grants_on(connection: Connection, thing: Thing, name: str, new_name: str) -> None:
    """Let grants follow a thing that gets another name."""
    connection.execute(
        update(_grant).where(_grant.c.thing == thing, _grant.c.name == name).values(name=new_name)
    )


def forget_grants_on(connection: Connection, thing: Thing, name: str) -> None:
    """Forget grants on a thing that is gone: one that is made later under its name is another."""
    connection.execute(delete(_grant).where(_grant.c.thing == thing, _grant.c.name == name))
