"""Secrets of flows come from the store, and are in nothing that a run records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import loopline
from loopline import Flow, task
from loopline.backend.recorder import close_recorders, get_recorder
from loopline.errors import NotFoundError
from loopline.flows.secrets import Secret
from loopline.records import operations as ops

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "sesame-of-the-taxi-lot"  # noqa: S105 - made up


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOOPLINE_NO_CAPTURE", "1")
    loopline.set_tracking_uri(tmp_path / "home")
    yield tmp_path / "home"
    close_recorders()
    loopline.set_tracking_uri(None)


def keep(name: str, value: str) -> None:
    get_recorder().backend.call(ops.SetSecret(name=name, value=value))


def test_a_flow_gets_what_was_kept_and_records_nothing_of_it(home: Path) -> None:
    keep("DATABASE", f'{{"user": "ana", "passwords": ["{PASSWORD}"]}}')

    @task(log_stdout=True)
    def connect() -> int:
        (password,) = Secret("DATABASE").get()["passwords"]
        print("connecting with", password)
        return len(password)

    with Flow("fares") as flow:
        length = connect()
    state = flow.run()
    assert state.result[length].result == len(PASSWORD)
    close_recorders()  # So that all of it has arrived.
    backend = get_recorder().backend
    (run,) = backend.call(ops.ListFlowRuns()).flow_runs
    lines = backend.call(ops.GetLogs(flow_run_id=run.flow_run_id))
    assert "connecting with [redacted]" in [line.message for line in lines]
    close_recorders()
    for path in home.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


def test_the_environment_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Secret("LOT").exists()
    keep("LOT", "from the store")
    assert Secret("LOT").get() == "from the store"
    monkeypatch.setenv("LOOPLINE__CONTEXT__SECRETS__LOT", "from the environment")
    assert Secret("LOT").get() == "from the environment"
    assert (home / "secret.key").exists()


def test_what_is_nowhere_is_said_with_the_command(home: Path) -> None:
    del home
    with pytest.raises(NotFoundError, match="loopline secrets set LOT"):
        Secret("LOT").get()
