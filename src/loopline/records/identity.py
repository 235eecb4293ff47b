"""Records of identity: users, what they may do, how they prove who they are, and what they did."""

from __future__ import annotations

from enum import StrEnum

from loopline.records.base import Record

__all__ = [
    "Access",
    "AuditPage",
    "AuditRow",
    "AuditVerdict",
    "Caller",
    "Grant",
    "Invitation",
    "NewToken",
    "Role",
    "Scope",
    "Thing",
    "Token",
    "User",
]


class Role(StrEnum):
    """What one may do, each with all before it."""

    NONE = "none"
    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


class Scope(StrEnum):
    """The most that a token lets its holder do, whatever the user may."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class Thing(StrEnum):
    """What a role can be given on."""

    EXPERIMENT = "experiment"
    MODEL = "model"
    PROJECT = "project"


class User(Record, frozen=True, kw_only=True):
    """Somebody, or a program, that a server knows.

    Attributes:
        role: On everything; a grant on one thing may be more.
        is_active: Whether it may sign in; its tokens and sessions count only then.
        source: ``"local"``, or the issuer that vouches for it.
        has_password: Whether it can sign in by password.
    """

    name: str
    role: Role = Role.NONE
    is_active: bool = True
    source: str = "local"
    has_password: bool = False
    created_ms: int


class Invitation(Record, frozen=True, kw_only=True):
    """A link by which a user sets a password, once.

    Attributes:
        path: Below the server's URL; whoever has it can use it, and it is told only once.
        expires_ms: Unix time in milliseconds.
    """

    user: str
    path: str
    expires_ms: int


class Token(Record, frozen=True, kw_only=True):
    """An API token, without its secret.

    Attributes:
        expires_ms: Unix time in milliseconds; 0: never.
        last_used_ms: To the minute; 0: not yet.
        revoked_ms: When it was revoked; 0: it was not.
    """

    token_id: str
    user: str
    name: str = ""
    scope: Scope = Scope.WRITE
    created_ms: int
    expires_ms: int = 0
    last_used_ms: int = 0
    revoked_ms: int = 0


class NewToken(Record, frozen=True, kw_only=True):
    """A token just made, with the secret, which is told only once and kept as a hash."""

    token: Token
    secret: str


class Grant(Record, frozen=True, kw_only=True):
    """A role of a user on one thing.

    Attributes:
        name: Id of the experiment, or name of the registered model or flow project.
    """

    user: str
    thing: Thing
    name: str
    role: Role


class Access(Record, frozen=True, kw_only=True):
    """What a caller may do: the user's role and grants, and the most that the token allows.

    Attributes:
        experiments: Roles by number; so are ``models`` and ``projects`` by name.
    """

    role: Role = Role.NONE
    scope: Scope = Scope.ADMIN
    experiments: dict[int, Role] = {}
    models: dict[str, Role] = {}
    projects: dict[str, Role] = {}


class Caller(Record, frozen=True, kw_only=True):
    """Who asks a server, and from where.

    Attributes:
        name: The user's; empty where a server asks nobody who they are.
        how: ``"password"``, ``"session"``, ``"token <id>"``, ``"sign-in"`` or ``"open"``.
        address: Of the network; empty for the machine itself.
        access: What they may do; None: everything.
    """

    name: str = ""
    how: str = "open"
    address: str = ""
    access: Access | None = None


class AuditRow(Record, frozen=True, kw_only=True):
    """One thing that somebody did.

    Attributes:
        number: From 1, without gaps.
        how: As ``Caller`` has it.
        action: The operation, or ``"sign-in"``, ``"sign-in-failed"``, ``"sign-out"``.
        subject: What it was done to, such as ``"model/taxifare"``.
        before: What that was like, as JSON; empty where it was not there.
        after: What it is like now.
        previous: Hash of the row before, in hex.
        hash: Of this row with ``previous`` in it, in hex.
    """

    number: int
    at_ms: int
    actor: str
    how: str
    address: str
    action: str
    subject: str
    before: str = ""
    after: str = ""
    previous: str
    hash: str


class AuditPage(Record, frozen=True, kw_only=True):
    """Some rows of the audit log, newest first; ``next_before`` 0: there are no more."""

    rows: list[AuditRow]
    next_before: int = 0


class AuditVerdict(Record, frozen=True, kw_only=True):
    """Whether the audit log is as it was written.

    Attributes:
        rows: Rows looked at.
        broken_at: First row that is not as it was written, or that follows a gap; 0: none.
        head: Hash of the last row. Kept elsewhere, it shows later that no row was cut off.
    """

    rows: int
    broken_at: int = 0
    head: str = ""
