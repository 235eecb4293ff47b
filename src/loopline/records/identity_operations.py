"""Operations on users, their roles and tokens, and on the audit log.

Passwords are no part of them: a user sets one by a link that works once.
"""

from __future__ import annotations

from typing import ClassVar

from loopline.records.identity import (
    AuditPage,
    AuditVerdict,
    Grant,
    Invitation,
    NewToken,
    Token,
    User,
)
from loopline.records.operation import Operation

__all__ = [
    "AddUser",
    "ChangeUser",
    "CreateToken",
    "InviteUser",
    "ListAudit",
    "ListGrants",
    "ListTokens",
    "ListUsers",
    "RemoveUser",
    "RevokeToken",
    "SetGrant",
    "VerifyAudit",
    "WhoAmI",
]


class AddUser(Operation[User], frozen=True, kw_only=True):
    """Make a user, who has no password and no token yet.

    Attributes:
        role: On everything: ``"none"``, ``"viewer"``, ``"editor"`` or ``"admin"``.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    name: str
    role: str = "none"


class ChangeUser(Operation[User], frozen=True, kw_only=True):
    """Give a user another role, or let it sign in no more, or again.

    The last administrator who can sign in stays one.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    name: str
    role: str | None = None
    is_active: bool | None = None


class RemoveUser(Operation[User], frozen=True, kw_only=True):
    """Delete a user with its tokens, sessions and grants; answers what it was."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    name: str


class InviteUser(Operation[Invitation], frozen=True, kw_only=True):
    """Make a link by which a user sets a new password; links made before stop working."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    answers_secret: ClassVar[bool] = True
    name: str
    hours: int = 24


class ListUsers(Operation[list[User]], frozen=True, kw_only=True):
    """List users by name."""

    permission: ClassVar[str] = "admin"


class WhoAmI(Operation[User], frozen=True, kw_only=True):
    """Tell who the caller is to this server."""

    permission: ClassVar[str] = "self"


class CreateToken(Operation[NewToken], frozen=True, kw_only=True):
    """Make an API token; its secret is in this answer and nowhere else.

    Attributes:
        user: Whose; empty: the caller's own. That of another needs an administrator.
        name: What it is for.
        scope: ``"read"``, ``"write"`` or ``"admin"``, at most the caller's own.
        days: Until it expires, 1 to 3,650; 0: never.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "self"
    answers_secret: ClassVar[bool] = True
    user: str = ""
    name: str = ""
    scope: str = "write"
    days: int = 90


class RevokeToken(Operation[Token], frozen=True, kw_only=True):
    """Revoke a token, the caller's own or, for administrators, anybody's."""

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "self"
    token_id: str


class ListTokens(Operation[list[Token]], frozen=True, kw_only=True):
    """List tokens, newest first: the caller's, or those of a user, or (``everybody``) all."""

    permission: ClassVar[str] = "self"
    user: str = ""
    everybody: bool = False


class SetGrant(Operation[Grant], frozen=True, kw_only=True):
    """Give a user a role on one thing, in the place of the one it had there.

    Attributes:
        thing: ``"experiment"``, ``"model"`` or ``"project"``.
        name: Id of the experiment, or name of the model or flow project.
        role: ``"none"`` takes the grant away.
    """

    changes: ClassVar[bool] = True
    permission: ClassVar[str] = "admin"
    user: str
    thing: str
    name: str
    role: str


class ListGrants(Operation[list[Grant]], frozen=True, kw_only=True):
    """List grants by user and thing; of one user when it is named."""

    permission: ClassVar[str] = "admin"
    user: str = ""


class ListAudit(Operation[AuditPage], frozen=True, kw_only=True):
    """List the audit log, newest first.

    Attributes:
        before: Only rows before this number; 0: from the newest.
        limit: 1 to 1,000.
        actor: Only of this user.
        subject: Only what was done to this.
    """

    permission: ClassVar[str] = "admin"
    before: int = 0
    limit: int = 100
    actor: str = ""
    subject: str = ""


class VerifyAudit(Operation[AuditVerdict], frozen=True, kw_only=True):
    """Check every row of the audit log against its hash and the row before."""

    permission: ClassVar[str] = "admin"
