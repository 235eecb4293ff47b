"""Paths that lead out of where files belong, in every spelling: nothing is read or written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from tests.security.target import Target

OUT = [
    "../canary", "..%2fcanary", "%2e%2e/canary", "%2e%2e%2fcanary", "..%5ccanary", "..\\canary",
    "a/../../canary", "a/..%2f..%2fcanary", "/canary", "%2fcanary", "//canary", "C:%5ccanary",
    "C:canary", "file:///canary", "a%00/canary", "a%0acanary", "a%0d%0acanary", "a%7f", "./canary",
    "a/.", "a/..", "..", ".", "a//canary", "....//canary", "%c0%ae%c0%ae/canary",
]  # fmt: skip
#: Odd, and yet names like any other: decoded once, they lead nowhere.
ODD = ["%252e%252e%252fcanary", "..;/canary", "..%ef%bc%8fcanary", "CON"]


def folder_of(target: Target) -> str:
    return f"/api/2.0/mlflow-artifacts/artifacts/0/{target.run_id}/artifacts/"


@pytest.mark.parametrize("path", OUT)
def test_nothing_is_uploaded_outside_a_run(target: Target, path: str) -> None:
    answer = target.send("PUT", folder_of(target) + path, b"canary", {})
    assert answer.status in {400, 404}
    assert not list(target.home.parent.parent.rglob("*canary*"))


@pytest.mark.parametrize(
    "path", [*OUT, "../../../../../../etc/passwd", "%2e%2e/%2e%2e/loopline.db"]
)
def test_nothing_is_read_outside_a_run(target: Target, path: str) -> None:
    roots = [folder_of(target), f"/runs/{target.run_id}/artifacts/", "/static/", "/api/v1/blobs/"]
    roots.append("/api/2.0/mlflow-artifacts/artifacts/versions/fare/1/artifacts/")
    for root in roots:
        for method in ("GET", "HEAD"):
            assert target.send(method, root + path, None, {}).status in {400, 404}, root
    for route in ("/api/2.0/mlflow-artifacts/artifacts?path=", "/api/2.0/mlflow/artifacts/list?"):
        place = f"0/{target.run_id}/artifacts/{path}"
        query = f"run_id={target.run_id}&path={path}" if route.endswith("list?") else place
        answer = target.send("GET", route + query, None, {})
        # A folder that is not there is empty; "." and ".." are refused.
        assert answer.status in {400, 404} or not json.loads(answer.body).get("files")


@pytest.mark.parametrize("path", ODD)
def test_an_odd_name_is_a_name_and_leads_nowhere(target: Target, path: str) -> None:
    place = folder_of(target) + "odd/" + path
    assert target.send("PUT", place, b"canary", {}).status == 200
    assert target.send("GET", place, None, {}).body == b"canary"
    # The bytes lie under their hash, whatever the name.
    assert not list(target.home.parent.parent.rglob("*canary*"))


@pytest.mark.parametrize("path", OUT)
def test_no_version_is_made_of_what_lies_outside(target: Target, path: str) -> None:
    for source in (
        f"runs:/{target.run_id}/{path}",
        f"mlflow-artifacts:/0/{target.run_id}/artifacts/{path}",
        f"mlflow-artifacts:/{path}",
    ):
        for spelled in (
            source,
            source.replace("%2f", "/").replace("%2e", ".").replace("%5c", "\\"),
        ):
            answer = target.post("model-versions/create", {"name": "fare", "source": spelled})
            assert answer.status in {400, 404} or ("%" in spelled and answer.status == 200)


@pytest.mark.parametrize("name", ["../m", "a/b", "a:b", "..", ".", "", "a\0b", "\\\\host\\share"])
def test_a_models_name_is_no_path(target: Target, name: str) -> None:
    answer = target.post("registered-models/create", {"name": name})
    if answer.status == 200:
        got = target.send("GET", f"/api/2.0/mlflow/registered-models/get?name={quote(name)}", None)
        assert json.loads(got.body)["registered_model"]["name"] == name
    place = "/api/2.0/mlflow-artifacts/artifacts/versions/{}/1/artifacts/x"
    assert target.send("GET", place.format(quote(name, safe="")), None, {}).status in {400, 404}
