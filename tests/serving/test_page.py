"""The page of a serving process: what answers, and a form that asks it without a script."""

from __future__ import annotations

import json
import shutil
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pandas as pd
import pytest
from tests.server.running import ask
from tests.serving.serving import serving
from tests.serving.test_swaps import WATCH_S, version_of, wait_for

import loopline
from loopline import registry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.running import Answer

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}


def send(url: str, name: str, fields: dict[str, str]) -> Answer:
    return ask(url, "POST", f"/models/{name}/try", urlencode(fields).encode(), FORM)


def test_the_page_says_what_answers_and_follows_a_swap(fares: str) -> None:
    with serving(fares, watch_every_s=WATCH_S) as url:
        page = ask(url, "GET", "/")
        assert page.status == 200
        assert "version 1" in page.text
        assert "models:/fares/Production" in page.text
        assert "(just now)" in page.text
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script" not in policy
        assert "<script" not in page.text
        registry.transition_stage("fares", 2, "Production")
        wait_for(lambda: version_of(url) == "2")
        assert "version 2" in ask(url, "GET", "/").text


def test_the_form_has_the_input_example_and_its_answer(fares: str) -> None:
    with serving(fares, record=1.0) as url:
        page = ask(url, "GET", "/").text
        assert 'name="miles" value="1.0"' in page
        assert 'name="hour" value="8"' in page
        answer = send(url, "fares", {"miles": "2.5", "hour": "9"})
        assert answer.status == 200
        assert ">6.0" in answer.text or ">5.99999" in answer.text
        assert 'name="miles" value="2.5"' in answer.text
        assert "Version 1, in " in answer.text
    assert len(loopline.predictions("fares")) == 0  # Who tries it by hand makes no record.


def test_what_does_not_fit_is_said_at_its_field_and_kept(folder: Path) -> None:
    with serving(f"fares={folder}") as url:
        answer = send(url, "fares", {"miles": "<b>far</b>", "hour": "8"})
        assert answer.status == 400
        assert "Column 'miles' must be double" in unescape(answer.text)
        assert "<b>far" not in answer.text
        assert 'value="&lt;b&gt;far&lt;/b&gt;"' in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert send(url, "other", {"miles": "1"}).status == 404
        assert send(url, "fares", {"miles": "1" * 2_000_000}).status == 413


def test_each_type_of_a_column_has_its_field(tmp_path: Path) -> None:
    def told(model_input: Any) -> Any:  # noqa: ANN401 - a DataFrame
        row = model_input.iloc[0]
        return [f"{row['night']} {row['zone']} {row['riders']} {row['tip']}"]

    example = pd.DataFrame({"night": [True], "zone": ["JFK"], "riders": [2], "tip": [0.5]})
    loopline.pyfunc.save_model(tmp_path / "told", told, input_example=example)
    with serving(str(tmp_path / "told"), allow_pickle=True) as url:
        page = ask(url, "GET", "/").text
        assert '<option value="true" selected' in page
        assert 'name="zone" value="JFK"' in page
        fields = {"night": "false", "zone": "LGA", "riders": "3", "tip": ""}
        assert "False LGA 3 nan" in send(url, "told", fields).text


def test_a_model_without_columns_is_asked_by_its_whole_body(tmp_path: Path) -> None:
    def double(model_input: Any) -> Any:  # noqa: ANN401 - an array
        return [2 * len(model_input)]

    loopline.pyfunc.save_model(tmp_path / "double", double)
    with serving(str(tmp_path / "double"), allow_pickle=True) as url:
        assert "<textarea" in ask(url, "GET", "/").text
        body = json.dumps({"inputs": [1, 2, 3]})
        assert ">6<" in send(url, "double", {" body": body}).text
        assert send(url, "double", {" body": "{"}).status == 400


def test_another_sites_form_asks_nothing(folder: Path) -> None:
    with serving(f"fares={folder}") as url:
        fields = urlencode({"miles": "1", "hour": "8"}).encode()
        headers = {**FORM, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        assert ask(url, "POST", "/models/fares/try", fields, headers).status == 403


@pytest.mark.deep
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_works_in_a_browser(fares: str, width: int, scheme: str) -> None:
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.fail("This test needs a browser: apt-get install -y chromium fonts-dejavu-core")
    with serving(fares) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--disable-dev-shm-usage", "--disable-gpu"]
        )
        page = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.goto(url)
        page.get_by_label("miles").fill("4")
        page.get_by_role("button", name="Ask").click()
        assert float(page.locator("output").inner_text()) == pytest.approx(9)
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0
        assert problems == []
        browser.close()
