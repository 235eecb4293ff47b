"""Decisions on pages: what was weighed, in words and a picture, and the form for yes and no."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np
import pytest
from tests.server.running import ask, running
from tests.server.test_html import read
from tests.store.registry_story import NAME, register

from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.policies import Approval, Gain, Slices
from loopline.rules.gates import Evidence, decide
from loopline.rules.scores import scored
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.server.running import Answer

    from loopline.records.policies import Gate


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A server, and a decision that waits for a person."""
    address = Address("home", str(tmp_path / ".loopline"))
    backend = LocalBackend(address)
    for _ in range(2):
        register(backend)
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Production"))
    truth = np.zeros(200)
    evidence = Evidence(
        champion=scored("mae", truth, truth + 2),
        challenger=scored("mae", truth, truth + 1),
        slices={"borough": np.repeat(["<b>Bronx</b>", "Queens"], 100)},
    )
    gates: list[Gate] = [Gain(), Slices(by="borough"), Approval()]
    decision = decide(gates, evidence, champion=1, challenger=2)
    kept = backend.call(ops.RecordDecision(name=NAME, decision=decision, actor="nightly"))
    backend.close()
    with running(address) as url:
        yield url, kept.decision_id


def say(url: str, decision_id: str, **form: str) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": url}
    body = urlencode(form).encode()
    return ask(url, "POST", f"/decisions/{decision_id}", body, headers=headers)


def test_a_decision_is_shown_in_words_and_as_a_picture(place: tuple[str, str]) -> None:
    url, decision_id = place
    seen = read(ask(url, "GET", f"/decisions/{decision_id}").text)
    assert "v2 may take v1's place, better by 50.0 %" in seen.text
    assert "<b>Bronx</b>" in seen.text
    assert "Unseen by both" in seen.text
    picture = ask(url, "GET", f"/decisions/{decision_id}/gains.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "&lt;b&gt;Bronx" in picture.text
    assert "may take" in read(ask(url, "GET", "/decisions").text).text
    assert "may take" in read(ask(url, "GET", f"/models/{NAME}").text).text
    assert ask(url, "GET", "/decisions/nosuch").status == 404


def test_a_persons_yes_moves_the_version(place: tuple[str, str]) -> None:
    url, decision_id = place
    assert say(url, decision_id, answer="maybe", reason="x").status == 400
    assert say(url, decision_id, answer="yes", reason="  ").status == 400
    done = say(url, decision_id, answer="yes", reason="looked at the worst rows")
    assert (done.status, done.headers["location"]) == (303, f"/decisions/{decision_id}")
    seen = read(ask(url, "GET", f"/decisions/{decision_id}").text)
    assert "looked at the worst rows" in seen.text
    assert "form" not in [name for name, given in seen.elements if given.get("method") == "post"]
    assert say(url, decision_id, answer="no", reason="too late").status == 409


def test_another_site_cannot_say_yes(place: tuple[str, str]) -> None:
    url, decision_id = place
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": "https://elsewhere.example",
        "Sec-Fetch-Site": "cross-site",
    }
    body = urlencode({"answer": "yes", "reason": "because"}).encode()
    refused = ask(url, "POST", f"/decisions/{decision_id}", body, headers=headers)
    assert refused.status == 403
    assert "said yes" not in ask(url, "GET", f"/models/{NAME}").text
