"""The guide about team servers: its commands are typed as they stand, beside servers that run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.docs.test_guides import ROOT, commands_of
from tests.security.test_tls import certificate
from tests.server.team import team_at

from loopline.records import facts as f
from loopline.records import operations as ops

if TYPE_CHECKING:
    from tests.server.team import Team

GUIDE = "docs/team-server.md"


def environment(home: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "HOME": str(home), "PATH": path}


def typed(command: str, home: Path) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=home, env=environment(home), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def fill(team: Team) -> None:
    """Make what the guide gives roles on."""
    begun = f.RunStarted(run_id="ab" * 16, experiment="wagoncab taxifare", start_ms=1)
    team.owner.call(ops.RecordFacts(facts=[begun]))
    team.owner.call(ops.CreateModel(name="taxifare"))


@pytest.mark.deep
def test_a_server_starts_by_each_of_its_commands_and_stops(tmp_path: Path) -> None:
    (tmp_path / ".loopline").mkdir()
    for made, name in zip(certificate(tmp_path), ("fullchain.pem", "privkey.pem"), strict=True):
        Path(made).rename(tmp_path / name)
    servers = [each for each in commands_of(GUIDE) if each.startswith("loopline server --auth")]
    assert len(servers) == 4
    for command in dict.fromkeys(servers):
        process = subprocess.Popen(
            [*command.split(), "--port", "0", "--json"],
            cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        told = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, f"{command}\n{errors}"
        assert json.loads(told)["url"].startswith("http"), errors


@pytest.mark.deep
def test_people_programs_and_secrets_are_looked_after_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "hook.secret").write_text("a secret of the hook that nobody guesses")
    (tmp_path / "key.json").write_text("{}")
    told: dict[str, str] = {}
    with team_at(tmp_path) as team:
        fill(team)
        commands = [
            each for each in commands_of(GUIDE) if not re.match("loopline (init|server)", each)
        ]
        assert len(commands) == 15
        for command in commands:
            name = "ID" if command.endswith(" ID") else ""
            if name:
                hook = team.owner.call(ops.ListWebhooks())[0].webhook_id
                told[command] = typed(command.replace("ID", hook), tmp_path)
            else:
                told[command] = typed(command, tmp_path)
        token = next(said for each, said in told.items() if "tokens create" in each).split()[0]
        assert token.startswith("loopline_")
        # The server took them at once: Ana's token is let in, and her link is a page.
        assert team.get("/api/2.0/mlflow/experiments/search?max_results=5", token).status == 200
        link = told["loopline users invite ana"].strip()
        assert team.get(link).status == 200
        grants = team.owner.call(ops.ListGrants(user="bea"))
        assert {(each.thing, each.role) for each in grants} == {
            ("experiment", "editor"), ("model", "viewer"), ("project", "viewer"),
        }  # fmt: skip
        assert team.owner.call(ops.ListSecrets()) == []
    assert "rows are as they were written" in told["loopline audit --verify"]
    assert (
        told["loopline audit --limit 4"].splitlines()[0].split()
        == re.findall(r"ROW .*", (ROOT / GUIDE).read_text())[0].split()
    )
