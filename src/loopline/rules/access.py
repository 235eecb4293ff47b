"""Who may do what: roles, scopes of tokens, and what of the store a caller sees.

Everything is denied that no role allows. Roles add up: a grant on one thing gives more there than
the role on everything does, never less; the scope of a token is a lid on both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from loopline.errors import InvalidInputError
from loopline.records.identity import Role, Scope, Thing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.records.identity import Access

__all__ = [
    "NEEDED",
    "may_do",
    "parse_role",
    "parse_scope",
    "parse_thing",
    "role_on",
    "role_on_everything",
    "role_on_own",
    "scope_in_the_way",
    "visible",
    "widest_role",
]

_RANK = {Role.NONE: 0, Role.VIEWER: 1, Role.EDITOR: 2, Role.ADMIN: 3}
_LID = {Scope.READ: Role.VIEWER, Scope.WRITE: Role.EDITOR, Scope.ADMIN: Role.ADMIN}

#: The role that a permission of an operation or route needs; ``self`` needs to be known at all.
NEEDED = {
    "self": Role.NONE,
    "view": Role.VIEWER,
    "edit": Role.EDITOR,
    "work": Role.EDITOR,
    "admin": Role.ADMIN,
}


def may_do(role: Role, needed: Role) -> bool:
    """Tell whether a role is enough."""
    return _RANK[role] >= _RANK[needed]


def role_on_everything(access: Access) -> Role:
    """Tell what a caller may do with whatever there is."""
    return _under_lid(access.role, access.scope)


def role_on(access: Access, thing: Thing, name: int | str) -> Role:
    """Tell what a caller may do with one thing."""
    granted = _grants(access, thing).get(name, Role.NONE)
    return _under_lid(max(access.role, granted, key=_RANK.__getitem__), access.scope)


def role_on_own(access: Access) -> Role:
    """Tell what a caller may do with what they made themselves: edit, if they may anywhere."""
    return min(widest_role(access), Role.EDITOR, key=_RANK.__getitem__)


def widest_role(access: Access) -> Role:
    """Tell the most that a caller may do anywhere."""
    roles = [access.role]
    for thing in Thing:
        roles += _grants(access, thing).values()
    return _under_lid(max(roles, key=_RANK.__getitem__), access.scope)


def scope_in_the_way(access: Access, needed: Role) -> Scope | None:
    """Name the least scope that a caller's token lacks for what they themselves may do.

    Returns:
        None if it is not the token that is too weak.
    """
    free = msgspec.structs.replace(access, scope=Scope.ADMIN)
    if may_do(widest_role(access), needed) or not may_do(widest_role(free), needed):
        return None
    return next(scope for scope, lid in _LID.items() if may_do(lid, needed))


def visible(access: Access | None, thing: Thing) -> frozenset[Any] | None:
    """Name the things of a kind that a caller may view; None: all of them."""
    if access is None or may_do(role_on_everything(access), Role.VIEWER):
        return None
    return frozenset(
        name for name, role in _grants(access, thing).items() if may_do(role, Role.VIEWER)
    )


def _grants(access: Access, thing: Thing) -> Mapping[Any, Role]:
    grants: dict[Thing, Mapping[Any, Role]] = {
        Thing.EXPERIMENT: access.experiments,
        Thing.MODEL: access.models,
        Thing.PROJECT: access.projects,
    }
    return grants[thing]


def _under_lid(role: Role, scope: Scope) -> Role:
    return min(role, _LID[scope], key=_RANK.__getitem__)


def parse_role(text: str) -> Role:
    """Read a role.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        return Role(text.lower())
    except ValueError:
        msg = f"{text[:80]!r} is no role. Use one of {', '.join(Role)}."
        raise InvalidInputError(msg) from None


def parse_scope(text: str) -> Scope:
    """Read the scope of a token.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        return Scope(text.lower())
    except ValueError:
        msg = f"{text[:80]!r} is no scope of a token. Use one of {', '.join(Scope)}."
        raise InvalidInputError(msg) from None


def parse_thing(text: str) -> Thing:
    """Read what a role is given on.

    Raises:
        InvalidInputError: It is nothing of the kind.
    """
    try:
        return Thing(text.lower())
    except ValueError:
        msg = f"A role is given on one of {', '.join(Thing)}, not on {text[:80]!r}."
        raise InvalidInputError(msg) from None
