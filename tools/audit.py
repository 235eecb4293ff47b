"""Ask whether a locked package has a known vulnerability: pip-audit, in an environment of its own.

    python3 tools/audit.py .venvs/audit/bin/pip-audit

Nothing is resolved or installed: the locks say it all. Where the database of vulnerabilities cannot
be reached it says so and ends with 0, for that is no fault of the change that is built; what it
finds ends it with 1.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Verdict", "audit", "main", "read_report"]

ROOT = Path(__file__).resolve().parent.parent
#: Seconds for one answer of the database, and for all of it.
ANSWER_S, ALL_S = "15", 600


class Verdict(NamedTuple):
    """What an audit came to.

    Attributes:
        asked: Packages of which the database was asked; 0: it could not be reached.
        found: A line for each vulnerability.
        why: Why it could not be reached.
    """

    asked: int
    found: list[str]
    why: str = ""


def read_report(out: str, err: str) -> Verdict:
    """Read what pip-audit wrote: a report as JSON, or none where it could not ask."""
    try:
        packages: list[dict[str, Any]] = json.loads(out)["dependencies"]
    except (json.JSONDecodeError, KeyError, TypeError):
        said = err.strip().splitlines() or ["it wrote nothing"]
        return Verdict(0, [], said[-1][:300])
    asked = [each for each in packages if "skip_reason" not in each]
    found = [
        f"{each['name']} {each['version']}: {flaw['id']}, mended in "
        f"{', '.join(flaw['fix_versions']) or 'no version yet'}"
        for each in asked
        for flaw in each.get("vulns", [])
    ]
    return Verdict(len(asked), found, "" if asked else "it was asked of no package")


def audit(program: str, lock: Path) -> Verdict:
    """Audit one lock."""
    try:
        done = subprocess.run(
            [program, "--requirement", lock, "--disable-pip", "--require-hashes",
             "--format", "json", "--progress-spinner", "off", "--timeout", ANSWER_S],
            capture_output=True, text=True, check=False, timeout=ALL_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Verdict(0, [], f"no answer within {ALL_S} seconds")
    return read_report(done.stdout, done.stderr)


def main() -> None:
    """Audit every lock of ours, and end with 1 if something was found."""
    found = []
    for lock in sorted((ROOT / "locks").glob("*.txt")):
        if lock.stem.startswith("mlflow-"):  # Old on purpose, and of the tests alone.
            continue
        verdict = audit(sys.argv[1], lock)
        if not verdict.asked:
            print(f"audit: the database of vulnerabilities could not be asked ({verdict.why}).")
            print("Nothing is said of the locks. Run `make audit` where there is a network.")
            break
        print(f"locks/{lock.name}: {verdict.asked} packages, {len(verdict.found)} vulnerabilities")
        found += [f"  {line}" for line in verdict.found]
    if found:
        print("\n".join(sorted(set(found))))
        sys.exit("Take newer versions: make lock ARGS=--upgrade")


if __name__ == "__main__":
    main()
