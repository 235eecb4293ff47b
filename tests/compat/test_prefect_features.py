"""Each feature of Prefect 1 as a script, with what the real 1.4.1 showed of it beside it as data.

`scripts/NAME.json` is written by `features.py --prefect --keep`; `scripts/differences.json` has
what we show instead, and why: no more and no less.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem != "seen")
#: These wait for a timeout, or for times of a schedule.
SLOW = {"schedules", "timeouts"}

#: Name of a script → name of what it showed → the value and why it is not Prefect's.
DIFFERENCES: dict[str, dict[str, dict[str, Any]]] = json.loads(
    (SCRIPTS / "differences.json").read_text(encoding="utf-8")
)

Outcomes = dict[str, dict[str, Any]]


def run_scripts(names: list[str], home: Path) -> Outcomes:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / "features.py"), *names],
        env={**os.environ, "LOOPLINE_URI": str(home)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outcomes: Outcomes = json.loads(done.stdout)
    return outcomes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """Run all of a kind in one process, when the first of them is asked for."""
    ran: Outcomes = {}

    def outcome_of(name: str) -> dict[str, Any]:
        if name not in ran:
            alike = [each for each in NAMES if (each in SLOW) == (name in SLOW)]
            ran.update(run_scripts(alike, tmp_path_factory.mktemp("home")))
        return ran[name]

    return outcome_of


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.deep if name in SLOW else ()) for name in NAMES],
)
def test_a_feature_behaves_as_in_prefect_1(
    name: str, outcomes: Callable[[str], dict[str, Any]]
) -> None:
    there: dict[str, Any] = json.loads((SCRIPTS / f"{name}.json").read_text(encoding="utf-8"))
    assert "broke" not in there
    differences = DIFFERENCES.get(name, {})
    expected = {**there, **{shown: each["here"] for shown, each in differences.items()}}
    assert outcomes(name) == expected


def test_each_difference_is_one_and_has_its_reason() -> None:
    for name, differences in DIFFERENCES.items():
        there = json.loads((SCRIPTS / f"{name}.json").read_text(encoding="utf-8"))
        for shown, each in differences.items():
            assert each["here"] != there[shown], (name, shown)
            assert each["why"], (name, shown)
