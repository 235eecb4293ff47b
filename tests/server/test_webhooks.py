"""Webhooks: real receivers are told, once a server can, and nobody else is reached."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.peers import python_of
from tests.reliability.serving import ServerProcess
from tests.server.running import ask, running
from tests.server.test_mlflow_clients import session

from loopline.backend.http import HttpBackend
from loopline.errors import InvalidInputError
from loopline.records import operations as ops
from loopline.records.webhooks import DeliveryStatus, WebhookDelivery
from loopline.rules.webhooks import (
    MOST_TRIES,
    check_webhook_url,
    is_public,
    is_retried,
    pause_s,
    signature,
)
from loopline.server.couriers import check_target, post
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres import PostgresServer

BASE = "/api/2.0/mlflow/"
JSON = {"Content-Type": "application/json"}
CREATED = {"entity": "REGISTERED_MODEL", "action": "CREATED"}


class Told(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Somebody's program that is told; a path such as /500 says what it answers.

    Attributes:
        told: What it was told, in order.
        answers: Statuses that it answers next, before the path counts.
    """

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.told.append(Told(self.path, dict(self.headers), body))
                last = self.path.rpartition("/")[2]
                status = int(last) if last.isdigit() else 200
                if receiver.answers:
                    status = receiver.answers.pop(0)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, count: int) -> list[Told]:
        """Wait until it was told so often."""
        until = time.monotonic() + 30
        while len(self.told) < count and time.monotonic() < until:
            time.sleep(0.02)
        assert len(self.told) >= count, self.told
        return self.told


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def address(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Address:
    if request.param == "SQLite":
        return Address("home", str(tmp_path / "home"))
    server: PostgresServer = request.getfixturevalue("postgres")
    monkeypatch.setenv("LOOPLINE_SECRET_KEY", token_urlsafe(32))
    return server.new()


@pytest.fixture
def url(address: Address, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("loopline.rules.webhooks._FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("loopline.rules.webhooks._LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr("loopline.server.webhooks.EVERY_S", 0.05)
    with running(address, allow_private_webhooks=True) as url:
        yield url


def call(server: str, path: str, /, **fields: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401
    answer = ask(server, "POST", BASE + path, json.dumps(fields).encode(), JSON)
    return answer.status, json.loads(answer.body)


def make(server: str, receiver: str, /, **more: Any) -> str:  # noqa: ANN401
    fields = {"name": "ci", "url": receiver, "events": [CREATED], **more}
    status, made = call(server, "webhooks", **fields)
    assert status == 200, made
    return str(made["webhook"]["webhook_id"])


def deliveries(url: str, webhook_id: str) -> list[WebhookDelivery]:
    backend = HttpBackend(Address("http", url))
    try:
        return backend.call(ops.ListWebhookDeliveries(webhook_id=webhook_id))
    finally:
        backend.close()


def settled(url: str, webhook_id: str) -> list[WebhookDelivery]:
    """Wait until nothing is to be told any more."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = deliveries(url, webhook_id)
        if found and all(each.status != DeliveryStatus.WAITING for each in found):
            return found
        time.sleep(0.05)
    pytest.fail(f"still waiting: {deliveries(url, webhook_id)}")


def test_an_event_is_told_and_signed(url: str, receiver: Receiver) -> None:
    webhook_id = make(url, receiver.url, secret="hush")  # noqa: S106 - made up
    call(url, "registered-models/create", name="fare", tags=[{"key": "a", "value": "b"}])

    told = receiver.wait(1)[0]
    said = json.loads(told.body)
    assert said.pop("timestamp").endswith("+00:00")
    assert said == {
        "entity": "registered_model",
        "action": "created",
        "data": {"name": "fare", "tags": {"a": "b"}, "description": None},
    }
    stamp = f"{told.headers['X-MLflow-Delivery-Id']}.{told.headers['X-MLflow-Timestamp']}."
    digest = hmac.new(b"hush", stamp.encode() + told.body, hashlib.sha256).digest()
    assert told.headers["X-MLflow-Signature"] == "v1," + base64.b64encode(digest).decode()
    [delivery] = settled(url, webhook_id)
    assert (delivery.status, delivery.answer_status, delivery.tries) == ("delivered", 200, 1)
    assert delivery.delivery_id == told.headers["X-MLflow-Delivery-Id"]


def test_a_model_that_its_first_version_makes_is_told_of_once(url: str, receiver: Receiver) -> None:
    version = {"entity": "MODEL_VERSION", "action": "CREATED"}
    webhook_id = make(url, receiver.url, events=[CREATED, version])
    backend = HttpBackend(Address("http", url))
    call(url, "registered-models/create", name="made")
    backend.call(ops.RegisterVersion(name="made", allow_empty=True))
    for _ in range(2):
        backend.call(ops.RegisterVersion(name="by the way", allow_empty=True))
        backend.call(ops.RegisterVersion(name="by the way", allow_empty=True))
        backend.call(ops.DeleteModel(name="by the way"))
    backend.close()
    settled(url, webhook_id)
    told = sorted(
        (said["data"]["name"], said["entity"])
        for said in (json.loads(each.body) for each in receiver.wait(8))
    )
    once = [("by the way", "model_version")] * 4 + [("by the way", "registered_model")] * 2
    assert told == [*once, ("made", "model_version"), ("made", "registered_model")]


def test_a_secret_is_never_answered(url: str, receiver: Receiver) -> None:
    webhook_id = make(url, receiver.url, secret="canary-of-a-secret")  # noqa: S106 - made up
    for path in ("webhooks", f"webhooks/{webhook_id}"):
        assert "canary-of-a-secret" not in ask(url, "GET", BASE + path).text
    for name, fields in (
        ("list-webhooks", {}),
        ("get-webhook", {"webhook_id": webhook_id}),
        ("list-webhook-deliveries", {"webhook_id": webhook_id}),
    ):
        answer = ask(url, "POST", f"/api/v1/ops/{name}", json.dumps(fields).encode(), JSON)
        assert answer.status == 200
        assert "canary-of-a-secret" not in answer.text


def test_what_fails_is_tried_again_under_the_same_id(url: str, receiver: Receiver) -> None:
    receiver.answers = [500, 503, 429]
    webhook_id = make(url, receiver.url)
    call(url, "registered-models/create", name="fare")

    told = receiver.wait(4)
    assert len({each.headers["X-MLflow-Delivery-Id"] for each in told}) == 1
    [delivery] = settled(url, webhook_id)
    assert (delivery.status, delivery.tries) == ("delivered", 4)
    assert "X-MLflow-Signature" not in told[0].headers  # There is no secret.


def test_what_always_fails_is_given_up_and_shown(url: str, receiver: Receiver) -> None:
    webhook_id = make(url, f"{receiver.url}/500")
    call(url, "registered-models/create", name="fare")

    [delivery] = settled(url, webhook_id)
    assert (delivery.status, delivery.tries) == ("failed", MOST_TRIES)
    assert (delivery.answer_status, delivery.error) == (500, "The receiver answered 500.")


def test_a_redirect_is_not_followed_and_a_refusal_not_repeated(
    url: str, receiver: Receiver
) -> None:
    ids = [make(url, f"{receiver.url}/{status}") for status in (302, 404)]
    call(url, "registered-models/create", name="fare")

    assert [settled(url, each)[0].answer_status for each in ids] == [302, 404]
    assert {told.path for told in receiver.told} == {"/302", "/404"}


def test_who_is_disabled_or_wants_other_events_is_not_told(url: str, receiver: Receiver) -> None:
    make(url, f"{receiver.url}/disabled", status="DISABLED")
    version = {"entity": "MODEL_VERSION", "action": "CREATED"}
    make(url, f"{receiver.url}/other", events=[version])
    make(url, f"{receiver.url}/mine")
    call(url, "registered-models/create", name="fare")
    assert call(url, "registered-models/create", name="fare")[0] == 400  # It is there already.

    call(url, "registered-models/create", name="toll")
    assert [told.path for told in receiver.wait(2)] == ["/mine", "/mine"]


def test_nothing_is_lost_when_the_server_is_killed(tmp_path: Path, receiver: Receiver) -> None:
    """The receiver is away while the server answers, and the server is killed before it is back."""
    server = ServerProcess(str(tmp_path), tmp_path, "--allow-private-webhooks")
    receiver.answers = [503] * 4
    with server:
        webhook_id = make(server.url, receiver.url)
        for number in range(4):
            status, _ = call(server.url, "registered-models/create", name=f"fare-{number}")
            assert status == 200
        server.kill()
        server.start()
        until = time.monotonic() + 90
        names: set[str] = set()
        while len(names) < 4 and time.monotonic() < until:
            found = deliveries(server.url, webhook_id)
            done = {each.delivery_id for each in found if each.status == "delivered"}
            names = {
                json.loads(told.body)["data"]["name"]
                for told in receiver.told
                if told.headers["X-MLflow-Delivery-Id"] in done
            }
            time.sleep(0.1)
    assert names == {f"fare-{number}" for number in range(4)}


PRIVATE = [
    "https://127.0.0.1/x", "https://localhost/x", "https://10.0.0.1/", "https://192.168.1.1/",
    "https://172.16.0.1/", "https://169.254.169.254/latest", "https://[::1]/", "https://0.0.0.0/",
    "https://[::ffff:127.0.0.1]/", "https://[fe80::1]/", "https://[fd00::1]/", "https://2130706433/",
    "https://0x7f.1/", "https://127.1/", "https://100.64.0.1/", "https://224.0.0.1/",
    "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "http://8.8.8.8/", "https://[::]/",
]  # fmt: skip


@pytest.mark.parametrize("target", PRIVATE)
def test_no_private_address_is_reached_unless_allowed(target: str) -> None:
    with pytest.raises(InvalidInputError, match="--allow-private-webhooks"):
        check_target(target, allow_private=False)
    assert post(target, b"{}", {}, allow_private=False).status == -1


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://h/", "https://", "file:///etc", "https://u:p@h/", "https://h:99999/",
     "https://h/\r\nX: y", "https://h/ x", "https://h\\@e/", "https://h/" + "x" * 2000, "https://[::"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        check_webhook_url(url)


def test_a_server_refuses_what_leads_to_its_own_network(tmp_path: Path, receiver: Receiver) -> None:
    with running(Address("home", str(tmp_path))) as url:
        fields = {"name": "ci", "url": receiver.url, "events": [CREATED]}
        status, answer = call(url, "webhooks", **fields)
        assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        secured = receiver.url.replace("http", "https")
        assert call(url, "webhooks", **{**fields, "url": secured})[0] == 400
        # Made past the check, it is still not reached.
        body = json.dumps({"name": "ci", "url": secured, "events": ["registered_model.created"]})
        made = ask(url, "POST", "/api/v1/ops/create-webhook", body.encode(), JSON)
        webhook_id = json.loads(made.body)["webhook_id"]
        call(url, "registered-models/create", name="fare")
        [delivery] = settled(url, webhook_id)
        assert (delivery.status, delivery.tries) == ("failed", 1)
        tried = call(url, f"webhooks/{webhook_id}/test")[1]["result"]
        assert not tried.get("success")
    assert receiver.told == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "'name'"), ({"url": ""}, "'url'"), ({"events": []}, "'events'"),
        ({"name": "bad name!"}, "Webhook name"), ({"name": "x" * 64}, "Webhook name"),
        ({"url": "ftp://x"}, "URL"), ({"status": "NO"}, "'status'"),
        ({"events": [{"entity": "NO", "action": "CREATED"}]}, "entity 'no'"),
        ({"events": [{"entity": "REGISTERED_MODEL", "action": "SET"}]}, "action 'set'"),
    ],
)  # fmt: skip
def test_a_wrong_webhook_is_refused(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    whole = {"name": "ci", "url": "http://127.0.0.1:1/x", "events": [CREATED], **fields}
    with running(Address("home", str(tmp_path)), allow_private_webhooks=True) as url:
        status, answer = call(url, "webhooks", **whole)
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert words in answer["message"]


@given(st.ip_addresses(v=4))
def test_an_address_in_disguise_is_what_it_wraps(inner: Any) -> None:  # noqa: ANN401
    for wrapped in (f"::ffff:{inner}", str(ip_address(b"\x20\x02" + inner.packed + bytes(10)))):
        assert is_public(ip_address(wrapped)) == is_public(inner)


@given(tries=st.integers(1, MOST_TRIES), chance=st.floats(0, 1))
def test_pauses_grow_and_end(tries: int, chance: float) -> None:
    assert 1 <= pause_s(tries, chance) <= 900
    assert is_retried(0)
    assert not is_retried(404)


def test_a_signature_is_the_one_that_mlflow_makes() -> None:
    """Taken from a delivery of MLflow 3.17.2, with the secret ``s3``."""
    body = (
        b'{"entity": "model_version_alias", "action": "deleted", '
        b'"timestamp": "2026-11-28T16:49:15.402389+00:00", '
        b'"data": {"name": "fare", "alias": "champ"}}'
    )
    made = signature("s3", "aa85858c-edf9-4b7d-84aa-515040f20ee1", "1795884555", body)
    assert made == "v1,Mz9wU7Y2x1rPQrq0QG4ZhG1Pk7NeL5lEp1h2B5Ei8IA="


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_a_client_of_mlflow_makes_tries_and_removes_webhooks(
    url: str, receiver: Receiver, tmp_path: Path
) -> None:
    python = python_of("mlflow-3")
    seen = session("mlflow_webhooks_session.py", python, url, tmp_path, receiver.url)
    assert seen["made"] == ["ci", "the build", "ACTIVE", None]
    assert seen["tested"] == [True, 200]
    assert seen["failed"] == [False, 500]
    assert seen["updated"] == ["broken-2", "DISABLED"]
    assert (seen["listed"], seen["every"]) == (["ci"], ["ci", "broken-2"])
    assert seen["gone"] == "RESOURCE_DOES_NOT_EXIST"

    receiver.wait(8)
    said = [json.loads(told.body) for told in receiver.told if told.path in {"", "/"}][1:]
    kinds = [f"{each['entity']}.{each['action']}" for each in said]
    assert sorted(kinds) == sorted(seen["events"])
    version = next(each["data"] for each in said if each["entity"] == "model_version")
    assert version["run_id"] == seen["run_id"]
    assert version["tags"] == {"a": "b"}
