"""`loopline secrets`: a value comes by the input alone, and is shown nowhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.cli.conftest import Shell

from loopline.backend.local import LocalBackend
from loopline.records.operations import GetSecret
from loopline.settings import Address

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

VALUE = "the key of the taxi lot"
SET = [sys.executable, "-m", "loopline.cli", "secrets", "set", "LOT", "--uri"]


def value_in(home: Path) -> str:
    backend = LocalBackend(Address("home", str(home)))
    try:
        return backend.call(GetSecret(name="LOT")).value
    finally:
        backend.close()


def run(command: list[str | Path], said: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=said, capture_output=True, text=True, check=False)


def test_a_secret_is_read_from_the_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    done = subprocess.run(
        [*SET, home], input=f"{VALUE}\n", capture_output=True, text=True, check=True
    )
    assert value_in(home) == VALUE
    shell = Shell(home, [], capsys)
    ran = [shell("secrets", "list"), shell("secrets", "list", "--json"),
           shell("audit"), shell("secrets", "delete", "LOT", "--json")]  # fmt: skip
    assert [each.code for each in ran] == [0, 0, 0, 0]
    assert "LOT" in ran[0].out
    assert "secret/LOT" in ran[2].out
    assert VALUE not in "".join([done.stdout, done.stderr, *(each.out + each.err for each in ran)])
    assert "No secrets yet" in shell("secrets", "list").err
    missing = shell("secrets", "delete", "LOT")
    assert missing.code == 1
    assert "loopline secrets set" in missing.err


def test_at_a_terminal_it_is_asked_for_twice_and_unseen(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*SET, home], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = b""
    for prompt in (b"Value", b"Repeat"):
        until = time.monotonic() + 60
        while prompt not in seen and time.monotonic() < until:
            seen += os.read(ours, 4096)
        assert prompt in seen
        time.sleep(0.2)  # The echo is off when the prompt is out.
        os.write(ours, f"{VALUE}\n".encode())
    try:
        while part := os.read(ours, 4096):
            seen += part
    except OSError:
        pass  # How a terminal ends on Linux.
    assert process.wait(60) == 0, seen
    os.close(ours)
    assert VALUE.encode() not in seen
    assert value_in(home) == VALUE


def test_an_empty_value_and_one_as_an_argument_are_refused(tmp_path: Path) -> None:
    empty = subprocess.run(
        [*SET, tmp_path], input="\n", capture_output=True, text=True, check=False
    )
    assert (empty.returncode, "neither is empty" in empty.stderr) == (1, True)
    assert run([*SET[:-1], VALUE, "--uri", tmp_path], "x").returncode == 2
