"""The process that runs a registered flow again: ``python -m loopline.reproduce.flow_process``.

It gets a folder with the flow's code and parameters, and runs it here and now. What it records
goes where who started it says.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from loopline.flows.shipping.code import load_flow
from loopline.records.base import Record
from loopline.records.flows import FlowCode

__all__ = ["ASSIGNMENT", "FlowAssignment", "main"]

ASSIGNMENT = "flow.json"


class FlowAssignment(Record, frozen=True, kw_only=True):
    """A flow to run, whose blobs lie beside it, by their hash."""

    code: FlowCode
    parameters: dict[str, Any] = {}  # noqa: RUF012 - a record copies it


def main() -> int:
    """Run the flow; the exit code says whether that worked."""
    folder = Path(sys.argv[1])
    assignment = msgspec.json.decode((folder / ASSIGNMENT).read_bytes(), type=FlowAssignment)
    os.environ.update(assignment.code.variables)
    flow = load_flow(
        assignment.code, lambda sha256: (folder / sha256).read_bytes(), folder / "bundle"
    )
    state = flow.run(parameters=assignment.parameters, run_on_schedule=False)
    return 0 if state.is_successful() else 1


if __name__ == "__main__":
    sys.exit(main())
