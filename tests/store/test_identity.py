"""Users, tokens, links and the audit log in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, select, update

from loopline.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
)
from loopline.records import operations as ops
from loopline.records.identity import Access, Caller, Role, Scope
from loopline.store import schema, sign_in
from loopline.store.operations import carry_out
from loopline.store.passwords import hash_password, is_password

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.backend.local import LocalBackend

DAY_MS = 86_400_000
PASSWORD = "yellow cabs turn left"  # noqa: S105 - of a user of the tests


class Clock:
    """A clock that stands until it is put forward."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backend(open_backend: Callable[..., LocalBackend], clock: Clock) -> LocalBackend:
    return open_backend(clock=clock)


# --- users --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a/b", "é", "-a", "a" * 101, "a\n"])
def test_a_user_has_a_name_that_every_protocol_can_say(backend: LocalBackend, name: str) -> None:
    with pytest.raises(InvalidInputError, match="no user name"):
        backend.call(ops.AddUser(name=name))


def test_a_name_is_one_users(backend: LocalBackend) -> None:
    backend.call(ops.AddUser(name="ana@example.com"))
    with pytest.raises(AlreadyExistsError):
        backend.call(ops.AddUser(name="ana@example.com"))
    with pytest.raises(NotFoundError, match=r"Did you mean 'ana@example.com'"):
        backend.call(ops.ChangeUser(name="ana@example.org", role="viewer"))


@pytest.mark.parametrize(
    "change",
    [
        ops.ChangeUser(name="ana", role="editor"),
        ops.ChangeUser(name="ana", is_active=False),
        ops.RemoveUser(name="ana"),
    ],
)
def test_one_administrator_is_always_left(
    backend: LocalBackend, change: ops.Operation[Any]
) -> None:
    backend.call(ops.AddUser(name="ana", role="admin"))
    with pytest.raises(ConflictError, match="last administrator"):
        backend.call(change)
    assert backend.call(ops.ListUsers())[0].role is Role.ADMIN
    backend.call(ops.AddUser(name="bea", role="admin"))
    backend.call(change)


def test_a_user_goes_with_all_that_is_its_own(backend: LocalBackend) -> None:
    backend.call(ops.AddUser(name="ana", role="editor"))
    secret = backend.call(ops.CreateToken(user="ana")).secret
    session = sign_in.start_session(backend.store, "ana", how="password", address="")
    backend.call(ops.SetGrant(user="ana", thing="experiment", name="0", role="admin"))
    backend.call(ops.RemoveUser(name="ana"))
    backend.call(ops.AddUser(name="ana"))
    assert sign_in.find_token(backend.store, secret) is None
    assert sign_in.find_session(backend.store, session) is None
    assert backend.call(ops.ListGrants()) == []


@pytest.mark.parametrize(
    ("thing", "name", "error"),
    [
        ("experiment", "77", NotFoundError),
        ("experiment", "x", NotFoundError),
        ("model", "nothing", NotFoundError),
        ("project", " ", InvalidInputError),
        ("run", "0", InvalidInputError),
    ],
)
def test_a_role_is_given_on_what_is_there(
    backend: LocalBackend, thing: str, name: str, error: type[Exception]
) -> None:
    backend.call(ops.AddUser(name="ana"))
    with pytest.raises(error):
        backend.call(ops.SetGrant(user="ana", thing=thing, name=name, role="viewer"))


# --- tokens -------------------------------------------------------------------------------------


def test_a_token_counts_until_it_expires(backend: LocalBackend, clock: Clock) -> None:
    backend.call(ops.AddUser(name="ana", role="editor"))
    made = backend.call(ops.CreateToken(user="ana", scope="read", days=2))
    known = sign_in.find_token(backend.store, made.secret)
    assert known is not None
    assert (known.name, known.how) == ("ana", f"token {made.token.token_id}")
    assert (known.access.role, known.access.scope) == (Role.EDITOR, Scope.READ)
    clock.now_ms += 2 * DAY_MS
    assert sign_in.find_token(backend.store, made.secret) is None


def test_a_token_without_an_end_counts_for_good(backend: LocalBackend, clock: Clock) -> None:
    backend.call(ops.AddUser(name="ana"))
    secret = backend.call(ops.CreateToken(user="ana", days=0)).secret
    clock.now_ms += 9_999 * DAY_MS
    assert sign_in.find_token(backend.store, secret) is not None


def test_a_revoked_token_and_one_of_a_disabled_user_do_not_count(backend: LocalBackend) -> None:
    backend.call(ops.AddUser(name="ana"))
    made = backend.call(ops.CreateToken(user="ana"))
    backend.call(ops.RevokeToken(token_id=made.token.token_id))
    assert sign_in.find_token(backend.store, made.secret) is None
    other = backend.call(ops.CreateToken(user="ana")).secret
    backend.call(ops.ChangeUser(name="ana", is_active=False))
    assert sign_in.find_token(backend.store, other) is None


def test_no_secret_is_in_the_store(backend: LocalBackend) -> None:
    backend.call(ops.AddUser(name="ana", role="admin"))
    token = backend.call(ops.CreateToken(user="ana"), key="the same").secret
    again = backend.call(ops.CreateToken(user="ana"), key="the same").secret
    link = backend.call(ops.InviteUser(name="ana"), key="another").path
    sign_in.set_password(backend.store, "ana", PASSWORD, by="the test")
    session = sign_in.start_session(backend.store, "ana", how="password", address="")
    secrets = [token, again, link.partition("=")[2], PASSWORD, session]
    with backend.store.read() as connection:
        for table in schema.metadata.sorted_tables:
            for row in connection.execute(select(table)):
                said = repr(tuple(row))
                assert not any(secret in said for secret in secrets), table.name


# --- passwords and links --------------------------------------------------------------------------


def test_a_password_is_known_again_and_no_other() -> None:
    kept = hash_password("straße und café")
    assert is_password("straße und café", kept)
    assert is_password("straße und cafe\u0301", kept)  # Another keyboard's way to spell it.
    assert not is_password("straße und cafe", kept)
    assert not is_password("", kept)
    assert not is_password("anything", "")
    assert kept != hash_password("straße und café")


@pytest.mark.parametrize(
    "password", ["short", "x" * 1025, "aaaaaaaaaaaa", "Password123", "ana.miller"]
)
def test_a_password_that_protects_nothing_is_refused(backend: LocalBackend, password: str) -> None:
    backend.call(ops.AddUser(name="ana.miller"))
    with pytest.raises(InvalidInputError):
        sign_in.set_password(backend.store, "ana.miller", password, by="the test")


def secret_of(path: str | None) -> str:
    assert path is not None
    return path.partition("link=")[2]


def test_the_first_administrator_comes_by_a_link_that_works_once(backend: LocalBackend) -> None:
    store = backend.store
    old = secret_of(sign_in.make_set_up_link(store))
    secret = secret_of(sign_in.make_set_up_link(store))
    assert sign_in.find_link(store, old) is None
    with pytest.raises(InvalidInputError):
        sign_in.use_link(store, secret, name="ana", password=PASSWORD[:9], address="")
    assert sign_in.use_link(store, secret, name="ana", password=PASSWORD, address="") == "ana"
    with pytest.raises(ForbiddenError, match="works no more"):
        sign_in.use_link(store, secret, name="eve", password=PASSWORD, address="")
    assert [(user.name, user.role) for user in backend.call(ops.ListUsers())] == [
        ("ana", Role.ADMIN)
    ]
    assert sign_in.make_set_up_link(store) is None


def test_a_link_ends_in_time_and_is_for_one_user(backend: LocalBackend, clock: Clock) -> None:
    backend.call(ops.AddUser(name="ana"))
    backend.call(ops.AddUser(name="bea"))
    late = secret_of(backend.call(ops.InviteUser(name="ana", hours=1)).path)
    clock.now_ms += 3_600_000
    assert sign_in.find_link(backend.store, late) is None
    secret = secret_of(backend.call(ops.InviteUser(name="ana")).path)
    whose = sign_in.use_link(backend.store, secret, name="bea", password=PASSWORD, address="")
    assert whose == "ana"
    users = {user.name: user.has_password for user in backend.call(ops.ListUsers())}
    assert users == {"ana": True, "bea": False}


def test_a_new_password_ends_the_sessions_there_are(backend: LocalBackend, clock: Clock) -> None:
    backend.call(ops.AddUser(name="ana"))
    session = sign_in.start_session(backend.store, "ana", how="password", address="")
    assert sign_in.find_session(backend.store, session) is not None
    sign_in.set_password(backend.store, "ana", PASSWORD, by="the test")
    assert sign_in.find_session(backend.store, session) is None
    session = sign_in.start_session(backend.store, "ana", how="password", address="")
    clock.now_ms += 12 * 3_600_000
    assert sign_in.find_session(backend.store, session) is None


# --- callers ------------------------------------------------------------------------------------


def admin(name: str) -> Caller:
    return Caller(name=name, how="token x", access=Access(role=Role.ADMIN))


def test_an_idempotency_key_is_its_callers_own(backend: LocalBackend) -> None:
    store = backend.store
    first = carry_out(store, ops.CreateModel(name="a"), key="k", caller=admin("ana"))
    again = carry_out(store, ops.CreateModel(name="a"), key="k", caller=admin("ana"))
    assert again == first
    other = carry_out(store, ops.CreateModel(name="b"), key="k", caller=admin("bea"))
    assert other.name == "b"
    weak = Caller(name="ana", how="token y", access=Access(role=Role.VIEWER))
    with pytest.raises(ForbiddenError):
        carry_out(store, ops.CreateModel(name="a"), key="k", caller=weak)


def test_who_acts_is_who_is_known_whatever_the_request_says(backend: LocalBackend) -> None:
    made = ops.CreateModel(name="a", actor="somebody else")
    carry_out(backend.store, made, caller=admin("ana"))
    events = backend.call(ops.ListVersionEvents(name="a"))
    assert [event.actor for event in events] == ["ana"]


# --- the log ------------------------------------------------------------------------------------


def grown(backend: LocalBackend, rows: int) -> None:
    for number in range(rows):
        backend.call(ops.AddUser(name=f"user{number}"))


def test_the_log_says_what_was_and_what_is(backend: LocalBackend) -> None:
    carry_out(backend.store, ops.CreateModel(name="taxifare"), caller=admin("ana"))
    change = ops.UpdateModel(name="taxifare", description="fares")
    carry_out(backend.store, change, caller=admin("bea"))
    carry_out(backend.store, ops.DeleteModel(name="taxifare"), caller=admin("ana"))
    rows = backend.call(ops.ListAudit(subject="model/taxifare")).rows
    assert [(row.action, row.actor) for row in rows] == [
        ("delete-model", "ana"), ("update-model", "bea"), ("create-model", "ana"),
    ]  # fmt: skip
    assert "description" not in rows[1].before
    assert '"description":"fares"' in rows[1].after
    assert (rows[0].after, rows[2].before) == ("", "")
    assert [row.number for row in backend.call(ops.ListAudit(actor="bea")).rows] == [2]


def test_what_was_refused_is_not_in_the_log(backend: LocalBackend) -> None:
    carry_out(backend.store, ops.CreateModel(name="a"), caller=admin("ana"))
    with pytest.raises(AlreadyExistsError):
        carry_out(backend.store, ops.CreateModel(name="a"), caller=admin("ana"))
    assert len(backend.call(ops.ListAudit()).rows) == 1


def test_the_log_comes_in_pages(backend: LocalBackend) -> None:
    grown(backend, 7)
    page, seen = backend.call(ops.ListAudit(limit=3)), list[int]()
    while True:
        seen += [row.number for row in page.rows]
        if not page.next_before:
            break
        page = backend.call(ops.ListAudit(limit=3, before=page.next_before))
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_an_untouched_log_fits(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loopline.store.audit.TOGETHER", 3)
    assert backend.call(ops.VerifyAudit()).rows == 0
    grown(backend, 7)
    verdict = backend.call(ops.VerifyAudit())
    newest = backend.call(ops.ListAudit(limit=1)).rows[0]
    assert (verdict.rows, verdict.broken_at, verdict.head) == (7, 0, newest.hash)


@pytest.mark.parametrize("column", [column.name for column in schema.audit.c])
def test_a_changed_row_is_found(backend: LocalBackend, column: str) -> None:
    grown(backend, 5)
    table = schema.audit
    value = 99 if column in {"number", "at_ms"} else "changed"
    with backend.store.write() as connection:
        connection.execute(update(table).where(table.c.number == 3).values({column: value}))
    assert backend.call(ops.VerifyAudit()).broken_at == 3


def test_a_row_taken_out_is_found(backend: LocalBackend) -> None:
    grown(backend, 5)
    with backend.store.write() as connection:
        connection.execute(delete(schema.audit).where(schema.audit.c.number == 2))
    assert backend.call(ops.VerifyAudit()).broken_at == 2


def test_each_password_has_a_salt_and_costs_what_is_said_of_it() -> None:
    one, other = hash_password("yellow cabs"), hash_password("yellow cabs")
    assert one != other
    assert one.split("$")[:4] == ["scrypt", "14", "8", "5"]  # As SECURITY.md says.
