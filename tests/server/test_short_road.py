"""The short road of requests that only record: what it takes, and what it leaves alone."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.server.running import ask, running
from tests.server.team import team_at

from loopline.server.short_road import MOST_BYTES, ShortRoad
from loopline.settings import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

JSON = {"Content-Type": "application/json"}
LOG = "/api/2.0/mlflow/runs/log-metric"
BATCH = "/api/2.0/mlflow/runs/log-batch"


class Client:
    """A connection that is kept alive, heard to the byte."""

    def __init__(self, url: str) -> None:
        self.host = url.removeprefix("http://")
        self.socket = socket.create_connection(
            ("127.0.0.1", int(url.rpartition(":")[2])), timeout=10
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def post(self, path: str, body: bytes, *more: str, version: str = "1.1") -> None:
        """Send a request in one piece."""
        lines = [f"POST {path} HTTP/{version}", f"Host: {self.host}", *more]
        if not any(line.startswith("Content-Type") for line in more):
            lines.append("Content-Type: application/json")
        lines.append(f"Content-Length: {len(body)}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def hear(self) -> tuple[int, dict[str, str], bytes]:
        """Take one whole answer."""
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.socket.recv(4000) or self._gone()
        head, _, body = got.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        while len(body) < int(headers["content-length"]):
            body += self.socket.recv(4000) or self._gone()
        return int(first.split()[1]), headers, body

    @staticmethod
    def _gone() -> bytes:
        raise ConnectionError("the server closed the connection")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(Address("home", str(tmp_path_factory.mktemp("home")))) as served:
        yield served


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as made:
        yield made


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What the short road said of each request it was asked about."""
    said: list[bool] = []
    take = ShortRoad.take

    def note(self: ShortRoad, *args: object) -> bool:
        said.append(take(self, *args))  # type: ignore[arg-type]
        return said[-1]

    monkeypatch.setattr(ShortRoad, "take", note)
    return said


def make_run(url: str, headers: dict[str, str] = JSON) -> str:
    made = ask(url, "POST", "/api/2.0/mlflow/runs/create", b'{"experiment_id": "0"}', headers)
    return str(json.loads(made.body)["run"]["info"]["run_id"])


def point(run_id: str, step: int = 0) -> bytes:
    told = {"run_id": run_id, "key": "rmse", "value": 4.0, "timestamp": 1, "step": step}
    return json.dumps(told).encode()


def steps(url: str, run_id: str, headers: dict[str, str] | None = None) -> list[int]:
    path = f"/api/2.0/mlflow/metrics/get-history?run_id={run_id}&metric_key=rmse"
    found = json.loads(ask(url, "GET", path, headers=headers).body)
    return sorted(int(each.get("step", 0)) for each in found.get("metrics", []))


def test_a_plain_point_takes_it_and_is_answered_as_on_the_long_road(
    client: Client, url: str, taken: list[bool]
) -> None:
    run_id = make_run(url)
    answers = []
    for more in ((), ("Connection: close",)):
        client.post(LOG, point(run_id), *more)
        answers.append(client.hear())
    assert taken == [True, True]
    with pytest.raises(ConnectionError):
        client.hear()
    with Client(url) as longer:  # As an address with a query it goes the long road.
        longer.post(f"{LOG}?long", point(run_id))
        expected = longer.hear()
    assert taken == [True, True]
    for status, headers, body in answers:
        headers.pop("connection", None)
        assert (status, {**headers, "date": ""}, body) == (
            expected[0], {**expected[1], "date": ""}, expected[2],
        )  # fmt: skip


def test_a_connection_that_is_kept_logs_point_after_point(
    client: Client, url: str, taken: list[bool]
) -> None:
    run_id = make_run(url)
    for step in range(100):
        client.post(LOG, point(run_id, step))
        assert client.hear()[0] == 200
    assert steps(url, run_id) == list(range(100))
    assert taken == [True] * 100


def test_a_pipeline_is_answered_in_turn(client: Client, url: str, taken: list[bool]) -> None:
    run_id = make_run(url)
    for step in range(20):
        client.post(LOG, point(run_id, step))
    assert [client.hear()[0] for _ in range(20)] == [200] * 20
    assert steps(url, run_id) == list(range(20))
    assert taken[0]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "BAD_REQUEST"),
        (b"{}", 400, "INVALID_PARAMETER_VALUE"),
        (point("0" * 32), 404, "RESOURCE_DOES_NOT_EXIST"),
        (point("no id"), 400, "INVALID_PARAMETER_VALUE"),
    ],
)
def test_what_is_wrong_is_said_and_the_connection_goes_on(
    client: Client, url: str, body: bytes, status: int, code: str
) -> None:
    run_id = make_run(url)
    client.post(LOG, point(run_id))
    assert client.hear()[0] == 200
    client.post(LOG, body)
    heard = client.hear()
    assert (heard[0], json.loads(heard[2])["error_code"]) == (status, code)
    assert heard[1]["x-content-type-options"] == "nosniff"
    client.post(LOG, point(run_id, 1))
    assert client.hear()[0] == 200
    assert steps(url, run_id) == [0, 1]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Origin: http://elsewhere.example", 403),
        ("Sec-Fetch-Site: cross-site", 403),
        ("Host: elsewhere.example", 403),
        (f"X-Long: {'x' * 33_000}", 431),
    ],
)
def test_a_connection_that_was_let_in_is_asked_again_when_it_shows_something_else(
    client: Client, url: str, header: str, status: int
) -> None:
    run_id = make_run(url)
    client.post(LOG, point(run_id))
    assert client.hear()[0] == 200
    client.post(LOG, point(run_id, 1), header)
    assert client.hear()[0] == status
    assert steps(url, run_id) == [0]


def test_a_long_body_goes_the_long_road(client: Client, url: str, taken: list[bool]) -> None:
    run_id = make_run(url)
    tags = [{"key": f"t{index}", "value": "v" * 5000} for index in range(20)]
    body = json.dumps({"run_id": run_id, "tags": tags}).encode()
    assert len(body) > MOST_BYTES
    client.post(BATCH, body)
    assert client.hear()[0] == 200
    client.post(BATCH, json.dumps({"run_id": run_id, "tags": tags[:1]}).encode())
    assert client.hear()[0] == 200
    assert taken == [True]


def test_chunks_and_http_1_0_are_taken_too(client: Client, url: str) -> None:
    run_id = make_run(url)
    head = f"POST {LOG} HTTP/1.1\r\nHost: {client.host}\r\nContent-Type: application/json\r\n"
    body = point(run_id)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:]))
    client.socket.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks)
    time.sleep(0.01)
    client.socket.sendall(b"0\r\n\r\n")
    assert client.hear()[0] == 200
    client.post(LOG, point(run_id, 1), version="1.0")
    assert client.hear()[0] == 200
    with pytest.raises(ConnectionError):
        client.hear()
    assert steps(url, run_id) == [0, 1]


def test_a_token_that_is_revoked_opens_nothing_at_once(tmp_path: Path, taken: list[bool]) -> None:
    with team_at(tmp_path) as team, ExitStack() as clients:
        token = team.member("ann", "editor")
        admin = team.member("root", "admin")
        shown = {**JSON, "Authorization": f"Bearer {token}"}
        run_id = make_run(team.url, shown)
        client = clients.enter_context(Client(team.url))
        as_ann = f"Authorization: Bearer {token}"
        client.post(LOG, point(run_id), as_ann)
        assert client.hear()[0] == 200
        client.post(LOG, point(run_id, 1), as_ann)
        assert client.hear()[0] == 200
        assert taken[-1]
        client.post(LOG, point(run_id, 2))
        assert client.hear()[0] == 401
        named = {**JSON, "Authorization": f"Bearer {admin}"}
        disabled = ask(
            team.url, "POST", "/api/v1/ops/change-user",
            json.dumps({"name": "ann", "role": "viewer"}).encode(), named,
        )  # fmt: skip
        assert disabled.status == 200, disabled.text
        client.post(LOG, point(run_id, 3), as_ann)
        assert client.hear()[0] == 403
        assert steps(team.url, run_id, shown) == [0, 1]


def test_a_stop_answers_what_is_under_way_and_what_is_half_here(tmp_path: Path) -> None:
    stopped: list[tuple[int, dict[str, str], bytes]] = []
    clients = ExitStack()
    with running(Address("home", str(tmp_path))) as url:
        run_id = make_run(url)
        client = clients.enter_context(Client(url))
        body = point(run_id)
        head = (
            f"POST {LOG} HTTP/1.1\r\nHost: {client.host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        client.socket.sendall(head.encode() + body[:5])
        time.sleep(0.05)

        def finish() -> None:
            time.sleep(0.5)
            client.socket.sendall(body[5:])
            stopped.append(client.hear())

        thread = threading.Thread(target=finish)
        thread.start()
    thread.join(10)
    clients.close()
    assert [answer[0] for answer in stopped] == [200]
    assert stopped[0][1]["connection"] == "close"
    with running(Address("home", str(tmp_path))) as url:
        assert steps(url, run_id) == [0]
