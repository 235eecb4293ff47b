"""HTML built from elements, so that text from users is always escaped.

``tag("p", "Error: ", message, class_="note")`` makes a ``Markup``. Every child that is not a
``Markup`` is escaped, and a ``Markup`` is no ``str``: joining it into an f-string gives text, which
is escaped again. That is ugly and seen at once, where the other way round would be a hole.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, urlencode

from loopline.server.prefix import here

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Child", "Markup", "document", "join", "link_to", "tag", "trusted", "url"]

VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})

#: Attributes that hold an address, in which ``javascript:`` would be code.
ADDRESSES = frozenset({"href", "src", "action"})

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_SAFE_ADDRESS = re.compile(r"(?:https?://|[/?#](?![/\\]))", re.IGNORECASE)


class Markup:
    """Finished HTML."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Markup({self.text!r})"


Child: TypeAlias = "Markup | str | int | float | Iterable[Child] | None"


def trusted(text: str) -> Markup:
    """Take HTML as it is: only for what Loopline itself has made and escaped."""
    return Markup(text)


def join(*children: Child) -> Markup:
    """Put children one after the other; None is nothing."""
    return Markup("".join(_pieces(children)))


def tag(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Make an element.

    Args:
        name: Such as ``"p"``.
        children: What is in it; text is escaped, None is nothing, lists are flattened.
        attributes: ``class_`` is ``class``, ``aria_label`` is ``aria-label``; True is an
            attribute without a value, None and False leave it out.

    Raises:
        ValueError: For a name that is none, or an address that is neither http(s) nor a path
            on this server.
    """
    parts = [f"<{_checked(name)}"]
    for key, value in attributes.items():
        attribute = _checked(key.rstrip("_").replace("_", "-"))
        if value is None or value is False:
            continue
        if value is True:
            parts.append(f" {attribute}")
            continue
        text = str(value)
        if attribute in ADDRESSES:
            if not _SAFE_ADDRESS.match(text):
                msg = f"{value!r} may not be in {attribute!r}: begin it with /, ?, # or http(s)://."
                raise ValueError(msg)
            text = here(text)
        parts.append(f' {attribute}="{html.escape(text)}"')
    parts.append(">")
    if name in VOID:
        return Markup("".join(parts))
    parts.extend(_pieces(children))
    parts.append(f"</{name}>")
    return Markup("".join(parts))


def document(*children: Child) -> str:
    """Make a whole page."""
    return f"<!doctype html>\n{join(*children)}\n"


def url(*segments: str, query: Mapping[str, str] | None = None) -> str:
    """Make a path on this server from segments that may hold anything, a ``/`` included."""
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    wanted = {key: value for key, value in (query or {}).items() if value}
    return f"{path}?{urlencode(wanted)}" if wanted else path


def link_to(address: str, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Make a link."""
    return tag("a", *children, href=address, **attributes)


def _pieces(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            yield child.text
        elif isinstance(child, str | int | float):
            yield html.escape(str(child))
        else:
            yield from _pieces(child)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        msg = f"{name!r} is no name of an element or attribute."
        raise ValueError(msg)
    return name
