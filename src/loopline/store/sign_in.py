"""How somebody becomes known to a server: tokens, sessions, passwords, links.

Nothing here is an operation: no request can ask for it but by proving who it comes from.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, func, insert, select, update

from loopline.errors import ForbiddenError
from loopline.records.identity import Access, Caller, Role, Scope
from loopline.store import schema
from loopline.store.audit import add_audit_row
from loopline.store.passwords import check_password, hash_password
from loopline.store.users import access_of_user, check_user_name, user_record, user_row

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records.identity import User
    from loopline.store.database import Store

__all__ = [
    "Known",
    "Link",
    "add_sign_in_row",
    "end_session",
    "find_link",
    "find_session",
    "find_token",
    "find_user",
    "make_set_up_link",
    "set_password",
    "sign_in_from_outside",
    "start_session",
    "touch_token",
    "use_link",
]

_user = schema.user
_token = schema.token
_session = schema.session
_link = schema.link
MS_PER_HOUR = 3_600_000
SESSION_HOURS = 12
SET_UP_HOURS = 24


class Known(NamedTuple):
    """A user who was found by what a request shows.

    Attributes:
        how: By what, as ``Caller`` has it.
        access: What it may do.
        expires_ms: Until when what was shown counts; 0: for ever.
        password: The hash, when it was looked for by name.
    """

    name: str
    how: str
    access: Access
    expires_ms: int = 0
    password: str = ""


class Link(NamedTuple):
    """A link that still works: for a user's password, or (no user) for the first administrator."""

    user: str


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def find_token(store: Store, secret: str) -> Known | None:
    """Find whose token a secret is; None when it does not count."""
    query = (
        select(_user, _token.c.token_id, _token.c.scope, _token.c.expires_ms)
        .join(_token, _token.c.user_id == _user.c.id)
        .where(_token.c.sha256 == _hash(secret), _token.c.revoked_ms == 0)
    )
    with store.read() as connection:
        row = connection.execute(query.where(_user.c.is_active.is_(True))).first()
        if row is None or 0 < row.expires_ms <= store.clock():
            return None
        access = access_of_user(connection, row, Scope(row.scope))
        return Known(row.name, f"token {row.token_id}", access, row.expires_ms)


def find_session(store: Store, secret: str) -> Known | None:
    """Find whose session a cookie is; None when it does not count."""
    query = (
        select(_user, _session.c.expires_ms)
        .join(_session, _session.c.user_id == _user.c.id)
        .where(_session.c.sha256 == _hash(secret), _user.c.is_active.is_(True))
    )
    with store.read() as connection:
        row = connection.execute(query).first()
        if row is None or row.expires_ms <= store.clock():
            return None
        access = access_of_user(connection, row, Scope.ADMIN)
        return Known(row.name, "session", access, row.expires_ms)


def find_user(store: Store, name: str) -> Known | None:
    """Find a user by name, with the hash of its password; None when it may not sign in."""
    query = select(_user).where(_user.c.name == name, _user.c.is_active.is_(True))
    with store.read() as connection:
        row = connection.execute(query).first()
        if row is None:
            return None
        access = access_of_user(connection, row, Scope.ADMIN)
        return Known(row.name, "password", access, password=row.password)


def touch_token(store: Store, token_id: str) -> None:
    """Note that a token is used now."""
    with store.write() as connection:
        connection.execute(
            update(_token).where(_token.c.token_id == token_id).values(last_used_ms=store.clock())
        )


def start_session(store: Store, name: str, *, how: str, address: str) -> str:
    """Let a user in; returns the secret of the new session, which is kept as a hash."""
    secret, now_ms = secrets.token_urlsafe(32), store.clock()
    with store.write() as connection:
        row = user_row(connection, name)
        connection.execute(delete(_session).where(_session.c.expires_ms <= now_ms))
        connection.execute(
            insert(_session).values(
                sha256=_hash(secret),
                user_id=row.id,
                created_ms=now_ms,
                expires_ms=now_ms + SESSION_HOURS * MS_PER_HOUR,
                address=address,
            )
        )
        _add_row(store, connection, name, how, address, "sign-in")
    return secret


def end_session(store: Store, secret: str, caller: Caller) -> None:
    """Sign somebody out."""
    with store.write() as connection:
        connection.execute(delete(_session).where(_session.c.sha256 == _hash(secret)))
        _add_row(store, connection, caller.name, caller.how, caller.address, "sign-out")


def add_sign_in_row(store: Store, name: str, how: str, address: str, action: str) -> None:
    """Tell in the audit log of an attempt to sign in."""
    with store.write() as connection:
        _add_row(store, connection, name, how, address, action)


def _add_row(
    store: Store, connection: Connection, name: str, how: str, address: str, action: str
) -> None:
    # Who did not sign in is nobody: the name that was tried is what it was done to.
    failed = action.endswith("-failed")
    caller = Caller(name="" if failed else name, how=how, address=address)
    add_audit_row(store, connection, caller, action, f"user/{name[:100]}")


# --- links and passwords --------------------------------------------------------------------------


def make_set_up_link(store: Store) -> str | None:
    """Make the link for the first administrator, in the place of the one before.

    None when there is an administrator who can sign in.
    """
    secret = secrets.token_urlsafe(32)
    with store.write() as connection:
        if _has_administrator(connection):
            return None
        connection.execute(delete(_link).where(_link.c.user_id.is_(None)))
        expires_ms = store.clock() + SET_UP_HOURS * MS_PER_HOUR
        connection.execute(
            insert(_link).values(sha256=_hash(secret), user_id=None, expires_ms=expires_ms)
        )
    return f"/set-up?link={secret}"


def _has_administrator(connection: Connection) -> bool:
    can_sign_in = (_user.c.password != "") | (_user.c.source != "local")
    query = select(func.count()).where(
        _user.c.role == Role.ADMIN, _user.c.is_active.is_(True), can_sign_in
    )
    return bool(connection.execute(query).scalar_one())


def find_link(store: Store, secret: str) -> Link | None:
    """Find what a link is for; None when it works no more."""
    with store.read() as connection:
        row = _link_row(store, connection, secret)
        return None if row is None else Link(row.name or "")


def _link_row(store: Store, connection: Connection, secret: str) -> Row[Any, Any, Any] | None:
    query = (
        select(_link.c.user_id, _link.c.expires_ms, _user.c.name)
        .join(_user, _user.c.id == _link.c.user_id, isouter=True)
        .where(_link.c.sha256 == _hash(secret))
    )
    row = connection.execute(query).first()
    if row is None or row.expires_ms <= store.clock():
        return None
    return row


def use_link(store: Store, secret: str, *, name: str, password: str, address: str) -> str:
    """Set a password by a link, which then works no more; returns whose it is.

    Args:
        store: Where.
        secret: Of the link.
        name: What the first administrator is to be called; for others the link says it.
        password: As typed.
        address: Whence.

    Raises:
        ForbiddenError: The link works no more.
        InvalidInputError: The name or password cannot be.
    """
    link = find_link(store, secret)
    if link is None:
        raise _used_up()
    name = link.user or name
    check_user_name(name)
    check_password(password, user=name)
    hashed = hash_password(password)  # Slow, so before the transaction.
    caller = Caller(name=name, how="sign-in", address=address)
    with store.write() as connection:
        row = _link_row(store, connection, secret)
        if row is None or (row.name or "") != link.user:
            raise _used_up()
        connection.execute(delete(_link).where(_link.c.sha256 == _hash(secret)))
        if link.user:
            _put_password(connection, name, hashed)
            add_audit_row(store, connection, caller, "set-password", f"user/{name}")
            return name
        there = connection.execute(select(_user.c.id).where(_user.c.name == name)).first()
        if there is None:
            connection.execute(
                insert(_user).values(name=name, role=Role.ADMIN, created_ms=store.clock())
            )
        else:
            connection.execute(
                update(_user).where(_user.c.id == there.id).values(role=Role.ADMIN, is_active=True)
            )
        _put_password(connection, name, hashed)
        after = user_record(user_row(connection, name))
        add_audit_row(store, connection, caller, "set-up", f"user/{name}", after=after)
    return name


def _used_up() -> ForbiddenError:
    return ForbiddenError(
        "This link works no more: it was used, replaced or is too old. Ask an administrator for a "
        "new one (`loopline users invite NAME`); the first one is printed when the server starts."
    )


def set_password(store: Store, name: str, password: str, *, by: str) -> None:
    """Set a user's password without a link: for who owns the store.

    Raises:
        InvalidInputError: It can protect nothing.
        NotFoundError: There is no such user.
    """
    check_password(password, user=name)
    hashed = hash_password(password)
    caller = Caller(name=by, how="store")
    with store.write() as connection:
        _put_password(connection, name, hashed)
        add_audit_row(store, connection, caller, "set-password", f"user/{name}")


def _put_password(connection: Connection, name: str, hashed: str) -> None:
    """Set a password; whoever signed in with the one before is signed out."""
    row = user_row(connection, name)
    connection.execute(update(_user).where(_user.c.id == row.id).values(password=hashed))
    for table in (_session, _link):
        connection.execute(delete(table).where(table.c.user_id == row.id))


# --- others' word for it --------------------------------------------------------------------------


def sign_in_from_outside(
    store: Store, *, issuer: str, subject: str, name: str, role: Role, address: str
) -> User:
    """Find or make the user whom an issuer vouches for, with the role it has there now.

    Raises:
        ForbiddenError: It may not sign in, or somebody else here has its name.
    """
    caller = Caller(name=name, how="sign-in", address=address)
    with store.write() as connection:
        query = select(_user).where(_user.c.source == issuer, _user.c.outside_name == subject)
        row = connection.execute(query).first()
        if row is not None and not row.is_active:
            msg = f"{row.name!r} may not sign in here. Ask an administrator."
            raise ForbiddenError(msg)
        if row is None:
            check_user_name(name)
            # Taking over an account because its name is the same would be a way in.
            if connection.execute(select(_user.c.id).where(_user.c.name == name)).first():
                msg = f"Another user is called {name!r} here. Ask an administrator to rename one."
                raise ForbiddenError(msg)
            connection.execute(
                insert(_user).values(
                    name=name, role=role, source=issuer, outside_name=subject,
                    created_ms=store.clock(),
                )
            )  # fmt: skip
            user = user_record(user_row(connection, name))
            add_audit_row(store, connection, caller, "add-user", f"user/{name}", after=user)
            return user
        if row.role != role:
            connection.execute(update(_user).where(_user.c.id == row.id).values(role=role))
            after = user_record(user_row(connection, row.name))
            before = user_record(row)
            subject_ = f"user/{row.name}"
            caller = Caller(name=row.name, how="sign-in", address=address)
            add_audit_row(
                store, connection, caller, "change-user", subject_, before=before, after=after
            )
            return after
        return user_record(row)
