"""Measures Loopline beside its peers, claim by claim, and writes ``docs/benchmarks.md``.

    make bench-peers                       # makes the peers' environments first
    python benchmarks/compare.py           # about half an hour on two cores
    python benchmarks/compare.py kill cpu  # these claims only
    python benchmarks/compare.py --quick   # once each, to see that all of it works
    python benchmarks/compare.py --million # also a million runs to search, minutes to fill

It needs nobody: a claim or a peer that fails is told and left out, and the others go on. Raw
numbers are in ``benchmarks/results/``, one file a claim; one that was not measured now keeps what
it had.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from benchmarks.programs import ROOT
from benchmarks.report import RESULTS, SCRIPTS, write
from benchmarks.suite import progress

TIMEOUT_S = 1800.0


def measure(claim: str, *, quick: bool) -> bool:
    """Run one claim's script; tell whether it came to its end."""
    words = [sys.executable, str(ROOT / "benchmarks" / f"{SCRIPTS[claim]}.py")]
    words += ["--json", str(RESULTS / f"{claim}.json")]
    if claim == "search_million":
        words.append("--million")
    if quick:
        words.append("--quick")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(words, env=environment, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        progress(f"{claim}: gave up after {TIMEOUT_S:.0f} s")
        return False
    return done.returncode == 0


def main() -> None:
    """Measure what is named, or all, and write the page."""
    usual = [claim for claim in SCRIPTS if claim != "search_million"]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("claims", nargs="*", help=f"of {', '.join(SCRIPTS)}; or all")
    parser.add_argument("--million", action="store_true", help="also search 1,000,000 runs")
    parser.add_argument("--quick", action="store_true", help="once each, to see that it works")
    given = parser.parse_args()
    claims = given.claims or usual
    if given.million and "search_million" not in claims:
        claims.append("search_million")
    began = time.monotonic()
    failed = []
    for number, claim in enumerate(claims, 1):
        progress(f"--- {claim}, {number} of {len(claims)}")
        if not measure(claim, quick=given.quick):
            failed.append(claim)
    write()
    progress(f"done in {(time.monotonic() - began) / 60:.0f} minutes; see docs/benchmarks.md")
    if failed:
        sys.exit(f"These claims were not measured: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
