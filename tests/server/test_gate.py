"""One gate in front of every route: hosts, origins, sites, permissions."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.server.running import ask, running

from loopline.backend.local import LocalBackend
from loopline.errors import ForbiddenError
from loopline.records.operations import OPERATIONS
from loopline.server.app import create_app
from loopline.server.guarded import PERMISSIONS, PUBLIC, GuardedRoute
from loopline.server.serve import serve
from loopline.server.sites import host_names
from loopline.settings import Address

if TYPE_CHECKING:
    from tests.server.conftest import Served

JSON = {"Content-Type": "application/json"}
WRITE = "/api/v1/ops/ensure-experiment"
READ = "/api/v1/ops/list-experiments"
BODY = b'{"name": "wagoncab taxifare"}'
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def test_every_route_declares_a_permission(tmp_path: Path) -> None:
    backend = LocalBackend(Address("home", str(tmp_path)))
    routes = create_app(backend, allowed_hosts=frozenset()).routes
    backend.close()

    assert len(routes) > len(OPERATIONS)
    for route in routes:
        assert isinstance(route, GuardedRoute), f"{route} declares no permission"
        assert route.permission in PERMISSIONS
    public = [
        route.path
        for route in routes
        if isinstance(route, GuardedRoute) and route.permission == PUBLIC
    ]
    assert public == ["/health", "/version", "/static/{version}/{name}"]


def test_operations_keep_the_permission_of_the_table(tmp_path: Path) -> None:
    backend = LocalBackend(Address("home", str(tmp_path)))
    routes = create_app(backend, allowed_hosts=frozenset()).routes
    backend.close()
    declared = {route.path: route.permission for route in routes if isinstance(route, GuardedRoute)}
    for name, operation in OPERATIONS.items():
        assert declared[f"/api/v1/ops/{name}"] == operation.permission


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost",
        "localhost:1",
        "localhost.evil.example:{port}",
        "127.0.0.1:{port}.evil",
    ],
)
def test_a_host_this_server_is_not_known_by_is_refused(served: Served, host: str) -> None:
    port = served.url.rpartition(":")[2]
    answer = ask(served.url, "GET", "/", headers={"Host": host.format(port=port)})
    assert answer.status == 403
    assert "--allow-host" in answer.text


@pytest.mark.parametrize(
    "host", ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}", "LOCALHOST:{port}"]
)
def test_every_loopback_name_is_known(served: Served, host: str) -> None:
    port = served.url.rpartition(":")[2]
    assert ask(served.url, "GET", "/health", headers={"Host": host.format(port=port)}).status == 200


def test_the_port_may_be_left_out_when_it_is_80() -> None:
    assert "localhost" in host_names("localhost", 80)
    assert "localhost" not in host_names("localhost", 5050)
    assert host_names("10.0.0.7", 5050) == {"10.0.0.7:5050"}


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"]
)
def test_a_write_from_a_page_of_another_origin_is_refused(served: Served, origin: str) -> None:
    port = served.url.rpartition(":")[2]
    headers = {**JSON, "Origin": origin.format(port=port)}
    assert ask(served.url, "POST", WRITE, BODY, headers).status == 403


def test_a_write_from_a_page_of_this_server_is_taken(served: Served) -> None:
    headers = {**JSON, "Origin": served.url, "Sec-Fetch-Site": "same-origin"}
    assert ask(served.url, "POST", WRITE, BODY, headers).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something-new"])
def test_what_a_browser_says_comes_from_another_site_is_refused(served: Served, site: str) -> None:
    headers = {"Sec-Fetch-Site": site}
    assert ask(served.url, "POST", READ, b"{}", {**JSON, **headers}).status == 403
    assert ask(served.url, "GET", "/api/v1/openapi.json", headers=headers).status == 403
    assert ask(served.url, "GET", "/", headers=headers).status == 403


def test_a_link_from_elsewhere_leads_to_a_page_and_to_nothing_else(served: Served) -> None:
    assert ask(served.url, "GET", "/runs", headers=LINK).status == 200
    assert ask(served.url, "GET", "/version", headers=LINK).status == 403
    framed = {**LINK, "Sec-Fetch-Dest": "iframe"}
    assert ask(served.url, "GET", "/runs", headers=framed).status == 403


def test_every_answer_has_a_policy_without_inline_scripts(served: Served) -> None:
    for path in ("/", "/nothing", "/api/v1/openapi.json", "/health"):
        answer = ask(served.url, "GET", path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"


def test_headers_that_are_too_long_are_refused(served: Served) -> None:
    answer = ask(served.url, "GET", "/health", headers={"Cookie": "x" * 40_000})
    assert answer.status == 431


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::"])  # noqa: S104 - refused
def test_listening_beyond_this_machine_needs_insistence(tmp_path: Path, host: str) -> None:
    with pytest.raises(ForbiddenError, match="--insecure"):
        serve(Address("home", str(tmp_path)), host=host, port=0)


def test_a_half_sent_request_does_not_hold_a_connection_for_good(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loopline.server.protocol.HEADERS_S", 0.2)
    port = int(served.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: loc")
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""


def test_headers_without_an_end_close_the_connection(served: Served) -> None:
    port = int(served.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # noqa: PT012 - at some byte
            for _ in range(10_000):
                connection.sendall(b"X-More: of it\r\n" * 64)


def test_a_web_socket_is_not_served_past_the_gate(tmp_path: Path) -> None:
    backend = LocalBackend(Address("home", str(tmp_path)))
    app = create_app(backend, allowed_hosts=frozenset())
    sent: list[dict[str, object]] = []

    async def talk(path: str) -> None:
        async def receive() -> dict[str, object]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "headers": [],
                 "query_string": b"", "subprotocols": [], "root_path": ""}  # fmt: skip
        await app(scope, receive, send)  # type: ignore[arg-type]

    for path in ("/", "/health", "/api/v1/ops/list-models", "/nowhere"):
        asyncio.run(talk(path))
    assert [message["type"] for message in sent] == ["websocket.close"] * 4
    backend.close()


def test_without_a_word_it_listens_on_this_machine_alone(tmp_path: Path) -> None:
    with running(Address("home", str(tmp_path))) as url:
        port = int(url.rpartition(":")[2])
        listening = [
            line.split()[1]
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
            if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
        ]
    assert listening == [f"0100007F:{port:04X}"]
