"""The README is short and leads to every page, and no link between pages is broken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
#: Pages with links, by their place in the project.
WRITTEN = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"]
WRITTEN += [str(page.relative_to(ROOT)) for page in PAGES]


def links_of(page: str) -> set[Path]:
    """Find what a page links to in the project."""
    targets = re.findall(r"\]\(([^)\s#]+)[^)]*\)", (ROOT / page).read_text())
    return {(ROOT / page).parent / target for target in targets if not re.match(r"[a-z]+:", target)}


def test_the_readme_is_under_120_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_readme_leads_to_every_page(page: Path) -> None:
    assert page in links_of("README.md")


@pytest.mark.parametrize("page", WRITTEN)
def test_no_link_between_pages_is_broken(page: str) -> None:
    assert [str(target) for target in links_of(page) if not target.exists()] == []
