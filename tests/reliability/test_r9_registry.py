"""R9: a hundred racing moves from 32 clients leave one version in Production, and all history."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.server.running import running

from loopline.backend.http import HttpBackend
from loopline.records import operations as ops
from loopline.records.registry import Stage
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

NAME = "taxifare_model"
CLIENTS, MOVES = 32, 100


@pytest.mark.parametrize("kind", ["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.deep)])
def test_every_racing_move_is_answered_and_one_version_stays_in_production(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = Address("home", str(tmp_path / ".loopline"))
    if kind == "PostgreSQL":
        address = request.getfixturevalue("postgres").new()
    with running(address) as url:
        clients = [HttpBackend(Address("http", url)) for _ in range(CLIENTS)]

        def move(number: int) -> int:
            # Whatever the server does not answer with 200 is raised here.
            client = clients[number % CLIENTS]
            made = client.call(ops.RegisterVersion(name=NAME, allow_empty=True))
            client.call(
                ops.TransitionStage(
                    name=NAME, version=made.version, stage="Production", archive_existing=True
                )
            )
            return made.version

        with ThreadPoolExecutor(CLIENTS) as threads:
            made = sorted(threads.map(move, range(MOVES)))

        client = clients[0]
        versions = client.call(ops.ListVersions(name=NAME))
        model = client.call(ops.GetModel(name=NAME))
        events = client.call(ops.ListVersionEvents(name=NAME))
        for each in clients:
            each.close()
    assert made == list(range(1, MOVES + 1))
    (champion,) = (version.version for version in versions if version.stage == Stage.PRODUCTION)
    assert model.champions == {"Production": champion}
    into = [event.version for event in events if event.after == Stage.PRODUCTION]
    assert (sorted(into), into[0]) == (made, champion)
    for version in versions:
        own = [e for e in reversed(events) if e.version == version.version and e.kind == "stage"]
        stages = ["None", *(event.after for event in own)]
        assert [event.before for event in own] == stages[:-1]
        assert stages[-1] == version.stage
