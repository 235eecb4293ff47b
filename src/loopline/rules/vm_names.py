"""Names of machines: whose they are, what they run, and until when they may live.

``ll-<store>-<flow run>-<token>-<deadline>``: every cloud lists names, and a name is there from the
very request that makes a machine. So nobody has to remember a machine to find it again.
"""

from __future__ import annotations

import re
from hashlib import sha256

from loopline.records.base import Record

__all__ = ["VMName", "of_store", "parse_vm_name", "why_stray"]

_NAME = re.compile(r"ll-([0-9a-f]{8})-([0-9a-f]{32})-([0-9]{1,6})-([0-9a-f]{8})\Z")


class VMName(Record, frozen=True, kw_only=True):
    """What a machine's name says.

    Attributes:
        store: Which store it works for, by ``of_store``.
        flow_run: The flow run's id, 32 hex digits.
        token: Fencing token that it runs under.
        deadline_s: Unix time in seconds after which it must be gone.
    """

    store: str
    flow_run: str
    token: int
    deadline_s: int

    def __str__(self) -> str:
        return f"ll-{self.store}-{self.flow_run}-{self.token}-{self.deadline_s:08x}"


def of_store(address: str) -> str:
    """Tell a store from others: 8 hex digits of its address."""
    return sha256(address.encode()).hexdigest()[:8]


def parse_vm_name(name: str) -> VMName | None:
    """Read a name; None when the machine is none of ours."""
    found = _NAME.match(name)
    if found is None:
        return None
    return VMName(
        store=found[1], flow_run=found[2], token=int(found[3]), deadline_s=int(found[4], 16)
    )


def why_stray(
    name: VMName, state: str, *, run_state: str, is_over: bool, run_token: int, now_s: float
) -> str:
    """Say why a machine must go; empty: it may stay.

    Args:
        name: What it is for.
        state: The machine's.
        run_state: The flow run's, in words; empty: there is no such flow run.
        is_over: Whether the flow run has ended.
        run_token: The flow run's newest fencing token.
        now_s: Unix time in seconds.
    """
    if now_s >= name.deadline_s:
        return "its time is up"
    if not run_state:
        return "there is no such flow run"
    if is_over:
        return f"its flow run is {run_state}"
    if run_token > name.token:
        return "another machine or worker has its flow run"
    if state == "stopped":
        return "it has stopped"
    return ""
