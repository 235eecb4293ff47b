"""What other sites make a browser send, and what files do in one: nothing."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.security.target import JSON

if TYPE_CHECKING:
    from playwright.sync_api import Dialog
    from tests.security.target import Target

WRITES = [
    ("POST", "/api/2.0/mlflow/runs/create"), ("POST", "/ajax-api/2.0/mlflow/experiments/create"),
    ("POST", "/api/2.0/preview/mlflow/registered-models/create"),
    ("POST", "/api/v1/ops/create-experiment"), ("POST", "/api/v1/facts"), ("PUT", "/api/v1/blobs"),
    ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/x"),
    ("DELETE", "/api/2.0/mlflow/registered-models/delete"), ("POST", "/graphql"), ("POST", "/"),
    ("PATCH", "/api/2.0/mlflow/registered-models/update"),
]  # fmt: skip
FOREIGN = [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
    {"Origin": "https://{own}"}, {"Origin": "http://{own}.evil.example"},
    {"Origin": "http://{own}@evil"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Host": "evil.example"},
    {"Host": "evil.example:{port}"}, {"Host": "{own}@evil.example"},
    {"Host": "127.0.0.1.nip.io:{port}"},
]  # fmt: skip


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda headers: str(*headers.items()))
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_no_other_site_writes(
    target: Target, method: str, path: str, headers: dict[str, str]
) -> None:
    own = f"127.0.0.1:{target.port}"
    said = {name: text.format(own=own, port=target.port) for name, text in headers.items()}
    answer = target.send(method, path.format(run=target.run_id), b"{}", {**JSON, **said})
    assert answer.status in {400, 403}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "",
             "text/plain; application/json", "application/jsonx", "text/json"],
)  # fmt: skip
def test_a_form_is_no_request(target: Target, kind: str) -> None:
    """A browser sends these to another site without asking it first."""
    for path in ("/api/2.0/mlflow/runs/create", "/api/2.0/mlflow/runs/log-metric",
                 "/api/v1/ops/list-experiments", "/api/v1/facts"):  # fmt: skip
        headers = {"Content-Type": kind} if kind else {}
        assert target.send("POST", path, b'{"experiment_id":"0"}', headers).status in {400, 415}


def test_no_answer_is_for_pages_of_others(target: Target) -> None:
    for path in ("/", "/health", "/api/v1/openapi.json", "/api/2.0/mlflow/experiments/search"):
        answer = target.send("GET", path, None, {"Origin": target.url})
        names = {name.lower() for name in answer.headers}
        assert not any(name.startswith("access-control-") for name in names)


SCRIPTS = {
    "page.html": b"<script>fetch('{canary}/html')</script><img src={canary}/i>",
    "picture.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload=\"fetch('{canary}/svg')\"/>",
    "page.xhtml": b"<html xmlns='http://www.w3.org/1999/xhtml'><script>fetch('{canary}/x')</script></html>",
    "code.js": b"fetch('{canary}/js')",
    "notes.txt": b"<script>fetch('{canary}/txt')</script>",
}  # fmt: skip


def folder_of(target: Target) -> str:
    return f"/api/2.0/mlflow-artifacts/artifacts/0/{target.run_id}/artifacts/"


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_uploaded_script_is_a_file_to_save(target: Target, name: str) -> None:
    body = SCRIPTS[name].replace(b"{canary}", target.canary.url.encode())
    assert target.send("PUT", folder_of(target) + name, body, {}).status == 200
    for place in (folder_of(target), f"/runs/{target.run_id}/artifacts/"):
        answer = target.send("GET", place + name, None, {})
        assert answer.status == 200
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")


MARKUP = [
    "<script>fetch('{canary}/a')</script>", "<img src={canary}/b onerror=alert(1)>",
    '"><svg onload=alert(1)>', "'><iframe src={canary}/c>", "javascript:alert(1)",
    "<link rel=stylesheet href={canary}/d>", "<meta http-equiv=refresh content='0;url={canary}/e'>",
    "{{7*7}}", "${alert(1)}", "<base href={canary}/f>", "<!--", "</title><script>alert(1)</script>",
    "<style>@import '{canary}/g'</style>", "&lt;script&gt;alert(1)&lt;/script&gt;",
]  # fmt: skip


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_nothing_that_somebody_wrote_runs_in_a_browser(target: Target) -> None:
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.fail("This test needs a browser: apt-get install -y chromium fonts-dejavu-core")
    run = {"run_id": target.run_id}
    pages = ["/", "/runs", "/experiments", "/models", "/flows", f"/runs/{target.run_id}"]
    for number, text in enumerate(MARKUP):
        markup = text.replace("{canary}", target.canary.url)
        tags = [{"key": "t", "value": markup}]
        target.post("experiments/create", {"name": f"{number}{markup}", "tags": tags})
        target.post(
            "registered-models/create", {"name": markup, "description": markup, "tags": tags}
        )
        pages.append(f"/models/{quote(markup, safe='')}")
        target.post("runs/set-tag", {**run, "key": "mlflow.note.content", "value": markup})
        target.post("runs/set-tag", {**run, "key": f"t{number}", "value": markup})
        target.post("runs/log-parameter", {**run, "key": f"p{number}", "value": markup})
        target.post("runs/update", {**run, "run_name": markup})
        target.send("PUT", folder_of(target) + quote(f"odd/{number}{markup}", safe="/"), b"x", {})
        target.post("runs/create", {"experiment_id": "0", "run_name": markup, "user_id": markup})
        pages += [f"/runs?filter={quote(markup)}", f"/{quote(markup, safe='')}"]
    for name, body in SCRIPTS.items():
        said = body.replace(b"{canary}", target.canary.url.encode())
        target.send("PUT", folder_of(target) + name, said, {})
        pages.append(folder_of(target) + name)
    dialogs: list[str] = []
    abroad: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--disable-dev-shm-usage", "--disable-gpu"]
        )
        page = browser.new_context(accept_downloads=True).new_page()

        def dismiss(dialog: Dialog) -> None:
            dialogs.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", dismiss)
        page.on("request", lambda request: abroad.append(request.url))
        seen = 0
        for path in pages:
            try:
                page.goto(target.url + path)
                page.wait_for_load_state("networkidle")
                seen += "alert(1)" in page.content()
            except Exception as error:
                if "Download is starting" not in str(error):
                    raise
        browser.close()
    assert seen > 5  # The texts are on the pages, and are texts.
    assert dialogs == []
    assert [url for url in abroad if not url.startswith(target.url)] == []
    assert target.canary.heard == []
