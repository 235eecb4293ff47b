"""The frame of every page: head, navigation, foot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.server.assets import asset_hash, asset_url
from loopline.server.pages.html import Markup, document, join, link_to, tag
from loopline.server.sites import CONTENT_POLICY
from loopline.server.version import installed_version

if TYPE_CHECKING:
    from loopline.server.pages.request import Page

__all__ = ["LINKS", "frame", "policy_for"]

#: Follows the links that MLflow's clients print.
LINKS = "links.js"

TABS = (
    ("Home", "/"),
    ("Experiments", "/experiments"),
    ("Runs", "/runs"),
    ("Models", "/models"),
    ("Flows", "/flows"),
    ("Flow runs", "/flow-runs"),
)


def frame(page: Page, *, store: str, who: str = "", bare: bool = False) -> str:
    """Put a page into its frame.

    Args:
        page: The page.
        store: Where its content is kept, for the foot; empty: it is not told.
        who: Who looks, if the server asks that.
        bare: Leave out where else one could go.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        _refresh(page.refresh_s),
        tag("title", f"{page.title} · Loopline" if page.title != "Loopline" else page.title),
        tag("link", rel="icon", href=asset_url("icon.svg"), type="image/svg+xml"),
        tag("link", rel="stylesheet", href=asset_url("loopline.css")),
        _script(page.script),
    )
    tabs = [
        link_to(address, name, aria_current="page" if name == page.tab else None)
        for name, address in TABS
    ]
    brand = link_to("/", tag("img", src=asset_url("icon.svg"), alt=""), "Loopline", class_="brand")
    body = tag(
        "body",
        link_to("#content", "Skip to the content", class_="skip"),
        tag(
            "header",
            brand,
            None if bare else tag("nav", tabs, aria_label="Main"),
            _whose(who) if who else None,
            class_="top",
        ),
        tag("main", page.body, id="content"),
        tag(
            "footer",
            f"Loopline {installed_version()}{f', serving {store}' if store else ''}",
            class_="foot",
        ),
    )
    return document(tag("html", join(head, body), lang="en"))


def policy_for(page: Page) -> dict[str, str]:
    """Make the header that lets a page's one script run; none where there is none.

    That one file may, and not what else somebody may bring in here.
    """
    if not page.script:
        return {}
    return {"Content-Security-Policy": f"{CONTENT_POLICY}; script-src '{asset_hash(page.script)}'"}


def _script(name: str) -> Markup | None:
    return tag("script", src=asset_url(name), integrity=asset_hash(name)) if name else None


def _whose(name: str) -> Markup:
    """Who looks, and the way out."""
    out = tag(
        "form",
        tag("button", "Sign out", type="submit", class_="plain"),
        method="post",
        action="/logout",
    )
    return tag("div", link_to("/me", name), out, class_="whose")


def _refresh(seconds: int) -> Markup | None:
    return tag("meta", http_equiv="refresh", content=seconds) if seconds else None
