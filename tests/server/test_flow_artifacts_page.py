"""Artifacts on the page of a flow run: shown, and never taken for markup of the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.server.running import ask, running
from tests.server.test_html import read

from loopline.backend.local import LocalBackend
from loopline.records import facts as f
from loopline.records.flows import StateKind
from loopline.records.operations import RecordFacts
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

RUN = "f" * 32


def artifact(number: int, kind: str, data: object, map_index: int = -1) -> f.FlowArtifactSet:
    return f.FlowArtifactSet(
        artifact_id=f"{number:032x}",
        flow_run_id=RUN,
        task_slug="report-1",
        map_index=map_index,
        artifact_kind=kind,
        data=data if isinstance(data, str) else json.dumps(data),
        at_ms=number,
    )


@pytest.fixture
def text(tmp_path: Path) -> str:
    """The page of a flow run whose artifacts would like to be more than they are."""
    address = Address("home", str(tmp_path / ".loopline"))
    backend = LocalBackend(address)
    began = f.FlowRunState(flow_run_id=RUN, state=StateKind.SUCCESS, at_ms=1, flow_name="report")
    made = [
        artifact(1, "link", {"link": "https://example.org/report"}),
        artifact(2, "link", {"link": "javascript:alert(1)"}),
        artifact(3, "markdown", {"markdown": "# Fares\n<script>alert(2)</script>"}),
        artifact(4, "table", {"columns": ["<b>month</b>"], "rows": [[n] for n in range(120)]}, 3),
        artifact(5, "table", '{"columns": 3}'),
        artifact(6, "markdown", "no json"),
    ]
    backend.call(RecordFacts(facts=[began, *made]))
    backend.close()
    with running(address) as url:
        answer = ask(url, "GET", f"/flow-runs/{RUN}")
    assert answer.status == 200
    return answer.text


def test_artifacts_are_shown_as_what_they_are(text: str) -> None:
    seen = read(text)
    links = [given["href"] for name, given in seen.elements if name == "a" and "href" in given]
    assert "https://example.org/report" in links
    assert not [link for link in links if str(link).startswith("javascript")]
    assert "javascript:alert(1)" in seen.text
    assert "<script>alert(2)</script>" in seen.text
    assert "script" not in [name for name, _ in seen.elements]
    assert "<b>month</b>" in seen.text
    assert "And 20 more rows" in seen.text
    assert "report-1[3]" in seen.text
    assert "no json" in seen.text
