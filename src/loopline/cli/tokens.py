"""``loopline tokens``: what programs sign in to a server with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.lazy import LazyGroup
from loopline.cli.options import epilog, with_backend

if TYPE_CHECKING:
    from loopline.backend.protocol import Backend
    from loopline.records.identity import Token

__all__ = ["tokens"]


@click.command("list", epilog=epilog("loopline tokens list", "loopline tokens list --user ana"))
@click.option("--user", default="", help="Whose; without it, and on a store, everybody's.")
@with_backend
def list_(backend: Backend, *, user: str, as_json: bool) -> None:
    """List tokens, newest first, without their secrets."""
    from loopline.cli.output import ago, print_json, print_table
    from loopline.records.operations import ListTokens

    everybody = not user and backend.address.kind != "http"
    found = backend.call(ListTokens(user=user, everybody=everybody))
    if as_json:
        print_json(found)
        return
    print_table(
        ("ID", "USER", "NAME", "SCOPE", "LAST USED", "ENDS"),
        [(each.token_id, each.user, each.name, each.scope,
          ago(each.last_used_ms) if each.last_used_ms else "never", _ends(each))
         for each in found],
        empty="No tokens yet. Make one with `loopline tokens create`.",
    )  # fmt: skip


def _ends(token: Token) -> str:
    from loopline.cli.output import ago

    if token.revoked_ms:
        return f"revoked {ago(token.revoked_ms)}"
    return ago(token.expires_ms) if token.expires_ms else "never"


@click.command(
    epilog=epilog(
        "loopline tokens create --user ana --name laptop",
        "loopline tokens create --user ci-bot --scope read --days 30",
    )
)
@click.option("--user", default="", help="Whose; on a server, yours without it.")
@click.option("--name", default="", help="What it is for.")
@click.option(
    "--scope",
    type=click.Choice(["read", "write", "admin"]),
    default="write",
    show_default=True,
    help="The most it may do, whatever the user may.",
)
@click.option(
    "--days",
    default=90,
    show_default=True,
    type=click.IntRange(0, 3650),
    help="Until it expires; 0: never.",
)
@with_backend
def create(backend: Backend, *, user: str, name: str, scope: str, days: int, as_json: bool) -> None:
    """Make a token and print its secret, which is told only now.

    Programs take it from LOOPLINE_TOKEN, MLflow's clients from MLFLOW_TRACKING_TOKEN.
    """
    from loopline.cli.output import ago, print_json, say
    from loopline.records.operations import CreateToken

    made = backend.call(CreateToken(user=user, name=name, scope=scope, days=days))
    if as_json:
        print_json(made)
        return
    click.echo(made.secret)
    ends = f"ends {ago(made.token.expires_ms)}" if made.token.expires_ms else "never ends"
    say(
        f"Token {made.token.token_id} of {made.token.user}, which may {made.token.scope.value}, "
        f"{ends}. Keep its secret now: it is shown only once."
    )


@click.command(epilog=epilog("loopline tokens revoke 1f0c2a9be3d4"))
@click.argument("token_id")
@with_backend
def revoke(backend: Backend, *, token_id: str, as_json: bool) -> None:
    """Let a token count no more, within seconds."""
    from loopline.cli.output import print_json, say
    from loopline.records.operations import RevokeToken

    gone = backend.call(RevokeToken(token_id=token_id))
    if as_json:
        print_json(gone)
    else:
        say(f"The token {gone.token_id} of {gone.user} counts no more.")


tokens = LazyGroup(
    "tokens",
    help="Make, list and revoke API tokens of a server.",
    table={
        "list": (f"{__name__}:list_", "List tokens, newest first, without their secrets."),
        "create": (
            f"{__name__}:create",
            "Make a token and print its secret, which is told only now.",
        ),
        "revoke": (f"{__name__}:revoke", "Let a token count no more, within seconds."),
    },
)
