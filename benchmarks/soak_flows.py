"""Claim: a thousand queued flow runs go through ten slots, none lost or doubled, in flat memory.

Measured: runs asked for by four processes through a server, run by two workers with five slots
each; resident memory of the server before, at its most, and at the end; runs a minute; how long
runs waited in the queue. With ``home``: six that ask and the two workers are on the server's own
home, eight processes beside it that write to one file.
Fails: when a run was lost, ran twice or failed, or when anything said that a database is locked.
Does not show: flows that do something.

    PYTHONPATH=. .venv/bin/python benchmarks/soak_flows.py [RUNS] [home]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.backend.local import LocalBackend
from loopline.records.flows import StateKind
from loopline.records.operations import ListFlowRunEvents, ListFlowRuns
from loopline.settings import Address

if TYPE_CHECKING:
    from loopline.records.flows import FlowRun

WORKERS, SLOTS = 2, 5

FLOW = """
from loopline import Flow, Parameter, task

@task
def count(number):
    with open("notes", "a") as file:
        file.write(f"{number}\\n")

with Flow("count") as flow:
    count(Parameter("number"))
flow.register("wagoncab project", no_url=True)
"""

ASK = """
import sys
from loopline.backend.open import open_backend
from loopline.records.operations import CreateFlowRun
from loopline.settings import parse_address

backend = open_backend(parse_address(sys.argv[1]))
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    backend.call(CreateFlowRun(project="wagoncab project", name="count", parameters={
        "number": number}))
backend.close()
"""


def resident_mb(pid: int) -> float:
    """Read how much memory a process has, in megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def delays(runs: list[FlowRun]) -> str:
    """Tell how long flow runs waited until they began."""
    waited_s = [((run.start_ms or 0) - run.scheduled_ms) / 1000 for run in runs]
    middle, most = statistics.median(waited_s), max(waited_s)
    return f"in the queue {middle:.0f} s in the middle, {most:.0f} s at most"


def main() -> int:  # noqa: PLR0915 - one story, told from its beginning to its end
    """Run it and tell."""
    is_on_home = "home" in sys.argv[1:]
    asked = next((int(word) for word in sys.argv[1:] if word.isdigit()), 1000)
    processes_asking = 6 if is_on_home else 4
    each = asked // processes_asking
    total = each * processes_asking
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        home = folder / ".loopline"
        Path(folder, "flow.py").write_text(FLOW.replace('"notes"', repr(str(folder / "notes"))))
        program = [sys.executable, "-m", "loopline.cli"]
        errors = (folder / "errors").open("wb")
        server = subprocess.Popen(
            [*program, "server", "--port", "0", "--uri", str(home), "--json"],
            stdout=subprocess.PIPE, stderr=errors, cwd=folder,
        )  # fmt: skip
        processes = [server]
        try:
            assert server.stdout is not None  # noqa: S101 - asked for above
            url = server.stdout.readline().decode().split('"url":')[1].split('"')[1]
            uri = str(home) if is_on_home else url
            environment = {**os.environ, "LOOPLINE_URI": uri, "LOOPLINE_HOME": str(folder / "own")}
            subprocess.run([sys.executable, "flow.py"], cwd=folder, env=environment, check=True)
            before = most = resident_mb(server.pid)
            began = time.monotonic()
            asking = [
                subprocess.Popen(
                    [sys.executable, "-c", ASK, uri, str(n * each), str((n + 1) * each)],
                    stderr=errors,
                )
                for n in range(processes_asking)
            ]
            processes += [
                subprocess.Popen(
                    [*program, "worker", "--slots", str(SLOTS)],
                    cwd=folder, env=environment, stderr=errors,
                )
                for _ in range(WORKERS)
            ]  # fmt: skip
            for process in asking:
                process.wait()
            asked_s = time.monotonic() - began
            backend = LocalBackend(Address("home", str(home)))
            ended = [StateKind.SUCCESS, StateKind.FAILED]
            done = 0
            #: Memory when each quarter of the runs had ended: what grows shows there.
            quarters: list[float] = []
            while done < total:
                time.sleep(2.0)
                most = max(most, resident_mb(server.pid))
                page = backend.call(ListFlowRuns(states=ended, max_results=10_000))
                done = len(page.flow_runs)
                while len(quarters) < done * 4 // total:
                    quarters.append(resident_mb(server.pid))
            took_s = time.monotonic() - began
            after = resident_mb(server.pid)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()
            errors.close()
        states = Counter(run.state.value for run in page.flow_runs)
        notes = Counter((folder / "notes").read_text().split())
        doubled = sum(count > 1 for count in notes.values())
        claims = sum(
            event.state is StateKind.SUBMITTED
            for run in page.flow_runs[:100]
            for event in backend.call(ListFlowRunEvents(flow_run_id=run.flow_run_id))
        )
        backend.close()
        locked = (folder / "errors").read_text().count("locked")
    where = "one home" if is_on_home else "a server"
    print(
        f"{done} runs, {WORKERS * SLOTS} slots, {processes_asking + WORKERS} processes on {where}, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    print(f"asked for in {asked_s:.0f} s; {delays(page.flow_runs)}")
    print(f"{dict(states)}; {doubled} doubled; {len(notes)} noted; 'locked' said {locked} times")
    print(f"{done / took_s * 60:.0f} runs a minute; {claims / min(done, 100):.2f} claims a run")
    print(
        f"server: {before:.0f} MB before, {most:.0f} MB at most, {after:.0f} MB at the end; "
        f"after each quarter {', '.join(f'{each:.0f}' for each in quarters)} MB"
    )
    is_whole = states == {"Success": total} and not doubled and len(notes) == total
    return 0 if is_whole and not locked else 1


if __name__ == "__main__":
    sys.exit(main())
