"""The guide to serving is followed to the letter: its script, its servers, its questions."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
from tests.server.running import ask

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "serving.md"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for_version(url: str, version: str) -> None:
    until = time.monotonic() + 60
    while f'"version":"{version}"' not in _health(url):
        assert time.monotonic() < until, f"{url} does not serve version {version}"
        time.sleep(0.1)


def _health(url: str) -> str:
    try:
        return ask(url, "GET", "/health").text
    except OSError:
        return ""


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_the_guide_to_serving_can_be_typed_as_it_stands(tmp_path: Path) -> None:
    text = GUIDE.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^    ((?:loopline|curl) .*)$", text, re.MULTILINE)
    assert len(commands) == 11
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    (tmp_path / ".loopline").mkdir()
    (tmp_path / "guide.py").write_text("\n".join(map(dedent, blocks)))
    subprocess.run([sys.executable, "guide.py"], cwd=tmp_path, env=environment, check=True)

    ports = {port: str(free_port()) for port in ("5001", "5002", "5003")}
    servers: list[subprocess.Popen[bytes]] = []
    answers: list[str] = []
    try:
        for command in commands:
            said = command if "--port" in command or "serve " not in command else (
                f"{command} --port 5001"
            )  # fmt: skip
            for port, free in ports.items():
                said = said.replace(port, free)
            if said.startswith("loopline serve"):
                servers.append(subprocess.Popen(said.split(), cwd=tmp_path, env=environment))
                url = f"http://127.0.0.1:{said.split()[-1]}"
                wait_for_version(url, "1" if len(servers) == 1 else "2")
                continue
            done = subprocess.run(
                ["/bin/sh", "-c", said],
                cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{said}\n{done.stdout}{done.stderr}"
            answers.append(done.stdout)
            if "models promote" in said:
                wait_for_version(f"http://127.0.0.1:{ports['5001']}", "2")
            if "prediction-id: trip-7" in said.lower():
                time.sleep(6)  # Until it is written.
    finally:
        for server in servers:
            server.terminate()
        codes = [server.wait(30) for server in servers]
    assert codes == [0] * len(servers)
    assert "x-loopline-model-version: 1" in answers[0]
    assert "x-loopline-model-version: 2" in answers[2]
    assert '{"predictions":[' in answers[3]
    assert "trip-7" in answers[5]
    assert "9.5" in answers[5]
