"""HTML is built from elements, and text in it stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.server.pages.html import document, join, link_to, tag, trusted, url

HOSTILE = "<script>alert('fare')</script>"


class Reader(HTMLParser):
    """Collects what a browser would see: elements and text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(markup: object) -> Reader:
    reader = Reader()
    reader.feed(str(markup))
    reader.close()
    return reader


def test_text_is_escaped_in_children_and_attributes() -> None:
    assert str(tag("p", HOSTILE)) == "<p>&lt;script&gt;alert(&#x27;fare&#x27;)&lt;/script&gt;</p>"
    assert str(tag("p", title='" onclick="x')) == '<p title="&quot; onclick=&quot;x"></p>'


@given(st.text(), st.text())
def test_no_text_becomes_an_element(text: str, title: str) -> None:
    seen = read(tag("p", text, [text, None, 3], title=title))
    assert [name for name, _ in seen.elements] == ["p"]
    assert "<" not in str(tag("p", text)).removeprefix("<p>").removesuffix("</p>")


def test_markup_in_an_f_string_is_text_again() -> None:
    assert "&lt;b&gt;" in str(tag("p", f"{tag('b', 'fare')}"))


def test_attributes_are_written_as_python_can_name_them() -> None:
    made = tag("input", class_="x", aria_label="Filter", required=True, checked=False, id=None)
    assert str(made) == '<input class="x" aria-label="Filter" required>'


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        " javascript:alert(1)",
        "JaVaScRiPt:x",
        "data:text/html,x",
        "//evil.example",
        "/\\evil.example",
        "",
    ],
)
def test_an_address_that_is_code_or_elsewhere_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="begin it with"):
        link_to(address, "fare")


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3), st.text())
def test_an_address_made_of_names_stays_on_this_server(names: list[str], value: str) -> None:
    made = url(*names, query={"filter": value})
    assert re.fullmatch(r"/[A-Za-z0-9._~%/+=?&-]*", made)
    assert not made.startswith("//")
    link_to(made, "fare")


def test_a_document_holds_what_is_trusted_as_it_is() -> None:
    assert document(join(trusted("<svg></svg>"), "&")) == "<!doctype html>\n<svg></svg>&amp;\n"


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no name"):
        tag("p onclick=x")
