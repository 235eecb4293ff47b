"""The page of benchmarks agrees with the numbers it was written from."""

from __future__ import annotations

import importlib
import json

import pytest
from benchmarks.claims import ALL, Claim, Measure, Result
from benchmarks.peers.environments import ENVIRONMENTS, FLOW_PEERS, PEERS
from benchmarks.report import PAGE, RESULTS, SCRIPTS, render
from benchmarks.tables import table

CLAIM = Claim(
    name="runs",
    title="Runs a second",
    measures=(Measure(key="per_s", head="runs a second", reach=500, is_more_better=True),),
    limit="a file a run",
)


def result(*rows: tuple[str, str, list[float]]) -> Result:
    return {
        "machine": {"date": "2022-03-01", "python": "3.11", "system": "", "cpu": "", "load": ""},
        "rows": [
            {"is": kind, "name": name, "version": "1", "values": {"per_s": values}}
            for kind, name, values in rows
        ],
        "missing": [{"name": "Aim", "version": "3", "why": "it has no environment"}],
    }


def test_the_page_is_what_the_committed_numbers_say() -> None:
    assert PAGE.read_text() == render(), "write it anew: PYTHONPATH=. python benchmarks/report.py"


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - {"search_million"}))
def test_every_claim_has_numbers_of_loopline_the_limit_and_every_peer(name: str) -> None:
    found = json.loads((RESULTS / f"{name}.json").read_text())

    assert found["claim"] == name
    assert any(row["is"] == "Loopline" for row in found["rows"])
    told = {row["name"] for row in found["rows"]} | {each["name"] for each in found["missing"]}
    claim: Claim = importlib.import_module(f"benchmarks.{SCRIPTS[name]}").CLAIM
    known = FLOW_PEERS if claim.is_flow else PEERS
    assert {known[key].name for key in claim.peers} <= told
    assert claim.is_server or claim.is_flow or set(ALL) <= set(claim.peers)
    assert all(values for row in found["rows"] for values in row["values"].values())


def test_every_peer_has_its_pinned_version_in_an_environment() -> None:
    packages = {package.lower() for held in ENVIRONMENTS.values() for package in held}

    for key, peer in PEERS.items():
        assert f"{key.removesuffix('-async')}=={peer.version}".lower() in packages
    for peer in FLOW_PEERS.values():
        assert any(each.endswith(f"=={peer.version}") for each in ENVIRONMENTS[peer.environment])


def test_a_table_has_the_best_first_and_tells_what_was_missed_and_who_is_better() -> None:
    page = table(
        CLAIM,
        result(
            ("mlflow", "MLflow", [20.0]),
            ("Loopline", "Loopline", [400.0, 300.0, 440.0]),
            ("tensorboardX", "tensorboardX", [800.0]),
        ),
    )

    names = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("|")]
    assert names[2:] == ["tensorboardX", "**Loopline**", "MLflow"]
    assert "400 (300\N{EN DASH}440)" in page
    assert "runs a second: 400, claimed ≥ 500: **missed.**" in page
    assert "**better than Loopline: tensorboardX**" in page
    assert "- Aim 3: it has no environment" in page


def test_a_table_tells_what_was_reached() -> None:
    page = table(CLAIM, result(("Loopline", "Loopline", [510.0])))

    assert "runs a second: 510, claimed ≥ 500: reached." in page
    assert "better than Loopline" not in page


def test_a_table_tells_how_many_times_a_peer_was_beaten() -> None:
    measure = Measure(
        key="per_s", head="runs a second", is_more_better=True, times=(("mlflow", 10),)
    )
    claim = Claim(name="runs", title="Runs a second", measures=(measure,))
    rows = [("mlflow", "MLflow", [50.0]), ("Loopline", "Loopline", [400.0])]

    page = table(claim, result(*rows))

    assert "runs a second: 8.0 times as good as MLflow's, claimed 10 times: **missed.**" in page
