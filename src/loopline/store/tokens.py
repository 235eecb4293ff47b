"""API tokens in the store: random secrets, of which only the SHA-256 is kept."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from loopline.errors import ForbiddenError, InvalidInputError, NotFoundError
from loopline.records.identity import NewToken, Role, Scope, Token
from loopline.rules.access import parse_scope, role_on_everything
from loopline.rules.names import check_text
from loopline.store import schema
from loopline.store.callers import caller_of
from loopline.store.users import user_row

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from loopline.records import operations as ops
    from loopline.store.database import Store

__all__ = ["PREFIX", "create_token", "list_tokens", "revoke_token", "token_row"]

_token = schema.token
_user = schema.user
#: What a secret begins with, so that people and scanners know one when they see it.
PREFIX = "loopline_"
MOST_DAYS = 3_650
MOST_NAME = 200
MS_PER_DAY = 86_400_000
#: Tokens with the names of their users.
TOKENS = select(_token, _user.c.name.label("user")).join(_user, _user.c.id == _token.c.user_id)
_ORDER = [Scope.READ, Scope.WRITE, Scope.ADMIN]


def create_token(store: Store, connection: Connection, call: ops.CreateToken) -> NewToken:
    """Make a token.

    Raises:
        ForbiddenError: For another user without being an administrator, or with a scope beyond
            the caller's own.
    """
    scope = parse_scope(call.scope)
    check_text("name of the token", call.name, MOST_NAME)
    if not 0 <= call.days <= MOST_DAYS:
        msg = f"A token works for 1 to {MOST_DAYS:,} days (0: for ever), not for {call.days}."
        raise InvalidInputError(msg)
    user = user_row(connection, _whose(connection, call.user))
    caller = caller_of(connection)
    lid = Scope.ADMIN if caller is None or caller.access is None else caller.access.scope
    if _ORDER.index(scope) > _ORDER.index(lid):
        msg = f"A token that may {lid.value} makes none that may {scope.value}. Ask for less."
        raise ForbiddenError(msg)
    secret, now_ms = PREFIX + secrets.token_urlsafe(32), store.clock()
    token_id = secrets.token_hex(6)
    connection.execute(
        insert(_token).values(
            token_id=token_id,
            sha256=sha256(secret.encode()).hexdigest(),
            user_id=user.id,
            name=call.name,
            scope=scope,
            created_ms=now_ms,
            expires_ms=now_ms + call.days * MS_PER_DAY if call.days else 0,
        )
    )
    return NewToken(token=token_record(token_row(connection, token_id)), secret=secret)


def revoke_token(store: Store, connection: Connection, call: ops.RevokeToken) -> Token:
    """Revoke a token; one that was revoked already stays as it is.

    Raises:
        NotFoundError: There is none, or it is another's.
    """
    row = token_row(connection, call.token_id)
    if not _may_manage(connection, row.user):
        raise _no_token(call.token_id)
    if not row.revoked_ms:
        connection.execute(
            update(_token)
            .where(_token.c.token_id == call.token_id)
            .values(revoked_ms=store.clock())
        )
    return token_record(token_row(connection, call.token_id))


def list_tokens(_store: Store, connection: Connection, call: ops.ListTokens) -> list[Token]:
    """List tokens, newest first.

    Raises:
        ForbiddenError: Of others without being an administrator.
    """
    query = TOKENS.order_by(_token.c.created_ms.desc(), _token.c.token_id)
    if not call.everybody:
        query = query.where(
            _user.c.name == user_row(connection, _whose(connection, call.user)).name
        )
    elif not _may_manage(connection, ""):
        raise _not_yours()
    return [token_record(row) for row in connection.execute(query).all()]


def _whose(connection: Connection, name: str) -> str:
    """Tell whose tokens are meant, where the caller may say so."""
    caller = caller_of(connection)
    whose = name or (caller.name if caller is not None else "")
    if not whose:
        msg = "Say whose tokens are meant: give a user (on the command line: --user NAME)."
        raise InvalidInputError(msg)
    if not _may_manage(connection, whose):
        raise _not_yours()
    return whose


def _may_manage(connection: Connection, user: str) -> bool:
    caller = caller_of(connection)
    if caller is None or caller.access is None or (user and user == caller.name):
        return True
    return role_on_everything(caller.access) is Role.ADMIN


def _not_yours() -> ForbiddenError:
    return ForbiddenError("Tokens of others are an administrator's to see and make. Ask one.")


def _no_token(token_id: str) -> NotFoundError:
    return NotFoundError(
        f"No token {token_id[:80]!r}. List yours with `loopline tokens list`; it is the id that is "
        "asked for here, and not the secret."
    )


def token_row(connection: Connection, token_id: str) -> Row[Any]:
    """Get a token's row, with the name of its user.

    Raises:
        NotFoundError: There is none.
    """
    row = connection.execute(TOKENS.where(_token.c.token_id == token_id)).first()
    if row is None:
        raise _no_token(token_id)
    return row


def token_record(row: Row[Any]) -> Token:
    """Make a record of a row, without its secret."""
    return Token(
        token_id=row.token_id,
        user=row.user,
        name=row.name,
        scope=Scope(row.scope),
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        last_used_ms=row.last_used_ms,
        revoked_ms=row.revoked_ms,
    )
