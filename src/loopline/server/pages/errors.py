"""The page that is shown instead of the one that could not be."""

from __future__ import annotations

from http import HTTPStatus

from loopline.server.pages.html import join, link_to, tag
from loopline.server.pages.request import Page

__all__ = ["page_of_error"]


def page_of_error(status: int, message: str, *, path: str) -> Page:
    """Say what is wrong and where to go on.

    Args:
        status: HTTP status.
        message: What is wrong, in a sentence or two.
        path: What was asked for.
    """
    phrase = HTTPStatus(status).phrase if status in {item.value for item in HTTPStatus} else "Error"
    if message == phrase:  # The router's own refusal has no more words than that.
        message = f"There is no page {path[:200]}."
    body = join(
        tag("h1", phrase),
        tag("section", tag("pre", message), tag("p", link_to("/", "Go to the start page"))),
    )
    return Page(phrase, body)
