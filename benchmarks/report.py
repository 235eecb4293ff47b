"""Writes ``docs/benchmarks.md`` from the scripts' docstrings and the numbers in ``results/``."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers.environments import ENVIRONMENTS
from benchmarks.programs import ROOT
from benchmarks.tables import table

if TYPE_CHECKING:
    from benchmarks.claims import Claim, Result

__all__ = ["PAGE", "RESULTS", "SCRIPTS", "render", "write"]

RESULTS = Path(__file__).with_name("results")
PAGE = ROOT / "docs" / "benchmarks.md"
#: The script of each claim, in the page's order.
SCRIPTS = {
    "log_metric": "bench_log_metric",
    "cpu": "bench_cpu",
    "kill": "bench_kill",
    "arrays": "bench_arrays",
    "runs": "bench_runs",
    "search": "bench_search",
    "search_million": "bench_search",
    "frame": "bench_frame",
    "history": "bench_history",
    "whole": "bench_whole_process",
    "artifacts": "bench_artifacts",
    "server_start": "bench_server_start",
    "server_stop": "bench_server_stop",
    "server_log_metric": "bench_server_log_metric",
    "server_log_batch": "bench_server_log_batch",
    "server_search": "bench_server_search",
    "server_script": "bench_server_script",
    "flow_chain": "bench_flow_chain",
    "flow_mapped": "bench_flow_mapped",
    "flow_cluster": "bench_flow_cluster",
    "flow_whole": "bench_flow_whole",
    "flow_many": "bench_flow_many",
}

#: What has no peer, or none that could be asked for it: the script's own output is kept.
ALONE = {
    "soak_server": ("soak_server", "A thousand connections for ten minutes"),
    "soak_flows": ("soak_flows", "A thousand flow runs asked for at once"),
    "flow_start": ("bench_flow_start", "From due to running"),
    "drift": ("bench_drift", "A drift report"),
}

HEAD = """\
# Loopline beside its peers

Each claim has a script in `benchmarks/`, which measures Loopline, its peers and the physical
limit in one run, and the raw numbers of the run shown here in `benchmarks/results/`. This page is
written from both by `benchmarks/report.py`; a test fails when it does not agree with them.

Ratios are to Loopline's first column in the same run: compare within a table only. A number on a
busy machine is an upper bound, so each table says how busy it was. What was missed, and where a
peer is better, stands below the table.

## How to repeat it

    make bench-peers                        # about half an hour on two cores
    make bench-peers ARGS="kill cpu"        # these claims only
    make bench-peers ARGS=--million         # also a million runs to search

The peers come from PyPI, in environments outside the project's own, in
`~/.cache/loopline/benchmarks`:

{environments}

A peer without an environment, or one that cannot do a thing, is listed with the reason. Every
program in `benchmarks/peers/` speaks one protocol, `program WORK FOLDER` and one line of JSON,
Loopline's and the limit's too. Linux only, for CPU of other processes is read from `/proc`.
"""


def render() -> str:
    """Write the page."""
    environments = "\n".join(f"- `{' '.join(held)}`" for held in ENVIRONMENTS.values())
    parts = [HEAD.format(environments=environments)]
    for name, script in SCRIPTS.items():
        file = RESULTS / f"{name}.json"
        if not file.exists():
            continue
        module = importlib.import_module(f"benchmarks.{script}")
        result: Result = json.loads(file.read_text())
        claim: Claim = module.MILLION if name == "search_million" else module.CLAIM
        parts.append(section(claim, result, module, is_first=name != "search_million"))
    for name, (script, title) in ALONE.items():
        kept = RESULTS / f"{name}.txt"
        if kept.exists():
            parts.append(alone(importlib.import_module(f"benchmarks.{script}"), title, kept))
    return "\n".join(parts)


def alone(module: Any, title: str, kept: Path) -> str:  # noqa: ANN401 - a module
    """Write what was measured without peers: what the script says of itself, and what it said."""
    prose = "\n".join(
        line for line in (module.__doc__ or "").splitlines() if not line.startswith("    ")
    )
    said = [part for paragraph in paragraphs(prose) for part in (paragraph, "")]
    script = Path(module.__file__).name
    head = [f"## {title}", "", *said, f"`benchmarks/{script}`, `benchmarks/results/{kept.name}`:"]
    body = "\n".join(f"    {line}".rstrip() for line in kept.read_text().strip().splitlines())
    return "\n".join(head) + f"\n\n{body}\n"


def section(claim: Claim, result: Result, module: Any, *, is_first: bool) -> str:  # noqa: ANN401 - a module
    """Write one claim: title, what the script says of itself, table."""
    lines = [f"## {claim.title}", ""]
    if is_first:
        for part in paragraphs(module.__doc__ or ""):
            lines += [part, ""]
    script = Path(module.__file__).name
    lines += [f"`benchmarks/{script}`, `benchmarks/results/{claim.name}.json`:", ""]
    return "\n".join(lines) + "\n" + table(claim, result)


def paragraphs(docstring: str) -> list[str]:
    """Cut a docstring at its key words, which get bold."""
    words = ("Claim", "Measured", "Against", "Fair", "Does not show")
    found: list[list[str]] = []
    for line in docstring.replace("``", "`").strip().splitlines():
        word = line.partition(":")[0]
        if word in words and ":" in line:
            found.append([f"**{word}:**{line.partition(':')[2]}"])
        elif line.strip() and found:
            found[-1].append(line)
    return ["\n".join(part) for part in found]


def write() -> None:
    """Write the page to its place."""
    PAGE.write_text(render())


if __name__ == "__main__":
    write()
    print(PAGE)
