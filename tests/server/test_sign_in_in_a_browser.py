"""Setting up, signing in and out, and making a token in a real browser, on screens of all kinds."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.reliability.serving import free_port
from tests.server.running import running
from tests.server.team import PASSWORD, team_at

from loopline.records import facts as f
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.deep, pytest.mark.timeout(300)]

VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]

#: Pictures of the pages are kept here for somebody to look at, when it is set.
PICTURES = os.environ.get("LOOPLINE_TEST_PICTURES")


def look(page: Page, name: str, width: int, scheme: str) -> None:
    """See that a page fits; keep its picture when asked."""
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, f"{name} is {wide} px wide on a screen of {width}"
    if PICTURES:
        folder = Path(PICTURES)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_somebody_sets_up_a_server_signs_in_and_makes_a_token(
    browser: Browser, tmp_path: Path, width: int, scheme: str
) -> None:
    links: list[str] = []
    with running(Address("home", str(tmp_path / "home")), auth=True, on_set_up=links.append) as url:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.goto(links[0])
        look(page, "set-up", width, scheme)
        page.get_by_label("Name").fill("ana")
        page.get_by_label("Password, 10 characters or more").fill(PASSWORD)
        page.get_by_label("Once more").fill(PASSWORD)
        page.get_by_role("button", name="Set password and sign in").click()
        page.wait_for_url(f"{url}/")
        look(page, "home-signed-in", width, scheme)
        page.get_by_role("link", name="ana").click()
        page.get_by_label("What it is for").fill("laptop")
        page.get_by_role("button", name="Make token").click()
        assert "loopline_" in page.get_by_text("Copy the token now").locator("..").inner_text()
        look(page, "token", width, scheme)
        page.get_by_role("button", name="Revoke").click()
        page.wait_for_url(f"{url}/me")
        assert page.get_by_role("button", name="Revoke").count() == 0
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{url}/login")
        assert not problems
        page.goto(f"{url}/experiments")
        assert page.url == f"{url}/login?next=/experiments"
        look(page, "login", width, scheme)
        page.get_by_label("Name").fill("ana")
        page.get_by_label("Password").fill("something else")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("alert").wait_for()
        look(page, "login-wrong", width, scheme)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{url}/experiments")
        page.goto(links[0])
        look(page, "used-link", width, scheme)
        context.close()


@pytest.mark.parametrize("path", ["", "/ml"])
def test_a_link_that_mlflow_prints_is_not_forgotten_by_signing_in(
    browser: Browser, tmp_path: Path, path: str
) -> None:
    port = free_port()
    public_url = f"http://127.0.0.1:{port}{path}" if path else ""
    with team_at(tmp_path, port=port, public_url=public_url) as team:
        team.user("ana", "editor", password=True)
        begun = f.RunStarted(run_id="ab" * 16, experiment="wagoncab taxifare", start_ms=1)
        team.owner.call(ops.RecordFacts(facts=[begun]))
        context = browser.new_context()
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.goto(f"{team.url}{path}/#/experiments/1/runs/{'ab' * 16}/artifacts")
        page.wait_for_url(re.compile(r"/login\?next=%2Fruns%2F"))
        page.get_by_label("Name").fill("ana")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{team.url}{path}/runs/{'ab' * 16}")
        assert page.title().endswith("· Loopline")
        assert problems == []
        context.close()
