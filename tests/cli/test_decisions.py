"""`loopline policies`, `decisions` and `models rollback`: what decides and was decided."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.cli.conftest import Shell
from tests.store.registry_story import NAME, register

from loopline.backend.local import LocalBackend
from loopline.records import operations as ops
from loopline.records.policies import Gain, Slices
from loopline.rules.gates import Evidence, decide
from loopline.rules.scores import scored
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """
model = "taxifare_model"
metric = "mae"
gates = [{gate = "gain", at_least = 0.1}, {gate = "slices", by = "borough"}, {gate = "approval"}]
rollback = {at_most_worse = 0.3, for_s = 600}
"""


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A store with two versions, of which the second is better and waits for a yes."""
    home = tmp_path / "home"
    backend = LocalBackend(Address("home", str(home)))
    for _ in range(2):
        register(backend)
    backend.call(ops.TransitionStage(name=NAME, version=1, stage="Production"))
    shell = Shell(home, [], capsys)
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    assert shell("policies", "set", str(file)).code == 0
    truth = [0.0] * 200
    evidence = Evidence(
        champion=scored("mae", truth, [2.0] * 200),
        challenger=scored("mae", truth, [1.0] * 200),
        slices={"borough": np.repeat(["Bronx", "Queens"], 100)},
    )
    decision = decide([Gain(), Slices(by="borough")], evidence, champion=1, challenger=2)
    backend.call(ops.RecordDecision(name=NAME, decision=decision, actor="nightly"))
    backend.close()
    return shell


def test_a_policy_is_set_shown_and_deleted(shell: Shell, tmp_path: Path) -> None:
    listed = shell("policies", "list")
    assert "at least 10 % less error, sure at 95 %; by borough, nowhere" in " ".join(
        listed.out.split()
    )
    shown = shell("policies", "show", NAME)
    assert "its live error is 30 % above" in shown.out
    assert shell("policies", "show", NAME, "--json").json["policy"]["metric"] == "mae"
    again = tmp_path / "again.json"
    again.write_text(json.dumps({"model": NAME, "gates": [{"gate": "size", "at_most_mb": 5}]}))
    assert "decided by policy 2 now" in shell("policies", "set", str(again)).out
    assert shell("policies", "delete", NAME).code == 0
    missing = shell("policies", "show", NAME)
    assert (missing.code, "loopline policies set" in missing.err) == (1, True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            'model = "a"\nmetrik = "mae"',
            "a policy has no 'metrik' (did you mean 'metric'?); it has model, stage",
        ),
        ('gates = [{gate = "gian"}]', "no gate 'gian' (did you mean 'gain'?); there are bound,"),
        ('gates = ["gain"]', "Expected `object`"),
        (
            'gates = [{gate = "gain", at_lest = 0.2}]',
            "the gate 'gain' has no 'at_lest' (did you mean 'at_least'?); it has at_least, conf",
        ),
        ("rollback = {for = 60}", "a rollback has no 'for'"),
        ('model = "a"\ngates = [{gate = "gain", at_least = "much"}]', "at `$.gates[0].at_least`"),
        ('model = "a"\ngates = [{gate = "luck"}]', "'luck'"),
        ('model = "a"\nmetric = "r2"', "Use one of rmse, mae"),
        ("model = ", "policies set --help"),
    ],
)
def test_a_policy_that_is_none_says_where_it_is_wrong(
    shell: Shell, tmp_path: Path, text: str, why: str
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    ran = shell("policies", "set", str(file))
    assert ran.code == 1
    assert why in ran.err


def test_a_decision_is_found_by_the_beginning_of_its_id_and_drawn(
    shell: Shell, tmp_path: Path
) -> None:
    (kept,) = shell("decisions", "list", "--status", "waiting", "--json").json
    assert "v2 may take v1's place, better by 50.0 %" in shell("decisions", "list").out
    picture = tmp_path / "gains.svg"
    shown = shell("decisions", "show", kept["decision_id"][:8], "--picture", str(picture))
    assert shown.code == 0
    assert "passed" in shown.out
    assert "Bronx" in shown.out
    assert picture.read_text().startswith("<svg")
    assert "Bronx" in picture.read_text()
    missing = shell("decisions", "show", "no such")
    assert (missing.code, "loopline decisions list" in missing.err) == (1, True)


def test_yes_moves_the_version_and_rollback_takes_it_back(shell: Shell) -> None:
    (kept,) = shell("decisions", "list", "--json").json
    said = shell("decisions", "approve", kept["decision_id"], "--reason", "looked at it")
    assert said.out == f"{NAME} v2 is in Production now.\n"
    again = shell("decisions", "refuse", kept["decision_id"], "--reason", "no")
    assert (again.code, "waits for nobody" in again.err) == (1, True)
    back = shell("models", "rollback", NAME, "--reason", "riders complain")
    assert back.out == f"{NAME} v1 is in Production again.\n"
    assert "riders complain" in shell("models", "history", NAME).out
    first = shell("models", "rollback", NAME, "--reason", "again")
    assert (first.code, "--to VERSION" in first.err) == (1, True)


def test_no_moves_nothing(shell: Shell) -> None:
    (kept,) = shell("decisions", "list", "--json").json
    said = shell("decisions", "refuse", kept["decision_id"], "--reason", "too few rides")
    assert said.out == f"{NAME} v2 stays where it is.\n"
    assert "too few rides" in shell("decisions", "show", kept["decision_id"]).out
