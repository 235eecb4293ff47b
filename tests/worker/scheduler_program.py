"""A scheduler whose clock runs fast: ``scheduler_program.py HOME BEGAN START_MS SPEED``.

It says when it is ready, makes due flow runs, claims them and ends them, until it is killed.
"""

from __future__ import annotations

import sys
import time

from loopline.backend.local import LocalBackend
from loopline.records.facts import FlowRunState
from loopline.records.flows import StateKind
from loopline.records.operations import ClaimFlowRun, MaterialiseSchedules, RecordFacts
from loopline.settings import Address


def main() -> None:
    home, began, start_ms, speed = sys.argv[1:]

    def clock() -> int:
        passed_s = max(time.time() - float(began), 0.0)
        return int(start_ms) + round(passed_s * 1000 * float(speed))

    backend = LocalBackend(Address("home", home), clock=clock)
    backend.call(MaterialiseSchedules(ahead_s=1800.0))
    print("ready", flush=True)
    while True:
        backend.call(MaterialiseSchedules(ahead_s=1800.0))
        while lease := backend.call(ClaimFlowRun(worker="fast", lease_s=600.0)):
            done = FlowRunState(
                flow_run_id=lease.flow_run.flow_run_id,
                token=lease.token,
                state=StateKind.SUCCESS,
                at_ms=clock(),
            )
            backend.call(RecordFacts(facts=[done]))
        time.sleep(0.02)


if __name__ == "__main__":
    main()
