"""What the guides show is run as they show it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ["README.md", "docs/tracking.md", "docs/flows.md", "docs/schedules.md"]
GUIDES += ["docs/running-flows.md", "docs/reproduce.md"]
GUIDES += ["docs/data-feeds.md"]
#: Commands that go on until they are stopped, ask a network, or belong to the next guide.
NOT_HERE = ("loopline up", "loopline models promote", "loopline flows run", "loopline worker --")


def blocks_of(guide: str) -> list[str]:
    """Find the Python blocks of a guide."""
    return re.findall(
        r"^```python\n(.*?)^```", (ROOT / guide).read_text(), re.MULTILINE | re.DOTALL
    )


def commands_of(guide: str) -> list[str]:
    """Find the commands of a guide: indented, and beginning with our name."""
    found = re.findall(r"^    (loopline .*)$", (ROOT / guide).read_text(), re.MULTILINE)
    return [line.partition("  #")[0] for line in found if not line.startswith(NOT_HERE)]


@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_shows_can_be_typed_as_it_stands(guide: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    (tmp_path / ".loopline").mkdir()
    script = tmp_path / "guide.py"
    script.write_text("\n".join(map(dedent, blocks_of(guide))))
    assert script.read_text()

    ran = subprocess.run(
        [sys.executable, "guide.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr

    for command in commands_of(guide):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
