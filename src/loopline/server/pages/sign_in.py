"""The pages by which people sign in, set a password, and keep their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.rules.access import widest_role
from loopline.rules.words import distance_words
from loopline.server.pages import parts
from loopline.server.pages.html import Child, Markup, join, link_to, tag
from loopline.server.pages.layout import LINKS
from loopline.server.pages.parts import Column
from loopline.server.pages.request import Page
from loopline.store.passwords import LEAST_LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.identity import Caller, NewToken, Token

__all__ = ["me_page", "set_up_page", "sign_in_page"]


def sign_in_page(
    *, then: str, name: str = "", wrong: str = "", outside: Sequence[tuple[str, str]] = ()
) -> Page:
    """Ask who somebody is.

    Args:
        then: Path to go on to.
        name: As typed before.
        wrong: What was wrong with it.
        outside: Names and addresses of others who can vouch.
    """
    form = tag(
        "form",
        tag("input", type="hidden", name="next", value=then),
        _field("Name", "name", value=name, autocomplete="username", autofocus=not name),
        _field(
            "Password",
            "password",
            type="password",
            autocomplete="current-password",
            autofocus=bool(name),
        ),
        tag("button", "Sign in", type="submit"),
        method="post",
        action="/login",
        class_="card",
    )
    ways = [link_to(address, f"Sign in with {who}", class_="button") for who, address in outside]
    body = tag(
        "section",
        tag("h1", "Sign in"),
        _wrong(wrong),
        tag("div", ways, class_="ways") if ways else None,
        form,
        tag(
            "p",
            "No password yet? An administrator makes a link for you: ",
            tag("code", "loopline users invite NAME"),
            class_="soft small",
        ),
        class_="narrow",
    )
    return Page("Sign in", body, script=LINKS)


def set_up_page(*, link: str, user: str, name: str = "", wrong: str = "") -> Page:
    """Let somebody choose a password, by a link that works once.

    Args:
        link: Its secret.
        user: Whose password it is; empty: the first administrator, who also chooses a name.
        name: As typed before.
        wrong: What was wrong with it.
    """
    title = "Set your password" if user else "Set up this server"
    first = tag("p", "You become its administrator. This link works once.", class_="soft")
    form = tag(
        "form",
        tag("input", type="hidden", name="link", value=link),
        _field(
            "Name",
            "name",
            value=user or name,
            autocomplete="username",
            readonly=bool(user),
            autofocus=not user,
        ),
        _field(
            f"Password, {LEAST_LENGTH} characters or more",
            "password",
            type="password",
            autocomplete="new-password",
            minlength=LEAST_LENGTH,
            autofocus=bool(user),
        ),
        _field("Once more", "again", type="password", autocomplete="new-password"),
        tag("button", "Set password and sign in", type="submit"),
        method="post",
        action="/set-up",
        class_="card",
    )
    body = tag(
        "section", tag("h1", title), None if user else first, _wrong(wrong), form, class_="narrow"
    )
    return Page(title, body)


def me_page(
    caller: Caller, tokens: list[Token], now_ms: int, *, made: NewToken | None = None
) -> Page:
    """Show somebody's own tokens: ``/me``.

    Args:
        caller: Who looks.
        tokens: Theirs, newest first.
        now_ms: Unix time in milliseconds.
        made: The token just made, whose secret is shown this once.
    """
    active = [each for each in tokens if not each.revoked_ms]
    rows = [_row(each, now_ms) for each in active]
    columns = (
        Column("Token", "name"),
        Column("May", "nowrap"),
        Column("Last used", "nowrap"),
        Column("Ends", "nowrap"),
        Column("", "right"),
    )
    listed: Child = (
        parts.table(columns, rows, label="Tokens")
        if rows
        else parts.empty("No tokens yet. Programs sign in with one; make the first below.")
    )
    role = "administrator" if caller.access is None else widest_role(caller.access).value
    body = join(
        tag("h1", caller.name, tag("span", role, class_="pill busy")),
        None if made is None else _made(made),
        parts.section("Tokens", listed, count=len(active)),
        parts.section("New token", _new()),
    )
    return Page(caller.name, body)


def _row(token: Token, now_ms: int) -> Sequence[Child]:
    ends = distance_words(token.expires_ms, now_ms) if token.expires_ms else "never"
    used = distance_words(token.last_used_ms, now_ms) if token.last_used_ms else "never"
    revoke = tag(
        "form",
        tag("input", type="hidden", name="token_id", value=token.token_id),
        tag("button", "Revoke", type="submit", class_="plain"),
        method="post",
        action="/me/tokens/revoke",
    )
    name = join(token.name or "unnamed", " ", tag("code", token.token_id))
    return (name, token.scope.value, used, ends, revoke)


def _made(made: NewToken) -> Markup:
    return parts.note(
        tag("p", "Copy the token now. It is shown only once, and kept here as a hash:"),
        parts.command(made.secret),
        tag("p", "Loopline and MLflow's clients take it from the environment:", class_="small"),
        parts.command(f"export LOOPLINE_TOKEN={made.secret}"),
        parts.command(f"export MLFLOW_TRACKING_TOKEN={made.secret}"),
    )


def _new() -> Markup:
    scopes = [
        tag("option", words, value=scope, selected=scope == "write")
        for scope, words in (
            ("read", "read: look at everything you may"),
            ("write", "write: log runs, register models, run flows"),
            ("admin", "admin: all that you may"),
        )
    ]
    return tag(
        "form",
        _field("What it is for", "name", maxlength=200, required=False),
        tag("label", tag("span", "What it may do"), tag("select", scopes, name="scope")),
        _field("Days until it ends", "days", type="number", value="90", min=0, max=3650),
        tag("button", "Make token", type="submit"),
        method="post",
        action="/me/tokens",
        class_="card",
    )


def _field(label: str, name: str, **attributes: str | int | bool | None) -> Markup:
    attributes = {"type": "text", "required": True, **attributes}
    return tag("label", tag("span", label), tag("input", name=name, **attributes))


def _wrong(sentence: str) -> Markup | None:
    return parts.note(tag("p", sentence), kind="bad") if sentence else None
