"""What SECURITY.md says can be counted is counted here."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from loopline.backend.local import LocalBackend
from loopline.journal.journal import Journal
from loopline.rules.redaction import Redactor
from loopline.server.app import create_app
from loopline.server.guarded import PUBLIC, GuardedRoute
from loopline.server.identity import Identity
from loopline.settings import Address
from loopline.store import passwords, tokens

PAGE = (Path(__file__).parents[2] / "SECURITY.md").read_text()


def test_the_exceptions_of_the_gate_are_those_that_it_names(tmp_path: Path) -> None:
    backend = LocalBackend(Address("home", str(tmp_path)))
    identity = Identity(backend.store)
    app = create_app(backend, allowed_hosts=frozenset(), identity=identity)
    identity.close()
    backend.close()
    found = {
        route.path.partition("{")[0]
        for route in app.routes
        if isinstance(route, GuardedRoute) and route.permission == PUBLIC
    }
    said = PAGE[PAGE.index("The only exceptions are") :].partition("A test")[0]
    named = set(re.findall(r"`(/[^`]*)`", said)) - {"/login/oidc"}
    assert found - {"/static/version/"} == named


def test_numbers_of_passwords_are_those_that_it_names() -> None:
    said = f"N =\n  2^{passwords.COST}, r = {passwords.BLOCK}, p = {passwords.REPEATS}"
    assert said in PAGE


def test_a_token_of_ours_is_known_by_its_look(tmp_path: Path) -> None:
    from loopline.records import operations as ops

    backend = LocalBackend(Address("home", str(tmp_path)))
    backend.call(ops.AddUser(name="ana", role="admin"))
    secret = backend.call(ops.CreateToken(user="ana")).secret
    backend.close()
    assert secret.startswith(tokens.PREFIX)
    assert f"`{tokens.PREFIX}`" in PAGE
    assert Redactor().line(f"used {secret} for it") == "used [redacted] for it"


@pytest.mark.parametrize("address", ["postgresql://ana:sesame@db.example/fares"])
def test_an_address_with_a_password_is_kept_for_its_owner_alone(
    tmp_path: Path, address: str
) -> None:
    journal = Journal(tmp_path / "journal", address)
    try:
        holding = [
            path
            for path in tmp_path.rglob("*")
            if path.is_file() and b"sesame" in path.read_bytes()
        ]
        assert len(holding) == 1
        assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600
    finally:
        journal.close(remove=True)
