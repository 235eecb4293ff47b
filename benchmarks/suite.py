"""Measures one claim: everybody in one run, and the raw numbers kept."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.claims import BARE, LOOPLINE, subjects
from benchmarks.peers.environments import FOLDER
from benchmarks.peers.protocol import adopt_orphans
from benchmarks.programs import ROOT, CannotError, ask, need
from benchmarks.tables import brief, table

if TYPE_CHECKING:
    from benchmarks.claims import Claim, Result
    from benchmarks.peers.environments import Peer

__all__ = ["keep", "load", "machine", "measure", "progress", "row_of", "run"]

#: Where filled stores are kept between runs.
STORES = FOLDER.parent


def run(claim: Claim, work: str = "") -> None:
    """Measure, print the table, and keep the numbers where ``--json`` says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, help="where to keep the raw numbers")
    parser.add_argument("--quick", action="store_true", help="once each, to see that it works")
    given, _ = parser.parse_known_args()
    if given.quick:
        claim = replace(claim, repeats=1, peer_repeats=1)
    result = measure(claim, work or claim.name)
    print(f"\n{claim.title}\n\n{table(claim, result)}", flush=True)
    if given.json:
        keep(result, given.json)


def measure(claim: Claim, work: str) -> Result:
    """Measure everybody, one after the other and again, so that a busy minute hits them alike."""
    adopt_orphans()
    STORES.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Result] = {}
    missing: dict[str, Result] = {}
    before = load()
    for repeat in range(max(claim.repeats, claim.peer_repeats)):
        for name, peer in subjects(claim).items():
            is_ours = name in {LOOPLINE, BARE}
            if name in missing or repeat >= (claim.repeats if is_ours else claim.peer_repeats):
                continue
            folder = STORES if claim.is_kept else Path(tempfile.mkdtemp(prefix="benchmark-"))
            began = time.perf_counter()
            try:
                need(peer)
                found = ask(peer, work, folder)
            except CannotError as error:
                missing[name] = {"name": peer.name, "version": peer.version, "why": str(error)}
                progress(f"{claim.name}: {peer.name}: {error}")
                continue
            finally:
                if not claim.is_kept:
                    shutil.rmtree(folder, ignore_errors=True)
            row = rows.setdefault(name, row_of(name, peer))
            for key, value in found.items():
                row["values"].setdefault(key, []).append(value)
            took = time.perf_counter() - began
            progress(
                f"{claim.name}: {peer.name}, {repeat + 1}: {brief(claim, found)} ({took:.0f} s)"
            )
    return {
        "claim": claim.name,
        "work": work,
        "machine": machine() | {"load": f"{before} before, {load()} after"},
        "rows": list(rows.values()),
        "missing": [each for name, each in missing.items() if name not in rows],
    }


def row_of(name: str, peer: Peer) -> Result:
    """Begin a row."""
    shown = version() if name == LOOPLINE else peer.version
    return {"name": peer.name, "is": name, "version": shown, "values": {}}


def machine() -> dict[str, str]:
    """Say what this was measured on."""
    info = Path("/proc/cpuinfo")
    models = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": f"{os.cpu_count()} x {models[0] if models else platform.processor()}",
    }


def version() -> str:
    """Say which Loopline this is."""
    from importlib.metadata import version as installed

    git = ["git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = ""
    return f"{installed('loopline')} {commit}".strip()


def load() -> float:
    """How many processes want the machine; above the number of cores it is busy."""
    return round(os.getloadavg()[0], 2)


def progress(line: str) -> None:
    """Show what is going on, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def keep(result: Result, file: Path) -> None:
    """Write the raw numbers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
