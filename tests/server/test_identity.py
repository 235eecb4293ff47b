"""How a server comes to know who asks: tokens, passwords, sessions, links."""

from __future__ import annotations

import base64
import http.client
import re
import time
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
from tests.server.running import Answer, ask, running
from tests.server.team import PASSWORD, Team, team_at

from loopline.backend.http import HttpBackend
from loopline.backend.local import LocalBackend
from loopline.errors import ForbiddenError, NotSignedInError
from loopline.records import operations as ops
from loopline.server import tries
from loopline.server.pages.sign_in_routes import safe_next
from loopline.server.serve import serve
from loopline.settings import Address, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ = "/api/2.0/mlflow/experiments/get?experiment_id=0"
WRONG = "red lights mean go"


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with team_at(tmp_path) as team:
        yield team


def basic(name: str, password: str) -> dict[str, str]:
    said = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {said}"}


def post_form(url: str, path: str, fields: dict[str, str], **headers: str) -> Answer:
    sent = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": url,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return ask(url, "POST", path, urlencode(fields).encode(), sent)


def signed_in(team: Team, name: str) -> str:
    """Sign in as a browser does; returns its cookie."""
    answer = post_form(team.url, "/login", {"name": name, "password": PASSWORD})
    assert answer.status == 303, answer.text
    return answer.headers["Set-Cookie"].partition(";")[0]


# --- tokens and passwords of programs -------------------------------------------------------------


def test_a_token_and_a_password_let_programs_in(team: Team) -> None:
    team.user("ana", "viewer", password=True)
    token = team.token("ana")
    for headers in (
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"bearer  {token}"},
        basic("ana", PASSWORD),
        basic("ana", token),
    ):
        assert ask(team.url, "GET", READ, headers=headers).status == 200
    for headers in (
        {},
        {"Authorization": f"Bearer {token}x"},
        {"Authorization": token},
        {"Authorization": "Digest x"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic ???"},
        {"Authorization": "Basic " + base64.b64encode(b"ana").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()},
        basic("ana", WRONG),
        basic("bea", token),
        basic("nobody", PASSWORD),
        basic("ana", "x" * 5000),
    ):
        answer = ask(team.url, "GET", READ, headers=headers)
        assert answer.status == 401, headers
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "UNAUTHENTICATED" in answer.text


def test_our_own_client_signs_in_from_the_environment(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.user("ana", "admin", password=True)

    def who() -> str:
        backend = HttpBackend(parse_address(team.url))
        try:
            return backend.call(ops.WhoAmI()).name
        finally:
            backend.close()

    with pytest.raises(NotSignedInError, match="LOOPLINE_TOKEN"):
        who()
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", team.token("ana"))
    assert who() == "ana"
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ana")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    assert who() == "ana"
    monkeypatch.setenv("LOOPLINE_TOKEN", "loopline_wrong")
    with pytest.raises(NotSignedInError, match="does not count"):
        who()
    monkeypatch.setenv("LOOPLINE_TOKEN", team.member("bea", "viewer"))
    assert who() == "bea"


def test_a_whole_run_is_logged_under_a_token(
    team: Team, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import loopline

    monkeypatch.setenv("LOOPLINE_TOKEN", team.member("ana", "editor"))
    monkeypatch.setenv("LOOPLINE_HOME", str(tmp_path / "own"))
    client = loopline.Client(team.url)
    run = client.create_run("0")
    client.log_batch(run.run_id, params=[loopline.Param("model", "gbm")])
    client.set_terminated(run.run_id)
    client.flush()
    assert team.owner.call(ops.GetRun(run_id=run.run_id)).params == {"model": "gbm"}


def test_a_password_is_hashed_once_and_not_for_every_request(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loopline.store import passwords

    hashed: list[str] = []

    def counting(password: str, kept: str) -> bool:
        hashed.append(password)
        return passwords.is_password(password, kept)

    monkeypatch.setattr("loopline.server.identity.is_password", counting)
    monkeypatch.setattr("loopline.server.identity.FRESH_S", 0.0)
    team.user("ana", "viewer", password=True)
    for _ in range(5):
        assert ask(team.url, "GET", READ, headers=basic("ana", PASSWORD)).status == 200
    assert hashed == [PASSWORD]
    # A new password ends what the old one opened.
    from loopline.store.sign_in import set_password

    set_password(team.owner.store, "ana", WRONG, by="the test")
    assert ask(team.url, "GET", READ, headers=basic("ana", PASSWORD)).status == 401
    assert ask(team.url, "GET", READ, headers=basic("ana", WRONG)).status == 200


def test_what_the_server_itself_changes_counts_at_once(team: Team) -> None:
    boss = team.member("boss", "admin")
    token = team.member("ana", "viewer")
    write = ops.CreateModel(name="a")
    assert team.call(token, write)[0] == 403
    assert team.call(boss, ops.ChangeUser(name="ana", role="editor"))[0] == 200
    assert team.call(token, write)[0] == 200
    token_id = team.owner.call(ops.ListTokens(user="ana"))[0].token_id
    assert team.call(boss, ops.RevokeToken(token_id=token_id))[0] == 200
    assert team.call(token, ops.ListModels())[0] == 401
    other = team.token("ana")
    assert team.call(boss, ops.ChangeUser(name="ana", is_active=False))[0] == 200
    assert team.call(other, ops.ListModels())[0] == 401


def test_what_is_changed_elsewhere_counts_after_seconds(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = team.member("ana", "viewer")
    assert team.get("/runs", token).status == 200
    team.owner.call(ops.RemoveUser(name="ana"))
    assert team.get("/runs", token).status == 200
    later = time.monotonic() + 6.0
    monkeypatch.setattr("loopline.server.identity.time.monotonic", lambda: later)
    assert team.get("/runs", token).status == 401


def test_the_last_use_of_a_token_is_noted(team: Team) -> None:
    token = team.member("ana", "viewer")
    assert team.get("/runs", token).status == 200
    deadline = time.monotonic() + 10
    while not team.owner.call(ops.ListTokens(user="ana"))[0].last_used_ms:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_tokens_are_their_users_own(team: Team) -> None:
    ana, bea = team.member("ana", "viewer"), team.member("bea", "editor")
    (of_ana,) = team.owner.call(ops.ListTokens(user="ana"))
    assert team.call(bea, ops.RevokeToken(token_id=of_ana.token_id))[0] == 404
    assert team.call(bea, ops.ListTokens(user="ana"))[0] == 403
    assert team.call(bea, ops.ListTokens(everybody=True))[0] == 403
    assert team.call(bea, ops.CreateToken(user="ana"))[0] == 403
    assert [each["user"] for each in team.call(ana, ops.ListTokens())[1]] == ["ana"]


# --- wrong passwords ------------------------------------------------------------------------------


def test_wrong_passwords_are_counted_and_then_not_looked_at(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tries, "MOST_OF_BOTH", 3)
    team.user("ana", "viewer", password=True)
    good = basic("ana", PASSWORD)
    assert ask(team.url, "GET", READ, headers=good).status == 200
    for number in range(3):
        assert ask(team.url, "GET", READ, headers=basic("ana", f"{WRONG}{number}")).status == 401
    refused = ask(team.url, "GET", READ, headers=basic("ana", f"{WRONG}!"))
    assert refused.status == 429
    assert 290 <= int(refused.headers["Retry-After"]) <= 300
    # Not even the right one, where it would tell that it is right; where it is known, it counts.
    page = post_form(team.url, "/login", {"name": "ana", "password": PASSWORD})
    assert (page.status, page.headers["Retry-After"]) == (429, refused.headers["Retry-After"])
    assert ask(team.url, "GET", READ, headers=good).status == 200
    assert ask(team.url, "GET", READ, headers=basic("bea", WRONG)).status == 401
    rows = team.owner.call(ops.ListAudit(subject="user/ana")).rows
    assert [row.action for row in rows].count("sign-in-failed") == 3
    assert {row.address for row in rows if row.action == "sign-in-failed"} == {"127.0.0.1"}


def test_an_address_has_so_many_tries_whatever_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = tries.Tries()
    for number in range(tries.MOST_OF_ADDRESS):
        counted.begin(f"user{number}", "10.0.0.9")
    with pytest.raises(Exception, match="Too many") as refused:
        counted.begin("another", "10.0.0.9")
    assert getattr(refused.value, "status", 0) == 429
    counted.begin("another", "10.0.0.8")
    later = time.monotonic() + tries.WINDOW_S + 1
    monkeypatch.setattr("loopline.server.tries.time.monotonic", lambda: later)
    counted.begin("another", "10.0.0.9")


def test_right_passwords_are_not_counted() -> None:
    counted = tries.Tries()
    for number in range(1_000):
        counted.begin(f"user{number % 100}", "10.0.0.9")
        counted.was_right(f"user{number % 100}", "10.0.0.9")


def test_wrong_passwords_that_come_at_once_are_no_more_than_others(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []

    def slow(password: str, _kept: str) -> bool:
        looked_at.append(password)
        time.sleep(0.2)
        return False

    monkeypatch.setattr("loopline.server.identity.is_password", slow)
    with ThreadPoolExecutor(30) as pool:
        answers = pool.map(
            lambda number: ask(team.url, "GET", READ, headers=basic("ana", f"{WRONG}{number}")),
            range(30),
        )
        statuses = [answer.status for answer in answers]
    assert len(looked_at) == statuses.count(401) == tries.MOST_OF_BOTH
    assert statuses.count(429) == 30 - tries.MOST_OF_BOTH


def test_the_memory_for_tries_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "MOST_KEYS", 100)
    counted = tries.Tries()
    for number in range(1_000):
        counted.begin(f"{number}" * 1_000, f"10.0.0.{number}")
    assert len(counted._times) <= 100
    assert max(len(user) for user, _ in counted._times) <= tries.MOST_NAME


# --- browsers -------------------------------------------------------------------------------------


def test_a_browser_is_sent_to_sign_in_and_back(team: Team) -> None:
    team.user("ana", "viewer", password=True)
    sent = team.get("/runs?q=status%20%3D%20'FINISHED'")
    assert sent.status == 303
    assert sent.headers["Location"] == "/login?next=/runs%3Fq%3Dstatus%2520%253D%2520%27FINISHED%27"
    form = team.get(sent.headers["Location"]).text
    then = re.search(r'name="next" value="([^"]*)"', form)
    assert then is not None
    assert then[1] == "/runs?q=status%20%3D%20&#x27;FINISHED&#x27;"
    answer = post_form(
        team.url, "/login", {"name": "ana", "password": PASSWORD, "next": "/runs?q=x"}
    )
    assert (answer.status, answer.headers["Location"]) == (303, "/runs?q=x")


@pytest.mark.parametrize(
    "path", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "", "/a\r\nX: y"]
)
def test_signing_in_leads_to_this_server_alone(path: str) -> None:
    assert safe_next(path) == "/"
    assert safe_next("/runs?q=a//b") == "/runs?q=a//b"


def test_a_session_is_a_cookie_that_scripts_and_other_sites_cannot_use(team: Team) -> None:
    team.user("ana", "editor", password=True)
    answer = post_form(team.url, "/login", {"name": "ana", "password": PASSWORD})
    (morsel,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert (morsel["httponly"], morsel["samesite"].lower(), morsel["path"]) == (True, "lax", "/")
    cookie = {"Cookie": f"{morsel.key}={morsel.value}"}
    assert "ana" in ask(team.url, "GET", "/runs", headers=cookie).text
    write = "/api/v1/ops/create-model"
    sent = {**cookie, "Content-Type": "application/json"}
    body = b'{"name": "taxifare"}'
    # Only a page of this server writes on the strength of a cookie.
    assert ask(team.url, "POST", write, body, sent).status == 403
    assert ask(team.url, "POST", write, body, {**sent, "Origin": "http://evil"}).status == 403
    crossed = {**sent, "Origin": team.url, "Sec-Fetch-Site": "same-site"}
    assert ask(team.url, "POST", write, body, crossed).status == 403
    assert ask(team.url, "POST", write, body, {**sent, "Origin": team.url}).status == 200
    # And it cannot be given a form from elsewhere, nor be signed out by one.
    for path in ("/login", "/logout", "/me/tokens"):
        form = {**cookie, "Content-Type": "application/x-www-form-urlencoded"}
        assert ask(team.url, "POST", path, b"name=x", form).status == 403, path


def test_signing_out_ends_the_session_and_not_only_its_cookie(team: Team) -> None:
    team.user("ana", "viewer", password=True)
    cookie = signed_in(team, "ana")
    out = post_form(team.url, "/logout", {}, Cookie=cookie)
    assert (out.status, out.headers["Location"]) == (303, "/login")
    assert 'loopline_session=""' in out.headers["Set-Cookie"]
    assert team.get("/runs", Cookie=cookie).status == 303
    rows = team.owner.call(ops.ListAudit(subject="user/ana")).rows
    assert [row.action for row in rows[:2]] == ["sign-out", "sign-in"]


def test_the_secret_of_a_token_is_on_the_page_that_made_it_and_nowhere_else(team: Team) -> None:
    team.user("ana", "viewer", password=True)
    cookie = signed_in(team, "ana")
    made = post_form(
        team.url, "/me/tokens", {"name": "laptop", "scope": "read", "days": "30"}, Cookie=cookie
    )
    found = re.search(r"loopline_[\w-]{43}", made.text)
    assert found is not None
    assert team.get("/runs", found[0]).status == 200
    page = team.get("/me", Cookie=cookie).text
    assert found[0] not in page
    token_id = team.owner.call(ops.ListTokens(user="ana"))[0].token_id
    assert token_id in page
    assert (
        post_form(team.url, "/me/tokens/revoke", {"token_id": token_id}, Cookie=cookie).status
        == 303
    )
    assert team.get("/runs", found[0]).status == 401
    bad = {"name": "x", "scope": "everything", "days": "30"}
    assert post_form(team.url, "/me/tokens", bad, Cookie=cookie).status == 400
    assert post_form(team.url, "/me/tokens", {**bad, "days": "-1"}, Cookie=cookie).status == 400


@pytest.mark.parametrize(
    "cookie",
    ["loopline_session=", "loopline_session=x; loopline_session=y", 'loopline_session="',
     "loopline_session=\\", "loopline_session", "x" * 4000],
)  # fmt: skip
def test_a_strange_cookie_is_nobodys(team: Team, cookie: str) -> None:
    assert ask(team.url, "GET", "/runs", headers={"Cookie": cookie}).status == 303
    assert ask(team.url, "GET", READ, headers={"Cookie": cookie}).status == 401


@pytest.mark.parametrize("body", [b"\xff\xfe=x", b"a=b&" * 60, b"name=" + b"x" * 20_000])
def test_a_strange_form_is_refused(team: Team, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": team.url}
    for path in ("/login", "/set-up"):
        answer = ask(team.url, "POST", path, body, headers)
        assert 400 <= answer.status < 500


# --- the first start ------------------------------------------------------------------------------


def test_the_first_start_makes_the_administrator_and_no_password_is_there_before(
    tmp_path: Path,
) -> None:
    address = Address("home", str(tmp_path / "home"))
    links: list[str] = []
    with running(address, auth=True, on_set_up=links.append) as url:
        parts = urlsplit(links[0])
        assert links[0].startswith(f"{url}/set-up?link=")
        for name, password in (("admin", "admin"), ("admin", "password"), ("", "")):
            assert post_form(url, "/login", {"name": name, "password": password}).status == 401
        page = ask(url, "GET", f"{parts.path}?{parts.query}")
        assert page.status == 200
        assert "form-action 'self'" in page.headers["Content-Security-Policy"]
        fields = {
            "link": parts.query.partition("=")[2], "name": "ana", "password": PASSWORD,
            "again": PASSWORD,
        }  # fmt: skip
        assert post_form(url, "/set-up", {**fields, "again": WRONG}).status == 400
        assert post_form(url, "/set-up", {**fields, "name": "a b"}).status == 400
        done = post_form(url, "/set-up", fields)
        assert (done.status, done.headers["Location"]) == (303, "/")
        cookie = done.headers["Set-Cookie"].partition(";")[0]
        assert ask(url, "GET", "/", headers={"Cookie": cookie}).status == 200
        assert post_form(url, "/set-up", fields).status == 403
        assert ask(url, "GET", f"{parts.path}?{parts.query}").status == 403
    with running(address, auth=True, on_set_up=links.append) as url:
        assert ask(url, "GET", READ, headers=basic("ana", PASSWORD)).status == 200
    assert len(links) == 1


@pytest.mark.parametrize("options", [{}, {"auth": True}])
def test_listening_for_everybody_needs_names(tmp_path: Path, options: dict[str, bool]) -> None:
    with pytest.raises(ForbiddenError, match=r"--allow-host|--auth"):
        serve(Address("home", str(tmp_path)), host="0.0.0.0", port=0, **options)  # type: ignore[arg-type]  # noqa: S104


def test_a_server_for_everybody_is_reached_by_the_names_it_was_told(tmp_path: Path) -> None:
    links: list[str] = []
    options: dict[str, Any] = {
        "host": "0.0.0.0", "auth": True, "allowed_hosts": ["box:5050"],  # noqa: S104
        "on_set_up": links.append,
    }  # fmt: skip
    with running(Address("home", str(tmp_path / "home")), **options) as url:
        port = url.rpartition(":")[2]
        assert links[0].startswith("http://box:5050/set-up?link=")
        for host, status in (
            ("box:5050", 200), (f"127.0.0.1:{port}", 200), (f"0.0.0.0:{port}", 403), ("box", 403),
        ):  # fmt: skip
            answer = ask(f"http://127.0.0.1:{port}", "GET", "/health", headers={"Host": host})
            assert answer.status == status, host


@pytest.mark.parametrize("url", ["ml.example.com", "ftp://x", "https://", "https://x/be low"])
def test_a_public_url_is_one(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="no address of a server"):
        serve(Address("home", str(tmp_path)), public_url=url, port=0)


def test_behind_a_proxy_with_tls_cookies_are_for_tls_alone(tmp_path: Path) -> None:
    with team_at(tmp_path, public_url="https://ml.example.com") as team:
        team.user("ana", "viewer", password=True)
        outside = {"Host": "ml.example.com", "Origin": "https://ml.example.com"}
        fields = {"name": "ana", "password": PASSWORD}
        answer = post_form(team.url, "/login", fields, **outside)
        assert answer.headers["Set-Cookie"].startswith("__Host-loopline_session=")
        assert "secure" in answer.headers["Set-Cookie"].lower()
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        assert team.get("/runs", Cookie=cookie, **outside).status == 200
        refused = {**outside, "Origin": "http://ml.example.com"}
        assert post_form(team.url, "/login", fields, **refused).status == 403
        out = post_form(team.url, "/logout", {}, Cookie=cookie, **outside)
        assert out.headers["Set-Cookie"].startswith('__Host-loopline_session=""')


def test_a_request_that_came_past_the_gate_does_nothing(tmp_path: Path) -> None:
    from loopline.server.callers import ServedBackend

    inner = LocalBackend(Address("home", str(tmp_path)))
    backend = ServedBackend(inner)
    with pytest.raises(RuntimeError, match="past the gate"):
        backend.call(ops.ListModels())
    inner.close()


def test_a_connection_is_not_its_first_users(team: Team) -> None:
    ana, bea = team.member("ana", "viewer"), team.member("bea", "viewer")
    parts = urlsplit(team.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    seen = []
    for token in (ana, bea, "", ana):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection.request("POST", "/api/v1/ops/who-am-i", b"{}", headers)
        answer = connection.getresponse()
        seen.append(re.findall(rb'"name":"(\w+)"', answer.read()))
    connection.close()
    assert seen == [[b"ana"], [b"bea"], [], [b"ana"]]
