"""Secrets are read where they are needed, and are in no result that is kept."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from loopline import Flow, task
from loopline.backend.recorder import get_recorder
from loopline.errors import InvalidInputError, NotFoundError
from loopline.executors import LocalDaskExecutor
from loopline.records.operations import SetSecret
from loopline.tasks import EnvVarSecret, SecretTask

if TYPE_CHECKING:
    from pathlib import Path

PHRASE = "correct horse battery"


@task
def sign_in(password: str) -> int:
    assert password == PHRASE
    return len(password)


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_a_secret_is_used_by_other_tasks_and_kept_nowhere(
    home: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    monkeypatch.setenv("LOOPLINE_SECRET_DB_PASSWORD", PHRASE)
    with Flow("sign in") as flow:
        length = sign_in(SecretTask("DB_PASSWORD"))
    state = flow.run(executor=LocalDaskExecutor(scheduler=scheduler, num_workers=1))
    assert state.result[length].result == len(PHRASE)
    get_recorder().flush()
    for path in home.rglob("*"):
        if path.is_file():
            assert PHRASE.encode() not in path.read_bytes(), path


def reread(value: object) -> Any:  # noqa: ANN401 - whatever it was
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


def test_a_kept_secret_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPLINE_SECRET_KEY", "old")
    kept = pickle.dumps(SecretTask("KEY").run())
    assert b"old" not in kept
    monkeypatch.setenv("LOOPLINE_SECRET_KEY", "new")
    assert pickle.loads(kept) == "new"  # noqa: S301 - our own
    monkeypatch.delenv("LOOPLINE_SECRET_KEY")
    with pytest.raises(NotFoundError, match="LOOPLINE_SECRET_KEY"):
        pickle.loads(kept)  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("text", "value"), [("a", "a"), ("7", 7), ("1.5", 1.5), ('{"a": 1}', {"a": 1}), ("[1]", [1])]
)
def test_a_secret_that_is_json_becomes_what_it_says(
    monkeypatch: pytest.MonkeyPatch, text: str, value: object
) -> None:
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__KEY", text)
    found = SecretTask("KEY").run()
    assert found == value
    assert isinstance(found, type(value))
    assert repr(found) == "<secret>"
    assert reread(found) == value


def test_a_secret_of_the_store_is_found_and_the_environment_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    get_recorder().backend.call(SetSecret(name="PORT", value="5432"))
    assert SecretTask("PORT").run() == 5432
    monkeypatch.setenv("LOOPLINE_SECRET_PORT", "1")
    assert SecretTask("PORT").run() == 1


def test_a_variable_is_cast_and_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "5432")
    found = EnvVarSecret("PORT", cast=int).run()
    assert found + 1 == 5433
    assert reread(found) == 5432
    assert EnvVarSecret("NO_SUCH").run() is None
    with pytest.raises(NotFoundError, match="NO_SUCH is not set"):
        EnvVarSecret("NO_SUCH", raise_if_missing=True).run()


def test_what_cannot_be_hidden_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "5432")
    with pytest.raises(InvalidInputError, match="A set cannot be kept secret"):
        EnvVarSecret("PORT", cast=set).run()


def test_a_secret_needs_a_name() -> None:
    with pytest.raises(TypeError, match="needs name"):
        SecretTask().run()
