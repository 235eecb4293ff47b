"""A claim: what is measured of Loopline and its peers in one run, and what has to be reached.

A ``bench_*.py`` that compares with peers is a docstring and a ``Claim``; its docstring is its
section in ``docs/benchmarks.md``. ``programs.py`` starts what stands in ``peers/``, ``suite.py``
measures, ``tables.py`` writes Markdown, ``report.py`` the page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from benchmarks.peers.environments import FLOW_PEERS, PEERS, Peer

__all__ = ["ALL", "BARE", "LOOPLINE", "Claim", "Measure", "Result", "subjects"]

LOOPLINE, BARE = "Loopline", "bare"
#: Each peer once; the asynchronous ones do other work than that in the same way.
ALL = tuple(name for name in PEERS if not name.endswith("-async"))

#: A row or a whole result, as it is kept in JSON.
Result = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A column.

    Attributes:
        key: What a program calls it.
        head: What stands above it, with its unit.
        reach: What Loopline has to reach; None: shown only.
        is_more_better: Whether more is better.
        above_bare: Reach counts from what the limit takes.
        most_times_bare: How many times the limit it may be.
        digits: Behind the point.
        is_compared: Whether who has a better one is named.
        times: How many times as good as some peers' it has to be, by their names in ``PEERS``.
    """

    key: str
    head: str
    reach: float | None = None
    is_more_better: bool = False
    above_bare: bool = False
    most_times_bare: float | None = None
    digits: int = 2
    is_compared: bool = True
    times: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is claimed, and how it is measured.

    Attributes:
        name: Of its script and of its file of results.
        title: A sentence without its point.
        measures: Columns; rows are sorted by the first.
        peers: Which are asked, by their names in ``PEERS``.
        limit: What the program ``peer_bare.py`` does for it; empty: no such thing.
        repeats: Processes of Loopline and the limit.
        peer_repeats: Processes of each peer.
        is_kept: The folder is kept between runs, for it takes minutes to fill.
        is_server: Servers are measured, with the programs ``server_*.py``.
        is_flow: Flows are, with the programs ``flows_*.py``; peers are those of ``FLOW_PEERS``.
    """

    name: str
    title: str
    measures: tuple[Measure, ...]
    peers: tuple[str, ...] = ALL
    limit: str = ""
    repeats: int = 3
    peer_repeats: int = 3
    is_kept: bool = False
    is_server: bool = False
    is_flow: bool = False


def own(name: str, program: str) -> Peer:
    """Describe what runs with this Python: Loopline, or the limit."""
    return Peer(name=name, version="", environment="", program=program, settings={})


def subjects(claim: Claim) -> dict[str, Peer]:
    """Answer whom to measure."""
    if claim.is_server:
        served = {LOOPLINE: own("Loopline", "server_loopline.py")}
        return served | {
            name: replace(PEERS[name], program=f"server_{name}.py") for name in claim.peers
        }
    if claim.is_flow:
        ours = {LOOPLINE: own("Loopline", "flows_loopline.py")}
        if claim.limit:
            ours[BARE] = own(f"limit: {claim.limit}", "flows_bare.py")
        return ours | {name: FLOW_PEERS[name] for name in claim.peers}
    ours = {LOOPLINE: own("Loopline", "peer_loopline.py")}
    if claim.limit:
        ours[BARE] = own(f"limit: {claim.limit}", "peer_bare.py")
    return ours | {name: PEERS[name] for name in claim.peers}
