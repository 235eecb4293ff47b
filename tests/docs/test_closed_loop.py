"""The guide to the first closed loop, followed to the letter in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "closed-loop.md"


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_newcomer_gets_around_the_loop(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": "",
    }

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    text = GUIDE.read_text()
    loop, flow, rows = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "fares_loop.py").write_text(loop)
    (tmp_path / "flow.py").write_text(
        f"from fares_loop import loop\n{flow}\nflow.register('fares', no_url=True)\n"
    )
    (tmp_path / "rows.py").write_text(f"from fares_loop import trips\n{rows}")
    said: dict[str, str] = {}
    for line in re.findall(r"^    (loopline .*)$", text, re.MULTILINE):
        if line == "loopline flows list":
            run(sys.executable, "flow.py")
        if line.startswith("loopline drift"):
            run(sys.executable, "rows.py")
        said[line] = run("/bin/sh", "-c", line)

    past = next(out for line, out in said.items() if "backtest" in line)
    assert "2022-08-01" in past
    assert "of the error (11 trainings, 3 promotions" in past
    turns = [out for line, out in said.items() if "lifecycle turn" in line]
    assert ["promoted v1" in turns[0], "kept v1" in turns[1], "promoted v3" in turns[2]] == [
        True
    ] * 3
    assert "fares loop" in said["loopline flows list"]
    assert "columns drifted: fare" in next(out for line, out in said.items() if "drift" in line)
    assert "fares v1 is in Production again" in list(said.values())[-1]
