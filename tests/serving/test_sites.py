"""Requests for other hosts, and of other sites' pages, are not taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.server.running import ask
from tests.serving.serving import predictions, serving

if TYPE_CHECKING:
    from pathlib import Path

BODY = b'{"inputs": {"miles": [1.5], "hour": [8]}}'
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("road", ["short", "long"])
def test_what_another_sites_page_sends_asks_no_model(
    folder: Path, headers: dict[str, str], road: str
) -> None:
    # Who waits for a word before the body is answered by the application.
    way = {**JSON, "Expect": "100-continue"} if road == "long" else JSON
    path = "/invocations"
    with serving(str(folder)) as url:
        answer = ask(url, "POST", path, BODY, {**way, **headers})
        assert answer.status == 403, answer.text
        assert json.loads(answer.body)["error_code"] == "PERMISSION_DENIED"
        assert predictions(ask(url, "POST", path, BODY, way)) == pytest.approx([6])
        assert 'status="200"} 1' in ask(url, "GET", "/metrics").text


def test_a_name_that_was_allowed_and_the_servers_own_are_answered(folder: Path) -> None:
    with serving(str(folder), allowed_hosts=["ML.example.com"]) as url:
        port = url.rpartition(":")[2]
        for host in ("ml.example.com", f"localhost:{port}", f"[::1]:{port}"):
            answer = ask(url, "POST", "/invocations", BODY, {**JSON, "Host": host})
            assert predictions(answer) == pytest.approx([6])
        own = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
        assert ask(url, "POST", "/invocations", BODY, {**JSON, **own}).status == 200
        refused = ask(url, "GET", "/health", headers={"Host": "other.example"})
        assert refused.status == 403
        assert "loopline serve --allow-host" in refused.text


def test_each_request_of_a_connection_is_looked_at(folder: Path) -> None:
    import http.client

    with serving(str(folder)) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        found = []
        for origin in (url, "https://evil.example", url):
            connection.request("POST", "/invocations", BODY, {**JSON, "Origin": origin})
            answer = connection.getresponse()
            answer.read()
            found.append(answer.status)
        connection.close()
        assert found == [200, 403, 200]
