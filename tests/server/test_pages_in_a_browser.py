"""The pages in a real browser: nothing blocked, nothing from elsewhere, nothing cut off."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.server import story
from tests.server.test_pages import PATHS

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from tests.server.conftest import Served

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]

VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]

#: Pictures of the pages are kept here for somebody to look at, when it is set.
PICTURES = os.environ.get("LOOPLINE_TEST_PICTURES")


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_every_page_fits_and_has_no_errors(
    served: Served, browser: Browser, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(served.url)
            else problems.append(f"{page.url} asks {request.url}")
        ),
    )
    for number, path in enumerate([*PATHS, *(f"/flow-runs/{run}" for run in served.flow_runs[:3])]):
        page.goto(served.url + path)
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if wide > 0:
            problems.append(f"{path} is {wide} pixels too wide at {width}")
        broken = page.evaluate(
            "[...document.images].filter(i => i.loading != 'lazy' && !i.naturalWidth)"
            ".map(i => i.src)"
        )
        problems.extend(f"{path} shows no picture {source}" for source in broken)
        if PICTURES:
            Path(PICTURES).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{PICTURES}/{number:02}-{width}-{scheme}.png", full_page=True)
    context.close()
    assert problems == []


def test_an_artifact_with_a_script_is_saved_and_not_run(served: Served, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto(f"{served.url}/runs/{story.run_id(1)}")
    with page.expect_download() as download:
        page.get_by_role("link", name="report.html").click()
    assert download.value.suggested_filename == "report.html"
    context.close()


def test_the_story_is_a_few_clicks_from_home(served: Served, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(served.url)
    page.get_by_role("link", name=f"{story.MODEL} v5").click()
    assert page.title() == f"{story.MODEL} · Loopline"
    row = page.locator("#v5").locator("xpath=ancestor::tr")
    row.get_by_role("link", name="v5").click()
    assert page.title() == f"{story.MODEL} v5 · Loopline"
    page.go_back()
    row.locator("a[href^='/runs/']").first.click()
    assert page.title() == "train on 2023-02 · Loopline"
    page.get_by_role("link", name="night-shift-5").or_(
        page.locator("a[href^='/flow-runs/']")
    ).last.click()
    assert page.title() == "night-shift-5 · Loopline"
    page.close()


def test_links_that_mlflow_prints_lead_to_our_pages(served: Served, browser: Browser) -> None:
    page = browser.new_page()
    run_id = story.run_id(5)
    for link, path in {
        f"#/experiments/1/runs/{run_id}": f"/runs/{run_id}",
        f"#/experiments/1/models/{story.model_id(1)}": f"/logged-models/{story.model_id(1)}",
        "#/experiments/1": "/experiments/1",
        f"#/models/{story.MODEL}/versions/5": f"/models/{story.MODEL}#v5",
        f"#/models/{story.MODEL}": f"/models/{story.MODEL}",
        "#/models": "/models",
        "#/experiments": "/experiments",
        "#/experiments/1/runs?searchFilter=": "/experiments/1",
    }.items():
        page.goto("about:blank")  # Another end of the same address is no new page.
        page.goto(f"{served.url}/{link}")
        page.wait_for_url(f"{served.url}{path}")
    page.close()
