"""The page of a model version: why it is there, what it predicted, what it is connected with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.server.running import ask, running
from tests.server.test_html import read
from tests.store.registry_story import NAME, register
from tests.store.test_lineage_drift import report
from tests.store.test_lineage_feeds import SPEC, rows_of
from tests.store.test_lineage_graph import LATER, flow_run, train
from tests.store.test_lineage_serving import predict, serve

from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.decisions import Check, Decision
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

PICTURES = os.environ.get("LOOPLINE_TEST_PICTURES")
PATH = f"/models/{NAME}/versions/1"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    """A server with a version whose whole story is known."""
    address = Address("home", str(tmp_path / ".loopline"))
    backend = LocalBackend(address)
    backend.call(ops.EnsureFeed(name="taxi", project="city", spec=SPEC))
    run_id = train(backend, rows_of("taxi", "1"), LATER, flow_run_id=flow_run(backend))
    register(backend, run_id=run_id)
    decision = Decision(
        promote=True,
        rule="first",
        sentence="v1 is the first",
        challenger=1,
        checks=[Check(gate="bound", passed=True, sentence="<b>mae</b> 2.1 is below 3")],
    )
    backend.call(ops.RecordDecision(name=NAME, decision=decision, run_id=run_id, actor="night"))
    process = serve(backend)
    predict(backend, process, 1, 1200, 60)
    predict(backend, process, 1, 34, 65)
    report(backend)
    backend.close()
    with running(address) as url:
        yield url


def test_a_version_tells_why_it_is_there_and_what_it_is_connected_with(place: str) -> None:
    seen = read(ask(place, "GET", PATH).text)
    assert "v1 is in Production since" in seen.text
    assert "Decided by a gate, run by night: promoted v1: there was no champion" in seen.text
    assert "bound: passed, <b>mae</b> 2.1 is below 3" in seen.text
    for part in ("feed taxi", f"predictions 1,234 of {NAME} v1", "1 of 3 columns drifted: fare."):
        assert part in " ".join(seen.text.split())
    model = read(ask(place, "GET", f"/models/{NAME}").text)
    assert "It made 1,234 predictions" in model.text
    assert "v1 is in Production since" in model.text


def test_no_version_is_shown_that_is_not_there(place: str) -> None:
    for number in ("2", "0", "first", "1e3", "٣", "9" * 40, "-1"):
        answer = ask(place, "GET", f"/models/{NAME}/versions/{quote(number)}")
        assert answer.status == 404
    assert ask(place, "GET", "/models/nobody/versions/1").status == 404
    strange = ask(place, "GET", "/models/fares%2Fversions%2Fnew")  # The name of a model.
    assert strange.status == 404
    assert "fares/versions/new" in read(strange.text).text


@pytest.mark.deep
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_it_fits_every_screen(place: str, browser: Browser, width: int, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    for name, path in (("version", PATH), ("model", f"/models/{NAME}")):
        page.goto(place + path)
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0
        if PICTURES:
            Path(PICTURES).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{PICTURES}/{name}-{width}-{scheme}.png", full_page=True)
    page.goto(place + PATH)
    page.get_by_role("link", name="promoted v1").click(timeout=5000)
    assert page.url.startswith(f"{place}/decisions/")
    context.close()
