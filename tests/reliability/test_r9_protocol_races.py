"""R9: racing moves of MLflow's clients, each archiving the others, leave one in Production."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.server.running import ask, running

from loopline.backend.http import HttpBackend
from loopline.records import operations as ops
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS, MOVES, CLIENTS = 8, 100, 32


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_racing_moves_leave_one_version_in_production(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = Address("home", str(tmp_path))
    if kind == "postgresql":
        address = request.getfixturevalue("postgres").new()

    with running(address) as url:

        def call(path: str, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            answer = ask(url, "POST", f"/api/2.0/mlflow/{path}", json.dumps(fields).encode(),
                         {"Content-Type": "application/json"}, timeout_s=60)  # fmt: skip
            return answer.status, json.loads(answer.body)

        run_id = call("runs/create", {"experiment_id": "0"})[1]["run"]["info"]["run_id"]
        call("registered-models/create", {"name": "fare"})
        source = f"runs:/{run_id}/model"
        with ThreadPoolExecutor(CLIENTS) as pool:
            made = list(
                pool.map(
                    lambda _: call("model-versions/create", {"name": "fare", "source": source}),
                    range(VERSIONS),
                )
            )
            numbers = sorted(int(each["model_version"]["version"]) for _, each in made)
            moved = list(
                pool.map(
                    lambda number: call(
                        "model-versions/transition-stage",
                        {"name": "fare", "version": str(number % VERSIONS + 1),
                         "stage": "Production", "archive_existing_versions": True},
                    ),
                    range(MOVES),
                )
            )  # fmt: skip
        assert numbers == list(range(1, VERSIONS + 1))
        assert {status for status, _ in moved} == {200}
        found = json.loads(
            ask(url, "GET", "/api/2.0/mlflow/model-versions/search?filter=name%3D'fare'").body
        )
        stages = [each["current_stage"] for each in found["model_versions"]]
        assert stages.count("Production") == 1
        assert len(stages) == VERSIONS
        # Every move is told of once, and from where the one before it led to.
        backend = HttpBackend(Address("http", url))
        events = backend.call(ops.ListVersionEvents(name="fare"))
        backend.close()
        into = [e for e in events if e.kind == "stage" and e.after == "Production"]
        assert len(into) == MOVES
        for version in numbers:
            own = [e for e in reversed(events) if e.version == version and e.kind == "stage"]
            assert [e.before for e in own] == ["None", *(e.after for e in own)][:-1]
