"""Nothing is reported to anybody: no program of ours speaks to another machine unasked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import loopline

PAGES = Path(loopline.__file__).parent / "server"

#: Notes every address that is spoken to, or asked for, and lets only this machine be.
WATCHED = """
import sys

def heard(event, arguments):
    if event in {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}:
        to = arguments[0] if event.startswith("socket.get") else arguments[1]
        host = to[0] if isinstance(to, tuple) else to
        if event == "socket.connect" and not isinstance(to, tuple):
            return  # A socket in the file system.
        if host not in {"127.0.0.1", "::1", "localhost", None, ""}:
            print("HEARD", event, to, flush=True)

sys.addaudithook(heard)
"""
TRAINING = """
import loopline
from loopline import Flow, task

@task
def fares():
    return 3.8

with loopline.start_run():
    loopline.log_metric("rmse", 3.8)
    loopline.log_param("depth", 7)
with Flow("taxi fares") as flow:
    fares()
flow.run()
"""
COMMAND = "from loopline.cli import main; import sys; sys.argv = ['loopline', {}]; main()"
SERVER = """
import threading
from pathlib import Path
from loopline.server.serve import serve
from loopline.settings import tracking_address
stop = threading.Event()
later = threading.Timer(2, stop.set)
serve(tracking_address(), port=0, stop=stop, on_ready=lambda url: later.start())
"""
#: Proves that the watch would hear.
CALLER = "import socket\nsocket.getaddrinfo('telemetry.example', 443)"


def run(folder: Path, program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED + program],
        cwd=folder,
        env={"HOME": str(folder), "LOOPLINE_URI": str(folder / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 or program is CALLER, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "program",
    [TRAINING, COMMAND.format("'runs', 'list'"), COMMAND.format("'doctor'"), SERVER],
    ids=["training", "runs", "doctor", "server"],
)
def test_no_program_speaks_to_another_machine(tmp_path: Path, program: str) -> None:
    run(tmp_path, TRAINING)
    assert "HEARD" not in run(tmp_path, program)


def test_the_watch_hears_who_speaks(tmp_path: Path) -> None:
    assert "HEARD socket.getaddrinfo" in run(tmp_path, CALLER)


def test_pages_load_nothing_from_elsewhere() -> None:
    loads = re.compile(
        r"""(?:src|href|action|data)\s*=\s*["']?\s*(?:https?:)?//|url\(\s*["']?(?:https?:)?//"""
        r"""|@import|fetch\(\s*["'](?:https?:)?//"""
    )
    files = [*(PAGES / "static").iterdir(), *(PAGES / "pages").rglob("*.py")]
    assert len(files) > 10
    for file in files:
        assert loads.search(file.read_text()) is None, file
