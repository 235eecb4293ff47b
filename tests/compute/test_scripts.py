"""The start-up script, run by a real bash."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import msgspec

from loopline.compute.script import Job, start_script
from loopline.records.vm import VMRun

if TYPE_CHECKING:
    from pathlib import Path

JOB = Job(
    name="ll-one",
    flow_run_id="a" * 32,
    token=3,
    server="http://10.0.0.2:5050",
    api_token="loopline_secret'$(touch hacked)",  # noqa: S106 - a test's
    python="3.11",
    requirements=["scikit-learn==1.5.2"],
    loopline="0.1.0",
)
VM = VMRun(provider="ec2", size="t3.small", install="nothing", deadline_s=90)


def run(folder: Path, vm: VMRun, *, python: str) -> tuple[int, str]:
    """Run the script with programs that say what they are called with."""
    for name, text in {"shutdown": 'echo "shutdown $*"', "python": python}.items():
        program = folder / name
        program.write_text(f"#!/bin/bash\n{text}\n")
        program.chmod(0o755)
    vm = msgspec.structs.replace(vm, python=str(folder / "python"))
    done = subprocess.run(
        ["/bin/bash", "-c", start_script(vm, JOB)],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin", "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_worker_runs_the_one_flow_run_and_then_the_machine_ends(tmp_path: Path) -> None:
    vm = msgspec.structs.replace(VM, env={"CITY": "New York"}, before="echo before")
    _, said = run(
        tmp_path, vm, python='echo "$@"; echo "$CITY $LOOPLINE_URI"; echo "$LOOPLINE_TOKEN"'
    )
    assert said.splitlines() == [
        "shutdown -P +2 the time of this machine is up",
        "before",
        "loopline: starting",
        f"-P -m loopline.cli worker --flow-run {'a' * 32} --token 3",
        "New York http://10.0.0.2:5050",
        JOB.api_token,
        "loopline: ended with code 0",
        "shutdown -P now",
    ]
    assert not list(tmp_path.rglob("hacked"))


def test_the_machine_ends_when_the_worker_fails_or_is_never_reached(tmp_path: Path) -> None:
    code, said = run(tmp_path, VM, python="exit 7")
    assert said.splitlines()[-2:] == ["loopline: ended with code 7", "shutdown -P now"]
    vm = msgspec.structs.replace(VM, before="no-such-command; exit 9")
    code, said = run(tmp_path, vm, python="echo reached")
    assert "reached" not in said
    assert said.splitlines()[-1] == "shutdown -P now"
    del code


def test_what_was_recorded_is_installed_by_its_names_for_pip() -> None:
    script = start_script(msgspec.structs.replace(VM, install="recorded", packages=["torch"]), JOB)
    assert "uv venv --quiet --python 3.11 flow" in script
    assert "loopline==0.1.0 scikit-learn==1.5.2 torch" in script
    done = subprocess.run(["/bin/bash", "-n", "-c", script], check=False)
    assert done.returncode == 0


def test_on_compute_engine_only_a_good_end_deletes_the_machine_itself() -> None:
    script = start_script(msgspec.structs.replace(VM, provider="gce"), JOB)
    assert "instances/ll-one" in script
    assert '[ "$code" = 0 ]' in script  # A bad end is left to be read on the console.
    assert subprocess.run(["/bin/bash", "-n", "-c", script], check=False).returncode == 0
