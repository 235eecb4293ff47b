"""Capture stands in nobody's way: not the caller's, not a fork's, not the end of a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

import loopline
from loopline.backend.recorder import close_recorders
from loopline.tracking import capture
from loopline.tracking.capture import wait_for_captures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    loopline.set_tracking_uri(tmp_path / "home")
    loopline.set_experiment("wagoncab taxifare")
    yield tmp_path / "home"
    while loopline.active_run() is not None:
        loopline.end_run()
    assert wait_for_captures()
    close_recorders()
    loopline.set_tracking_uri(None)


def run_program(folder: Path, program: str, *, status: int = 0) -> str:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("LOOPLINE_")
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env={**environment, "LOOPLINE_URI": str(folder / "home"), "LOOPLINE_SYSTEM_METRICS": "0"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == status, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


def test_the_calling_thread_starts_no_program_reads_no_package_and_imports_nothing_for_it(
    tmp_path: Path,
) -> None:
    program = """
        import json, sys, threading, time
        import loopline
        loopline.start_run  # The call's own modules, which a script pays for once.
        seen = []
        caller = threading.get_ident()

        def hook(event, details):
            if threading.get_ident() == caller and event in (
                "import", "subprocess.Popen", "os.posix_spawn", "os.listdir", "os.scandir"
            ):
                seen.append([event, str(details[0])])

        sys.addaudithook(hook)
        loopline.start_run()
        print(json.dumps(seen))
    """
    seen = json.loads(run_program(tmp_path, program))
    # The name of the user is looked up by the password database's module, a built-in one.
    assert [told for told in seen if told != ["import", "pwd"]] == []


@pytest.mark.parametrize("ending", ["pass", "sys.exit(0)", "raise KeyboardInterrupt"])
def test_a_short_process_waits_for_its_runs_environment_however_it_ends(
    tmp_path: Path, home: Path, ending: str
) -> None:
    program = f"""
        import sys, loopline
        print(loopline.start_run().run_id, flush=True)
        {ending}
    """
    failed = ending.startswith("raise")
    run_id = run_program(tmp_path, program, status=1 if failed else 0).strip()
    assert home.exists()
    assert loopline.get_run(run_id).tags["loopline.host"] == os.uname().nodename


def test_a_multiprocessing_child_waits_too(tmp_path: Path, home: Path) -> None:
    program = """
        import multiprocessing
        import loopline

        def train(queue):
            with loopline.start_run() as run:
                queue.put(run.run_id)

        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        children = [context.Process(target=train, args=(queue,)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        print(queue.get(), queue.get())
        loopline.find_runs()
        import subprocess, sys  # What the children journaled is brought in by any other process.
    """
    run_ids = run_program(tmp_path, program).split()
    subprocess.run(
        [sys.executable, "-m", "loopline.cli", "sync"],
        env={**os.environ, "LOOPLINE_URI": str(home)},
        check=True,
        capture_output=True,
    )
    for run_id in run_ids:
        assert "loopline.host" in loopline.get_run(run_id).tags


def test_a_child_forked_while_the_parent_gathers_records_its_own_runs(home: Path) -> None:
    assert not home.exists()
    parent = loopline.start_run()
    read, write = os.pipe()
    child = os.fork()
    if not child:  # The parent's run is not the child's: it starts one of its own inside it.
        status = 1
        try:
            with loopline.start_run(nested=True) as run:
                is_done = wait_for_captures(20)
            os.write(write, f"{run.run_id} {is_done}".encode())
            close_recorders()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    run_id, done = os.read(read, 100).decode().split()
    os.close(read)
    os.close(write)
    assert done == "True"
    assert wait_for_captures()
    for found in (parent.run_id, run_id):
        assert "loopline.host" in loopline.get_run(found).tags


def test_runs_that_start_together_share_what_was_gathered(home: Path) -> None:
    runs = []
    for _ in range(20):
        with loopline.start_run() as run:
            runs.append(run.run_id)
    assert wait_for_captures()
    files = {loopline.list_artifacts(run_id, "loopline")[0].sha256 for run_id in runs}
    assert home.exists()
    assert len(files) == 1


def test_a_users_own_tag_stays(home: Path) -> None:
    with loopline.start_run(tags={"mlflow.source.name": "mine"}) as run:
        assert wait_for_captures()
    assert home.exists()
    tags = loopline.get_run(run.run_id).tags
    assert tags["mlflow.source.name"] == "mine"
    assert tags["mlflow.source.type"] == "LOCAL"


def test_git_is_asked_anew_for_a_run_that_starts_later(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        command = [
            "git",
            "-C",
            str(tmp_path),
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@b",
            *arguments,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.chdir(tmp_path)
    script = str(tmp_path / "train.py")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", script, raising=False)
    monkeypatch.setattr(capture, "FRESH_S", 0.0)
    (tmp_path / "train.py").write_text("EPOCHS = 3\n")
    git("init", "-q")
    git("add", "train.py")
    commits = []
    for subject in ("Train", "Train longer"):
        git("commit", "--allow-empty", "-qm", subject)
        with loopline.start_run() as run:
            pass
        assert wait_for_captures()
        tags = loopline.get_run(run.run_id).tags
        commits.append(tags["mlflow.source.git.commit"])
        assert commits[-1] == git("rev-parse", "HEAD")
    assert home.exists()
    assert len(set(commits)) == 2


def test_the_thread_ends_when_there_is_nothing_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "IDLE_S", 0.01)
    loopline.start_run()
    assert wait_for_captures()
    assert home.exists()
    for thread in threading.enumerate():
        if thread.name == "loopline-capture":
            thread.join(10)
            assert not thread.is_alive()
    with loopline.start_run(nested=True) as second:  # And another one takes its place.
        assert wait_for_captures()
    assert "loopline.host" in loopline.get_run(second.run_id).tags


def test_closing_the_recorders_waits_for_what_is_being_gathered(home: Path) -> None:
    with loopline.start_run() as run:
        pass
    close_recorders()
    assert "loopline.host" in loopline.get_run(run.run_id).tags
    assert list((home / "journal").iterdir()) == []  # None was opened after the closing.


def test_a_working_folder_that_went_away_is_left_out(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setattr(capture, "FRESH_S", 0.0)
    made_up = ModuleType("tensors.ops")
    made_up.__file__ = "_ops.py"  # As PyTorch has one.
    monkeypatch.setitem(sys.modules, "tensors.ops", made_up)
    gone.rmdir()
    with loopline.start_run() as run:
        loopline.log_metric("rmse", 3.9)
        assert wait_for_captures()
    monkeypatch.chdir(tmp_path)
    assert home.exists()
    found = loopline.get_run(run.run_id)
    assert found.metrics["rmse"].value == 3.9
    assert "loopline.host" in found.tags
