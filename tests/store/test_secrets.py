"""Secrets are sealed with a key that is not in the database, and open with nothing else."""

from __future__ import annotations

import base64
import secrets
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from loopline.backend.local import LocalBackend
from loopline.errors import (
    ConflictError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    UnsupportedError,
)
from loopline.records import operations as ops
from loopline.records.secrets import SecretValue
from loopline.settings import Address
from loopline.store import schema
from loopline.store.keyring import KEY_FILE, keys_of
from loopline.store.sealing import count_closed, count_sealed, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = "the key of the taxi lot"
KEY, OTHER = secrets.token_urlsafe(32), base64.b64encode(bytes(range(224, 256))).decode()


@pytest.fixture
def keeper(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> LocalBackend:
    """Open a store that can keep secrets, on either database."""
    monkeypatch.setenv("LOOPLINE_SECRET_KEY", KEY)
    return backend


def kept(backend: LocalBackend, name: str) -> str:
    return backend.call(ops.GetSecret(name=name)).value


def column(backend: LocalBackend) -> list[str]:
    with backend.store.read() as connection:
        return list(connection.execute(select(schema.secret.c.sealed)).scalars())


def test_a_secret_is_set_got_listed_and_deleted(keeper: LocalBackend) -> None:
    made = keeper.call(ops.SetSecret(name="LOT", value="old"))
    keeper.call(ops.SetSecret(name="LOT", value=VALUE))
    keeper.call(ops.SetSecret(name="API", value="é\n" * 100))
    assert (kept(keeper, "LOT"), kept(keeper, "API")) == (VALUE, "é\n" * 100)
    listed = keeper.call(ops.ListSecrets())
    assert [each.name for each in listed] == ["API", "LOT"]
    assert listed[1].created_ms == made.created_ms
    assert keeper.call(ops.DeleteSecret(name="LOT")).name == "LOT"
    with pytest.raises(NotFoundError, match="Did you mean 'API'"):
        keeper.call(ops.GetSecret(name="APl"))
    with pytest.raises(NotFoundError, match="loopline secrets set"):
        keeper.call(ops.DeleteSecret(name="LOT"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "x"), (" ", "x"), ("x", ""), ("n" * 251, "x"), ("x", "v" * 65_537), ("a\0", "x"),
     ("x", "a\0b"), ("x", "\ud800")],
)  # fmt: skip
def test_what_is_no_secret_is_refused(keeper: LocalBackend, name: str, value: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        keeper.call(ops.SetSecret(name=name, value=value))
    assert len(value) < 4 or value not in str(caught.value)
    assert keeper.call(ops.ListSecrets()) == []


def test_no_repr_shows_a_value() -> None:
    assert VALUE not in repr(ops.SetSecret(name="LOT", value=VALUE))
    assert VALUE not in repr([SecretValue(name="LOT", value=VALUE)])


def test_the_owners_own_doings_are_in_the_log_without_the_value(keeper: LocalBackend) -> None:
    keeper.call(ops.SetSecret(name="LOT", value=VALUE))
    kept(keeper, "LOT")
    keeper.call(ops.DeleteSecret(name="LOT"))
    rows = keeper.call(ops.ListAudit()).rows
    assert [row.action for row in rows] == ["delete-secret", "get-secret", "set-secret"]
    assert {(row.subject, row.how) for row in rows} == {("secret/LOT", "store")}
    assert VALUE not in repr(rows)


def test_the_same_text_is_sealed_otherwise_each_time(keeper: LocalBackend) -> None:
    for name in ("a", "b"):
        keeper.call(ops.SetSecret(name=name, value=VALUE))
    one, other = column(keeper)
    assert one != other
    assert VALUE not in one + other
    assert base64.b64encode(VALUE.encode()).decode()[:12] not in one + other


def test_a_secret_that_was_moved_or_changed_in_the_database_is_not_used(
    keeper: LocalBackend,
) -> None:
    keeper.call(ops.SetSecret(name="LOT", value=VALUE))
    keeper.call(ops.SetSecret(name="API", value="x"))
    lot = schema.secret.c.name == "LOT"
    with keeper.store.write() as connection:
        sealed = str(connection.execute(select(schema.secret.c.sealed).where(lot)).scalar_one())
        connection.execute(update(schema.secret).where(~lot).values(sealed=sealed))
    with pytest.raises(IntegrityError, match="put there from elsewhere"):
        kept(keeper, "API")
    form, name, encoded = sealed.split(".")
    turned = base64.urlsafe_b64encode(
        bytes([base64.urlsafe_b64decode(encoded)[0] ^ 1]) + base64.urlsafe_b64decode(encoded)[1:]
    ).decode()
    for changed in (
        f"{form}.{name}.{turned}",
        f"s2.{name}.{encoded}",
        f"{form}.{name}.",
        VALUE,
        "",
    ):
        with keeper.store.write() as connection:
            connection.execute(update(schema.secret).where(lot).values(sealed=changed))
        with pytest.raises((IntegrityError, ConflictError)):
            kept(keeper, "LOT")


def test_without_its_key_a_secret_is_missed_and_never_replaced(
    keeper: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.call(ops.SetSecret(name="LOT", value=VALUE))
    monkeypatch.setenv("LOOPLINE_SECRET_KEY", OTHER)
    with pytest.raises(ConflictError, match="Bring it back"):
        kept(keeper, "LOT")
    monkeypatch.delenv("LOOPLINE_SECRET_KEY")
    with pytest.raises(ConflictError, match="sealed with a key that is not here"):
        keeper.call(ops.SetSecret(name="API", value="x"))  # It would make a key of its own.
    with keeper.store.read() as connection:
        assert (count_sealed(connection), count_closed(keeper.store, connection)) == (1, 1)
    assert keeper.call(ops.DeleteSecret(name="LOT")).name == "LOT"


def test_a_new_key_before_the_old_one_seals_and_both_open(
    keeper: LocalBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keeper.call(ops.SetSecret(name="old", value=VALUE))
    monkeypatch.delenv("LOOPLINE_SECRET_KEY")
    file = tmp_path / "keys"
    file.write_text(f"{OTHER}\n{KEY}\n")
    monkeypatch.setenv("LOOPLINE_SECRET_KEY_FILE", str(file))
    keeper.call(ops.SetSecret(name="new", value=VALUE))
    assert kept(keeper, "old") == kept(keeper, "new") == VALUE
    file.write_text(OTHER)
    assert kept(keeper, "new") == VALUE
    with pytest.raises(ConflictError, match="LOOPLINE_SECRET_KEY_FILE"):
        kept(keeper, "old")


@pytest.mark.parametrize(
    "key",
    ["short", "ä", "=" * 43, "A" * 44, " ", KEY[:-2], f"{KEY} more"],
    # The key is another one in each process of a parallel run.
    ids=["short", "ä", "all =", "too long", "a space", "cut off", "with more"],
)
def test_what_is_no_key_is_refused_and_not_repeated(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("LOOPLINE_SECRET_KEY", key)
    with pytest.raises(UnsupportedError, match="Make one: python") as caught:
        backend.call(ops.SetSecret(name="LOT", value=VALUE))
    assert len(key) < 6 or key[:20] not in str(caught.value)


def test_a_key_file_that_is_not_there_is_said(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOOPLINE_SECRET_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(UnsupportedError, match=r"LOOPLINE_SECRET_KEY_FILE.*No such file"):
        backend.call(ops.SetSecret(name="LOT", value=VALUE))


def test_a_home_makes_its_key_once_and_a_server_without_one_keeps_nothing(
    backend: LocalBackend,
) -> None:
    if not backend.store.is_sqlite:
        with pytest.raises(UnsupportedError, match="set LOOPLINE_SECRET_KEY") as caught:
            backend.call(ops.SetSecret(name="LOT", value=VALUE))
        assert "postgres" not in str(caught.value)  # Where the database is, is nobody's business.
        return
    path = Path(backend.address.text) / KEY_FILE
    assert not path.exists()
    backend.call(ops.SetSecret(name="LOT", value=VALUE))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = path.read_bytes()
    backend.call(ops.SetSecret(name="API", value=VALUE))
    assert path.read_bytes() == made
    assert list(path.parent.glob(".secret*")) == []


def test_processes_that_make_the_key_at_once_have_one(tmp_path: Path) -> None:
    address = Address("home", str(tmp_path / "home"))
    backends = [LocalBackend(address) for _ in range(8)]
    threads = [
        threading.Thread(target=each.call, args=[ops.SetSecret(name=f"S{n}", value=VALUE)])
        for n, each in enumerate(backends)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [kept(backends[0], f"S{n}") for n in range(8)] == [VALUE] * 8
    assert len({tuple(keys_of(each.store)) for each in backends}) == 1
    for each in backends:
        each.close()


@pytest.fixture(scope="module")
def one_backend(open_module_backend: Callable[..., LocalBackend]) -> LocalBackend:
    return open_module_backend()


@given(place=st.text(), text=st.text(alphabet=st.characters(codec="utf-8")))
def test_what_is_sealed_opens_in_its_place_alone(
    one_backend: LocalBackend, place: str, text: str
) -> None:
    place = place.encode("utf-8", "replace").decode()
    with pytest.MonkeyPatch.context() as patch, one_backend.store.read() as connection:
        patch.setenv("LOOPLINE_SECRET_KEY", KEY)
        sealed = seal(one_backend.store, connection, place, text)
        assert unseal(one_backend.store, place, sealed) == text
        with pytest.raises(IntegrityError):
            unseal(one_backend.store, f"{place}.", sealed)
