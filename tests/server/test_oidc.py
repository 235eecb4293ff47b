"""Signing in by the word of an OpenID Connect provider: a real one, and forgers of all kinds."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from tests.reliability.serving import free_port
from tests.server.running import Answer, ask
from tests.server.team import Team, team_at

from loopline.errors import BackendUnavailableError, ForbiddenError, InvalidInputError
from loopline.records import operations as ops
from loopline.records.identity import Role
from loopline.server.app import create_app
from loopline.server.guarded import PUBLIC, GuardedRoute
from loopline.server.identity import Identity
from loopline.server.oidc import CALLBACK, Oidc, Provider, provider_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROLES = "ml-admins=admin,ml=editor"
USERS = [
    {"sub": "1001", "preferred_username": "ana", "groups": ["ml", "ml-admins"]},
    {"sub": "1002", "preferred_username": "bea", "groups": ["ml"]},
    {"sub": "1003", "preferred_username": "eve", "groups": ["sales"]},
    {"sub": "1004", "preferred_username": "taken", "groups": ["ml"]},
]


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """A provider in a process of its own."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    for user in USERS:
        command += ["--user-claims", json.dumps(user)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                if ask(url, "GET", "/.well-known/openid-configuration").status == 200:
                    break
            except OSError:
                assert time.monotonic() < deadline, "the provider did not start"
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def team(provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    monkeypatch.setenv("LOOPLINE_OIDC_ISSUER", provider)
    monkeypatch.setenv("LOOPLINE_OIDC_CLIENT_ID", "loopline")
    monkeypatch.setenv("LOOPLINE_OIDC_CLIENT_SECRET", "a secret: with /?&% in it")
    monkeypatch.setenv("LOOPLINE_OIDC_ROLES", ROLES)
    with team_at(tmp_path) as team:
        yield team


def follow(url: str, method: str = "GET", body: bytes | None = None, /, **headers: str) -> Answer:
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}"
    return ask(base, method, url.removeprefix(base), body, headers)


def cookies(answer: Answer) -> str:
    found = [each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie", [])]
    return "; ".join(found)


def sent_back(team: Team, subject: str, then: str = "/runs") -> tuple[str, str]:
    """Go to the provider and be somebody there; returns where it sends to, and the cookie."""
    start = team.get(f"/login/oidc?{urlencode({'next': then})}")
    assert start.status == 303
    form = urlencode({"sub": subject}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = follow(start.headers["Location"], "POST", form, **kind)
    assert answer.status in {302, 303}, answer.text
    return answer.headers["Location"], cookies(start)


def test_somebody_signs_in_by_the_providers_word(team: Team) -> None:
    assert "Sign in with 127.0.0.1" in team.get("/login?next=/runs").text
    location, cookie = sent_back(team, "1001", "/runs?q=x")
    # A browser comes from another site here, and follows a link.
    crossed = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    done = follow(location, Cookie=cookie, **crossed)
    assert (done.status, done.headers["Location"]) == (303, "/runs?q=x")
    session = next(part for part in cookies(done).split("; ") if "session" in part)
    assert "ana" in team.get("/runs", Cookie=session).text
    (user,) = team.owner.call(ops.ListUsers())
    assert (user.name, user.role, user.has_password) == ("ana", Role.ADMIN, False)
    rows = team.owner.call(ops.ListAudit()).rows
    assert [(row.action, row.actor, row.how) for row in rows] == [
        ("sign-in", "ana", "oidc"), ("add-user", "ana", "sign-in"),
    ]  # fmt: skip


def test_the_role_is_that_of_the_groups_there_now(team: Team) -> None:
    location, cookie = sent_back(team, "1002")
    assert follow(location, Cookie=cookie).status == 303
    team.owner.call(ops.ChangeUser(name="bea", role="admin"))
    location, cookie = sent_back(team, "1002")
    assert follow(location, Cookie=cookie).status == 303
    (user,) = team.owner.call(ops.ListUsers())
    assert (user.name, user.role) == ("bea", Role.EDITOR)
    team.user("boss", "admin")
    team.owner.call(ops.ChangeUser(name="bea", is_active=False))
    location, cookie = sent_back(team, "1002")
    assert follow(location, Cookie=cookie).status == 403


def test_who_is_in_no_group_is_not_let_in(team: Team) -> None:
    location, cookie = sent_back(team, "1003")
    refused = follow(location, Cookie=cookie)
    assert refused.status == 403
    assert "in no group" in refused.text
    deadline = time.monotonic() + 10
    while not (rows := team.owner.call(ops.ListAudit()).rows):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (rows[0].action, rows[0].subject) == ("sign-in-failed", "user/eve")
    assert team.owner.call(ops.ListUsers()) == []


def test_an_account_is_not_taken_over_by_its_name(team: Team) -> None:
    team.user("taken", "admin", password=True)
    location, cookie = sent_back(team, "1004")
    refused = follow(location, Cookie=cookie)
    assert refused.status == 403
    assert "Another user is called" in refused.text


def test_an_answer_counts_once_and_for_the_browser_that_asked(team: Team) -> None:
    location, cookie = sent_back(team, "1001")
    assert follow(location).status == 403  # Somebody was given another's link.
    assert follow(location, Cookie=cookie).status == 403  # And it was used up by that.
    location, cookie = sent_back(team, "1001")
    _, others = sent_back(team, "1001")
    assert follow(location, Cookie=others).status == 403
    location, cookie = sent_back(team, "1001")
    assert follow(location, Cookie=cookie).status == 303
    assert follow(location, Cookie=cookie).status == 403
    for query in ("", "?code=x", "?state=x&code=x", "?state=&code="):
        assert team.get(f"{CALLBACK}{query}", Cookie=cookie).status == 403


def test_only_the_way_there_and_back_asks_nobody_who_they_are(team: Team) -> None:
    identity = Identity(team.owner.store)

    def public(oidc: Oidc | None) -> set[str]:
        app = create_app(team.owner, allowed_hosts=frozenset(), identity=identity, oidc=oidc)
        routes = [route for route in app.routes if isinstance(route, GuardedRoute)]
        return {route.path for route in routes if route.permission == PUBLIC}

    oidc = Oidc(Provider("https://example.com", "loopline"))
    assert public(oidc) - public(None) == {"/login/oidc", CALLBACK}
    identity.close()


def test_what_the_provider_refuses_is_told(team: Team) -> None:
    start = team.get("/login/oidc")
    state = parse_qs(urlsplit(start.headers["Location"]).query)["state"][0]
    said = urlencode({"state": state, "error": "access_denied", "error_description": "<b>no"})
    refused = team.get(f"{CALLBACK}?{said}", Cookie=cookies(start))
    assert refused.status == 403
    assert "&lt;b&gt;no" in refused.text
    start = team.get("/login/oidc")
    state = parse_qs(urlsplit(start.headers["Location"]).query)["state"][0]
    wrong = urlencode({"state": state, "code": "made up"})
    assert team.get(f"{CALLBACK}?{wrong}", Cookie=cookies(start)).status == 403


# --- forgers ------------------------------------------------------------------------------------


KEY = RSAKey.generate_key(2048, {"kid": "1"})
OTHER = RSAKey.generate_key(2048, {"kid": "1"})
REDIRECT = "http://127.0.0.1:1/login/oidc/callback"


class Forger:
    """A provider whose ID tokens say what a test wants."""

    def __init__(self) -> None:
        self.url = ""
        self.nonce = self.challenge = ""
        self.issuer = ""
        self.published = KEY
        self.forge: Callable[[dict[str, Any]], str] = signed
        self.document: dict[str, Any] = {}

    def claims(self) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.url, "aud": "loopline", "sub": "1", "exp": now + 60, "iat": now,
            "nonce": self.nonce, "preferred_username": "ana", "groups": ["ml"],
        }  # fmt: skip

    def answer(self, path: str, form: dict[str, list[str]]) -> dict[str, Any] | None:
        match path:
            case "/.well-known/openid-configuration":
                return {
                    "issuer": self.issuer or self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/keys",
                    **self.document,
                }
            case "/keys":
                return {"keys": [self.published.as_dict(private=False)]}
            case "/token":
                verifier = form["code_verifier"][0].encode()
                digest = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest())
                if digest.rstrip(b"=").decode() != self.challenge:
                    return None
                return {"id_token": self.forge(self.claims())}
        return None


def signed(claims: dict[str, Any], key: RSAKey = KEY) -> str:
    return jwt.encode({"alg": "RS256", "kid": "1"}, claims, key)


@contextmanager
def forging() -> Iterator[Forger]:
    forger = Forger()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.reply(parse_qs(body))

        def reply(self, form: dict[str, list[str]]) -> None:
            answer = forger.answer(self.path, form)
            self.send_response(400 if answer is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    forger.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield forger
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def go(forger: Forger, oidc: Oidc, **changes: str) -> str:
    """Be sent there and come back; returns whom the server takes one for."""
    attempt = oidc.begin(redirect=REDIRECT, then="/")
    asked = {key: value[0] for key, value in parse_qs(urlsplit(attempt.url).query).items()}
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    forger.nonce, forger.challenge = asked["nonce"], asked["code_challenge"]
    forger.challenge = changes.get("challenge", forger.challenge)
    vouched, then = oidc.finish({"state": asked["state"], "code": "c"}, attempt.cookie)
    assert then == "/"
    return vouched.name


def made(forger: Forger) -> Oidc:
    return Oidc(Provider(forger.url, "loopline", roles={"ml": Role.EDITOR}))


def _compact(header: dict[str, Any], claims: dict[str, Any]) -> bytes:
    said = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims)]
    return b".".join(part.rstrip(b"=") for part in said)


def unsigned(claims: dict[str, Any]) -> str:
    return (_compact({"alg": "none"}, claims) + b".").decode()


def by_shared_secret(claims: dict[str, Any]) -> str:
    # The published key as a shared secret: what a lax verifier takes for the provider's own.
    said = _compact({"alg": "HS256", "kid": "1"}, claims)
    digest = hmac.digest(KEY.as_pem(private=False), said, "sha256")
    return (said + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


FORGED: dict[str, Callable[[dict[str, Any]], str]] = {
    "signed by another": lambda claims: signed(claims, OTHER),
    "not signed": unsigned,
    "signed with the public key": by_shared_secret,
    "for another client": lambda claims: signed({**claims, "aud": "other"}),
    "made for another": lambda claims: signed({**claims, "azp": "other"}),
    "from another issuer": lambda claims: signed({**claims, "iss": "https://evil.example"}),
    "for another attempt": lambda claims: signed({**claims, "nonce": "other"}),
    "without a nonce": lambda claims: signed({**claims, "nonce": ""}),
    "expired": lambda claims: signed({**claims, "exp": claims["exp"] - 600}),
    "without an end": lambda claims: signed({**claims, "exp": None}),
    "of nobody": lambda claims: signed({key: claims[key] for key in claims if key != "sub"}),
    "no token": lambda _claims: "a.b.c",
    "nothing": lambda _claims: "",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_word_is_not_taken(forge: Callable[[dict[str, Any]], str]) -> None:
    with forging() as forger:
        oidc = made(forger)
        assert go(forger, oidc) == "ana"
        forger.forge = forge
        with pytest.raises(ForbiddenError, match="not signed in"):
            go(forger, oidc)


def test_a_code_is_exchanged_by_who_asked_for_it_alone() -> None:
    with forging() as forger:
        oidc = made(forger)
        with pytest.raises(ForbiddenError, match="answered with status 400"):
            go(forger, oidc, challenge="of another attempt")
        assert go(forger, oidc) == "ana"


def test_new_keys_of_the_provider_are_asked_for() -> None:
    with forging() as forger:
        oidc = made(forger)
        assert go(forger, oidc) == "ana"
        forger.published = OTHER
        forger.forge = lambda claims: signed(claims, OTHER)
        assert go(forger, oidc) == "ana"


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
    ],
)
def test_a_provider_that_publishes_nonsense_is_not_believed(document: dict[str, Any]) -> None:
    with forging() as forger:
        forger.document = document
        with pytest.raises((ForbiddenError, InvalidInputError)):
            go(forger, made(forger))


def test_a_name_that_nobody_checked_is_not_a_name() -> None:
    with forging() as forger:
        oidc = made(forger)

        def say(**claims: object) -> str:
            def forge(usual: dict[str, Any]) -> str:
                del usual["preferred_username"]
                return signed({**usual, **claims})

            forger.forge = forge
            return go(forger, oidc)

        assert say(email="boss@example.com", email_verified=False) == "1"
        assert say(email="ana@example.com", email_verified=True) == "ana@example.com"
        assert say(email=["boss"]) == "1"


def test_a_provider_that_is_away_is_told() -> None:
    oidc = Oidc(Provider(f"http://127.0.0.1:{free_port()}", "loopline"))
    with pytest.raises(BackendUnavailableError, match="cannot be asked"):
        oidc.begin(redirect=REDIRECT, then="/")


@pytest.mark.parametrize(
    "environment",
    [
        {"LOOPLINE_OIDC_CLIENT_ID": ""},
        {"LOOPLINE_OIDC_ISSUER": "http://example.com"},
        {"LOOPLINE_OIDC_ROLES": ""},
        {"LOOPLINE_OIDC_ROLES": "ml"},
        {"LOOPLINE_OIDC_ROLES": "=admin"},
        {"LOOPLINE_OIDC_ROLES": "ml=owner"},
    ],
)
def test_wrong_settings_are_told_at_the_start(environment: dict[str, str]) -> None:
    good = {
        "LOOPLINE_OIDC_ISSUER": "https://example.com/",
        "LOOPLINE_OIDC_CLIENT_ID": "loopline",
        "LOOPLINE_OIDC_ROLES": "a=b=admin, *=viewer",
    }
    read = provider_from(good)
    assert read is not None
    assert (read.issuer, dict(read.roles)) == (
        "https://example.com", {"a=b": Role.ADMIN, "*": Role.VIEWER},
    )  # fmt: skip
    assert provider_from({}) is None
    with pytest.raises(InvalidInputError):
        provider_from({**good, **environment})
