"""The guide is followed to the letter: its flow, and each of its commands, in order."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/moving-from-prefect.md").read_text()


def test_the_guide_works_as_it_says(tmp_path: Path) -> None:
    [script] = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^    ((?:python|loopline|sed) .*)$", GUIDE, re.MULTILINE)
    assert len(commands) == 9
    (tmp_path / "fares.py").write_text(script)
    (tmp_path / ".loopline").mkdir()
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    heard, versions = "", []
    for command in commands:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        heard += done.stdout + done.stderr
        assert done.returncode == 0, f"{command}\n{heard}"
        if command.startswith("python"):
            shown = subprocess.run(
                ["/bin/sh", "-c", "loopline flows list --json"],
                cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
            versions.append(json.loads(shown.stdout)[0]["version"])
    assert heard.count("mean fare 7.50") >= 3
    # One word changed is no other flow.
    assert versions[:2] == [1, 1]
