"""Pages of decisions: each has a number of its own, and what names one by its number finds it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "decisions").glob("*.md"))
#: A number in parentheses, as the pages name each other, or the name of a page.
_NUMBER = re.compile(r"\((00\d{2})\)")
_PAGE = re.compile(r"decisions/(\d{4}-[a-z0-9-]+)")


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = Counter(page.name[:4] for page in PAGES)
    assert [number for number, count in numbers.items() if count > 1] == []
    assert sorted(map(int, numbers)) == list(range(1, len(PAGES) + 1))


@pytest.mark.parametrize("page", PAGES, ids=[page.stem[:4] for page in PAGES])
def test_a_decision_names_others_that_are_there(page: Path) -> None:
    named = set(_NUMBER.findall(page.read_text("utf-8")))
    assert named <= {each.name[:4] for each in PAGES}


def test_what_names_a_page_of_a_decision_finds_it() -> None:
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]
    named = {name for file in files for name in _PAGE.findall(file.read_text("utf-8"))}
    assert named <= {page.stem for page in PAGES}
