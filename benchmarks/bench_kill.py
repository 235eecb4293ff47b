"""Claim: what ``log_metric`` returned for is never lost by ``kill -9``.

Measured: a process logs one point a call as fast as it can, and counts the calls that returned in
a page shared with a file. At a seeded random time, 0.05 to 1.5 seconds after the first, it gets
SIGKILL while points are under way. What else it had started (a service, a server) may go on until
it rests, at most 30 seconds, and is ended then. A next process does what a peer does at its next
start, and reads what is there with the peer's own reader. Lost are points that had returned and
cannot be read; one more than had returned may be there. 50 kills of Loopline and of the limit, 6
of each peer.
Against: every peer, MLflow and FastTrackML also with ``synchronous=False``; and the limit, one
``write`` a point to a bare file.
Fair: one key, values that tell whether a point is the right one (checked for Loopline). "Not yet
in the store" is how many points of Loopline a kill found in its journal only: the kills hit.
Does not show: longer trainings, of which a smaller share is lost, for what is lost is a queue of
so many seconds; loss of power, which tests cut off at any system call; kills of a service itself.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.claims import ALL, BARE, LOOPLINE, Claim, Measure, Result, subjects
from benchmarks.peers.protocol import adopt_orphans, cpu_s, descendants, died_at
from benchmarks.programs import CannotError, ask, command, finished, need
from benchmarks.suite import keep, load, machine, progress, row_of
from benchmarks.tables import number, table

if TYPE_CHECKING:
    from benchmarks.peers.environments import Peer

KILLS, PEER_KILLS = 50, 6
SEED = 20_230_401
EARLIEST_S, LATEST_S = 0.05, 1.5
START_S, REST_S, PAUSE_S = 90.0, 30.0, 0.25
#: So many pauses without CPU are rest.
PAUSES = 4

CLAIM = Claim(
    name="kill",
    title="Points that had returned before kill -9, and were lost",
    measures=(
        Measure(key="lost_percent", head="lost, %", reach=0.0, digits=3),
        Measure(key="worst_percent", head="worst kill, %", digits=3),
        Measure(key="lost", head="lost", reach=0.0, digits=0, is_compared=False),
        Measure(
            key="returned",
            head="returned",
            reach=1e6,
            is_more_better=True,
            digits=0,
            is_compared=False,
        ),
        Measure(key="unsent", head="not yet in the store", digits=0, is_compared=False),
        Measure(key="kills", head="kills", digits=0, is_compared=False),
    ),
    peers=(*ALL, "mlflow-async", "fasttrackml-async"),
    limit="one write a point",
)


def kill_one(peer: Peer, folder: Path, after_s: float) -> dict[str, float]:
    """Kill one logging process; answer what had returned and what survived."""
    words, environment = command(peer, "kill", folder)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            cwd=folder, start_new_session=True,
        )  # fmt: skip
        try:
            until = time.monotonic() + START_S
            while not (folder / "returned").exists() or not died_at(folder):
                if process.poll() is not None or time.monotonic() > until:
                    errors.seek(0)
                    said = errors.read().decode(errors="replace").strip().splitlines()
                    raise CannotError(f"failed: {said[-1] if said else 'did not start'}")
                time.sleep(0.002)
            time.sleep(after_s)
            process.kill()
            process.wait()
            rest()
        finally:
            finished(process)
    returned = died_at(folder)
    found = ask(peer, "read", folder)
    if found["survived"] < 0:
        raise CannotError("failed: what survived is not what was logged")
    lost = max(0, returned - int(found["survived"]))
    in_store = found.get("in_store_at_death")
    return {
        "after_s": round(after_s, 3),
        "returned": returned,
        "lost": lost,
        **({} if in_store is None else {"unsent": max(0, returned - int(in_store))}),
    }


def rest() -> None:
    """Wait until what the dead process had started has ended, or does nothing."""
    until, still, before = time.monotonic() + REST_S, 0, -1.0
    while time.monotonic() < until and still < PAUSES:
        alive = [fields for fields in descendants(os.getpid()).values() if fields[0] != "Z"]
        if not alive:
            return
        now = sum(cpu_s(fields) for fields in alive)
        still = still + 1 if now == before else 0
        before = now
        time.sleep(PAUSE_S)


def summed(row: Result, kills: list[dict[str, float]]) -> Result:
    """Add the kills up."""
    returned = sum(each["returned"] for each in kills)
    lost = sum(each["lost"] for each in kills)
    row["values"] = {
        "lost_percent": [lost / returned * 100],
        "worst_percent": [max(each["lost"] / each["returned"] * 100 for each in kills)],
        "lost": [lost],
        "returned": [returned],
        "kills": [len(kills)],
    }
    if row["is"] == LOOPLINE:
        row["values"]["unsent"] = [sum(each["unsent"] for each in kills)]
        if not row["values"]["unsent"][0]:
            raise CannotError("no kill hit anything that was under way")
    row["kills"] = kills
    return row


def kill_all(name: str, peer: Peer, count: int) -> Result:
    """Kill one subject's processes, at times that are the same in every run."""
    choose = random.Random(f"{SEED} {name}")  # noqa: S311 - repeatable, no secret
    kills = []
    for _ in range(count):
        folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
        try:
            kills.append(kill_one(peer, folder, choose.uniform(EARLIEST_S, LATEST_S)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return summed(row_of(name, peer), kills)


def main() -> None:
    """Kill, count and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, help="where to keep the raw numbers")
    parser.add_argument("--quick", action="store_true", help="a kill each, to see that it works")
    given = parser.parse_args()
    kills, peer_kills = (1, 1) if given.quick else (KILLS, PEER_KILLS)
    adopt_orphans()
    rows, missing, before = [], [], load()
    for name, peer in subjects(CLAIM).items():
        began = time.perf_counter()
        try:
            need(peer)
            rows.append(kill_all(name, peer, kills if name in {LOOPLINE, BARE} else peer_kills))
        except CannotError as error:
            missing.append({"name": peer.name, "version": peer.version, "why": str(error)})
            progress(f"kill: {peer.name}: {error}")
            continue
        values = rows[-1]["values"]
        progress(
            f"kill: {peer.name}: {number(values['lost_percent'][0], 3)} % lost of "
            f"{values['returned'][0]:,} in {values['kills'][0]} kills "
            f"({time.perf_counter() - began:.0f} s)"
        )
    result = {
        "claim": CLAIM.name,
        "work": "kill",
        "machine": machine() | {"load": f"{before} before, {load()} after"},
        "rows": rows,
        "missing": missing,
    }
    print(f"\n{CLAIM.title}\n\n{table(CLAIM, result)}", flush=True)
    if given.json:
        keep(result, given.json)


if __name__ == "__main__":
    main()
