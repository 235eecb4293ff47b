"""``loopline users``: who may use a server, and what they may do there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import actor, epilog, with_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.identity import Invitation, User

__all__ = ["users"]

ROLES = click.Choice(["none", "viewer", "editor", "admin"])
THINGS = click.Choice(["experiment", "model", "project"])


@click.command("list", epilog=epilog("loopline users list", "loopline users list --json"))
@with_backend
def list_(backend: Backend, *, as_json: bool) -> None:
    """List users by name."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListUsers

    found = backend.call(ListUsers())
    if as_json:
        print_json(found)
        return
    print_table(
        ("NAME", "ROLE", "SIGNS IN", "FROM", "MADE"),
        [(user.name, user.role, _signs_in(user), user.source, ago(user.created_ms))
         for user in found],
        empty="No users yet. `loopline server --auth` prints a link that makes the first one.",
    )  # fmt: skip


def _signs_in(user: User) -> str:
    if not user.is_active:
        return "no"
    if user.source != "local":
        return "elsewhere"
    return "by password" if user.has_password else "by token only"


@click.command(
    epilog=epilog("loopline users add ana --role editor", "loopline users add ci-bot --role none")
)
@click.argument("name")
@click.option(
    "--role", type=ROLES, default="none", show_default=True, help="What it may do with everything."
)
@with_backend
def add(backend: Backend, *, name: str, role: str, as_json: bool) -> None:
    """Make a user; `loopline users invite` makes a link to set a password."""
    from loopline.records.operations import AddUser

    _show(backend.call(AddUser(name=name, role=role)), as_json=as_json)


@click.command(epilog=epilog("loopline users role ana admin", "loopline users role ana none"))
@click.argument("name")
@click.argument("role", type=ROLES)
@with_backend
def role(backend: Backend, *, name: str, role: str, as_json: bool) -> None:
    """Say what a user may do with everything."""
    from loopline.records.operations import ChangeUser

    _show(backend.call(ChangeUser(name=name, role=role)), as_json=as_json)


@click.command(epilog=epilog("loopline users disable ana"))
@click.argument("name")
@with_backend
def disable(backend: Backend, *, name: str, as_json: bool) -> None:
    """Let a user in no more, nor its tokens."""
    from loopline.records.operations import ChangeUser

    _show(backend.call(ChangeUser(name=name, is_active=False)), as_json=as_json)


@click.command(epilog=epilog("loopline users enable ana"))
@click.argument("name")
@with_backend
def enable(backend: Backend, *, name: str, as_json: bool) -> None:
    """Let a user in again."""
    from loopline.records.operations import ChangeUser

    _show(backend.call(ChangeUser(name=name, is_active=True)), as_json=as_json)


@click.command(epilog=epilog("loopline users remove ana"))
@click.argument("name")
@with_backend
def remove(backend: Backend, *, name: str, as_json: bool) -> None:
    """Delete a user with its tokens and grants; the audit log stays."""
    from loopline.records.operations import RemoveUser

    _show(backend.call(RemoveUser(name=name)), as_json=as_json)


@click.command(epilog=epilog("loopline users invite ana", "loopline users invite ana --hours 2"))
@click.argument("name")
@click.option(
    "--hours", default=24, show_default=True, type=click.IntRange(1, 720), help="How long it works."
)
@with_backend
def invite(backend: Backend, *, name: str, hours: int, as_json: bool) -> None:
    """Make a link by which a user sets a new password, once."""
    from loopline.cli.output import ago, print_json, say
    from loopline.records.operations import InviteUser

    made: Invitation = backend.call(InviteUser(name=name, hours=hours))
    is_server = backend.address.kind == "http"
    link = f"{backend.address.text}{made.path}" if is_server else made.path
    if as_json:
        print_json({"user": made.user, "link": link, "expires_ms": made.expires_ms})
        return
    click.echo(link)
    where = "" if is_server else " Put your server's address before it."
    say(f"For {name} alone; it works once and ends {ago(made.expires_ms)}.{where}")


@click.command(
    "set-password",
    epilog=epilog("loopline users set-password ana", "loopline users set-password ci < password"),
)
@click.argument("name")
@with_backend
def set_password(backend: Backend, *, name: str, as_json: bool) -> None:
    """Set a user's password, typed or from standard input.

    Only where the store is: a server takes no passwords of others.
    """
    from loopline.backend.local import LocalBackend
    from loopline.cli.output import print_json, say
    from loopline.store.sign_in import set_password as put

    if not isinstance(backend, LocalBackend):
        msg = "A server takes no passwords from here. Send a link: loopline users invite NAME"
        raise click.UsageError(msg)
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    put(backend.store, name, password, by=actor())
    if as_json:
        print_json({"user": name})
    else:
        say(f"{name} signs in with it from now on, and is signed out everywhere.")


@click.command(
    epilog=epilog(
        "loopline users grant ana experiment 3 editor",
        "loopline users grant ana model taxifare viewer",
        "loopline users grant ana project 'wagoncab project' none",
    )
)
@click.argument("user")
@click.argument("thing", type=THINGS)
@click.argument("name")
@click.argument("role", type=ROLES)
@with_backend
def grant(backend: Backend, *, user: str, thing: str, name: str, role: str, as_json: bool) -> None:
    """Give a user a role on one experiment, model or flow project.

    An experiment goes by its id, the others by name. The role adds to the one on everything; none
    takes it away.
    """
    from loopline.cli.output import print_json, say
    from loopline.records.operations import SetGrant

    made = backend.call(SetGrant(user=user, thing=thing, name=name, role=role))
    if as_json:
        print_json(made)
    else:
        say(f"{made.user} has the role {made.role.value} on the {made.thing.value} {made.name}.")


@click.command(epilog=epilog("loopline users grants", "loopline users grants ana"))
@click.argument("user", required=False, default="")
@with_backend
def grants(backend: Backend, *, user: str, as_json: bool) -> None:
    """List roles on single things."""
    from loopline.cli.output import print_json, print_table
    from loopline.records.operations import ListGrants

    found = backend.call(ListGrants(user=user))
    if as_json:
        print_json(found)
        return
    print_table(
        ("USER", "ON", "NAME", "ROLE"),
        [(each.user, each.thing, each.name, each.role) for each in found],
        empty="No grants. Give one with `loopline users grant`.",
    )


def _show(user: User, *, as_json: bool) -> None:
    from loopline.cli.output import print_json, say

    if as_json:
        print_json(user)
    else:
        active = "" if user.is_active else " and may not sign in"
        say(f"{user.name} has the role {user.role.value} on everything{active}.")


users = LazyGroup(
    "users",
    help="Say who may use a server, and what they may do there.",
    table={
        "list": (f"{__name__}:list_", "List users by name."),
        "add": (
            f"{__name__}:add",
            "Make a user; `loopline users invite` makes a link to set a password.",
        ),
        "role": (f"{__name__}:role", "Say what a user may do with everything."),
        "disable": (f"{__name__}:disable", "Let a user in no more, nor its tokens."),
        "enable": (f"{__name__}:enable", "Let a user in again."),
        "remove": (
            f"{__name__}:remove",
            "Delete a user with its tokens and grants; the audit log stays.",
        ),
        "invite": (
            f"{__name__}:invite",
            "Make a link by which a user sets a new password, once.",
        ),
        "set-password": (
            f"{__name__}:set_password",
            "Set a user's password, typed or from standard input.",
        ),
        "grant": (
            f"{__name__}:grant",
            "Give a user a role on one experiment, model or flow project.",
        ),
        "grants": (f"{__name__}:grants", "List roles on single things."),
    },
)
