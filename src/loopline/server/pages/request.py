"""What a page is asked with, and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.backend.protocol import Backend
    from loopline.server.pages.html import Markup

__all__ = ["Page", "PageRequest"]


class PageRequest(NamedTuple):
    """One look at a page.

    Attributes:
        backend: Where its content is.
        names: The parts of the path that differ, decoded, such as a run's id.
        query: What stands after the ``?``.
        now_ms: Unix time in milliseconds, so that "3 m ago" means the same all over the page.
    """

    backend: Backend
    names: list[str]
    query: Mapping[str, str]
    now_ms: int

    def number(self, name: str, default: int) -> int:
        """Read a whole number of 0 or more from the query; anything else is the default."""
        text = self.query.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else default  # noqa: PLR2004


class Page(NamedTuple):
    """A page before its frame.

    Attributes:
        title: Names the object: what a browser's tab shows.
        body: Everything below the navigation.
        refresh_s: Seconds after which the browser loads it again; 0: never.
        tab: Which entry of the navigation it belongs to.
        script: The asset that may run in it; empty: none, as nearly everywhere.
    """

    title: str
    body: Markup
    refresh_s: int = 0
    tab: str = ""
    script: str = ""
