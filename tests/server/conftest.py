"""A server over the taxi-fare story, shared by the tests that only read."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.server import story
from tests.server.running import running

from loopline.backend.local import LocalBackend
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


class Served(NamedTuple):
    """A server over the story."""

    url: str
    flow_runs: list[str]
    address: Address


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = Address("home", str(tmp_path_factory.mktemp("story") / ".loopline"))
    backend = LocalBackend(home)
    flow_runs = story.fill(backend, tmp_path_factory.mktemp("files"))
    backend.close()
    with pytest.MonkeyPatch.context() as patch, running(home) as url:
        # The story's running run has no writer that gives signs of life.
        patch.setattr("loopline.server.janitor.SILENT_S", 3600.0)
        yield Served(url, flow_runs, home)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if found is None:
        pytest.fail("This test needs a browser: apt-get install -y chromium fonts-dejavu-core")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        browser.close()
